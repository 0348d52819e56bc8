// The one exception type of taper.
#pragma once

#include <stdexcept>
#include <string>

#include "ir/location.h"

namespace taper {

// Bad input of any kind: shapes, dtypes, files, text, sizes. what() is one clear sentence that
// names the op or the file, the shapes involved and, where the line that the user wrote is known,
// that line.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& sentence) : std::runtime_error(sentence) {}
  // Appends " (at FILE:LINE)" when `where` is known.
  Error(const std::string& sentence, const Location& where);

  const Location& where() const { return where_; }

 private:
  Location where_;
};

}  // namespace taper
