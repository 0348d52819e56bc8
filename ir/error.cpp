#include "ir/error.h"

#include <fmt/format.h>

namespace taper {

Error::Error(const std::string& sentence, const std::source_location& where)
    : std::runtime_error(where.line() == 0 ? sentence
                                           : fmt::format("{} (at {}:{})", sentence,
                                                         where.file_name(), where.line())) {}

}  // namespace taper
