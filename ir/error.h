// The one exception type of taper.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <stdexcept>
#include <string>
#include <utility>

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
  // The same with a sentence that is formatted.
  template <class First, class... Rest>
  requires(!std::convertible_to<First, Location>)
      Error(fmt::format_string<First, Rest...> sentence, First&& first, Rest&&... rest)
      : Error(fmt::format(sentence, std::forward<First>(first), std::forward<Rest>(rest)...)) {}
  template <class... Args>
  Error(const Location& where, fmt::format_string<Args...> sentence, Args&&... args)
      : Error(fmt::format(sentence, std::forward<Args>(args)...), where) {}

  const Location& where() const { return where_; }

 private:
  Location where_;
};

}  // namespace taper
