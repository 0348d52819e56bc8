// What `taper profile` writes.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tools/measure.h"

namespace taper::tools {

// The step as Chrome's and Perfetto's trace events, one track per thread.
std::string chrome_trace(const Measured& measured);

// The self-contained page: the graph after every pass, kernels, timeline, memory plan.
std::string profile_page(const std::string& title, const Measured& measured);

}  // namespace taper::tools
