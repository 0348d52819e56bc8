// The reference of the text form.
#pragma once

#include <string>

namespace taper::tools {

// Markdown: the grammar, and every row of ir/ops.def with its operands, attributes, value and
// gradient as the table states them.
std::string language_reference();

}  // namespace taper::tools
