#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "runtime/program.h"

namespace taper::runtime {

void LabelCheck::run(std::string_view name, std::span<const std::byte> labels) const {
  for (std::size_t row = 0; row < labels.size() / sizeof(std::int32_t); ++row) {
    std::int32_t label;
    std::memcpy(&label, labels.data() + row * sizeof label, sizeof label);
    if (label >= range.low && label < range.high) continue;
    if (std::ranges::find(range.others, label) != range.others.end()) continue;
    const std::string others =
        range.others.empty() ? "" : fmt::format(" nor {}", fmt::join(range.others, " nor "));
    throw Error(location, "run: label {} in row {} of input \"{}\" is not in {}..{}{}", label, row,
                name, range.low, range.high - 1, others);
  }
}

}  // namespace taper::runtime
