#include "tools/page.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/page_parts.h"

namespace taper::tools {
namespace {

// JSON inside a <script>: "</" would end it.
std::string script_json(const nlohmann::json& value) {
  std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (std::size_t at = text.find("</"); at != std::string::npos; at = text.find("</", at + 3))
    text.insert(at + 1, "\\");
  return text;
}

}  // namespace

std::string graph_page(const std::string& title, const std::vector<GraphStage>& stages) {
  return page(title, stages, nullptr);
}

std::string page(const std::string& title, const std::vector<GraphStage>& stages,
                 const nlohmann::json& report) {
  std::string tabs, panels;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    tabs += fmt::format("<button class=\"tab\" data-panel=\"stage{}\">{}</button>\n", s,
                        escaped(stages[s].name));
    panels += fmt::format(
        "<section class=\"panel stage\" id=\"stage{}\"><div class=\"graph\">{}"
        "</div></section>\n",
        s, svg(stages[s].drawing));
  }
  nlohmann::json texts = nlohmann::json::array();
  for (const GraphStage& stage : stages) texts.push_back(stage.text);
  if (!report.is_null()) {
    tabs += kReportTabs;
    panels += kReportPanels;
  }
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}"
      "</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{}</style></head>\n",
      escaped(title), kStyle);
  out += fmt::format(
      "<body><header><b>{}</b> <nav>{}</nav></header>\n<main>{}</main>\n"
      "<aside id=\"side\">Click a node.</aside>\n",
      escaped(title), tabs, panels);
  return out +
         fmt::format("<script>\nconst texts = {};\nconst report = {};\n{}</script></body></html>\n",
                     script_json(texts), script_json(report), kScript);
}

}  // namespace taper::tools
