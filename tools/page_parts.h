// The constant parts of the HTML pages.
#pragma once

namespace taper::tools {

extern const char* const kStyle;
extern const char* const kScript;
extern const char* const kReportTabs;    // of a page with a profile
extern const char* const kReportPanels;  // filled in by kScript

}  // namespace taper::tools
