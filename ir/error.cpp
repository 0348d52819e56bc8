#include "ir/error.h"

#include <fmt/format.h>

namespace taper {

std::string to_string(const Location& where) {
  if (!where.known()) return {};
  std::string text = fmt::format("{}:{}", where.file_name(), where.line());
  if (where.column() != 0) text += fmt::format(":{}", where.column());
  return text;
}

Error::Error(const std::string& sentence, const Location& where)
    : std::runtime_error(where.known() ? fmt::format("{} (at {})", sentence, to_string(where))
                                       : sentence),
      where_(where) {}

}  // namespace taper
