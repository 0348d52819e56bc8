// The one exception type of taper.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

namespace taper {

// Bad input of any kind: shapes, dtypes, files, text, sizes. what() is one clear sentence that
// names the op or the file, the shapes involved and, where a user's source line is known, that
// line.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& sentence) : std::runtime_error(sentence) {}
  // Appends " (at FILE:LINE)" when `where` names a file.
  Error(const std::string& sentence, const std::source_location& where);
};

}  // namespace taper
