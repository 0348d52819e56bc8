// What a pass changed, line by line.
#pragma once

#include <string>
#include <string_view>

namespace taper::tools {

// The lines of `after`, with those that `before` has not marked "+", and before them those that are
// gone, marked "-". Values are numbered anew by every pass, so lines count as equal when they
// differ in the numbers of values only.
std::string difference(std::string_view before, std::string_view after);

}  // namespace taper::tools
