// Self-contained HTML: no file but the page, no network.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/drawing.h"

namespace taper::tools {

struct GraphStage {
  std::string name, text;  // of the pass, of the graph after it
  Drawing drawing;
};

// A tab per stage: the drawing beside the text; a click on a node marks its line.
std::string graph_page(const std::string& title, const std::vector<GraphStage>& stages);

// The same with more: `report` is what `taper profile` measured (tools/profile_report.h), or null.
std::string page(const std::string& title, const std::vector<GraphStage>& stages,
                 const nlohmann::json& report);

}  // namespace taper::tools
