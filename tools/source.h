// Text of the IR from a file or from standard input, and errors that point into it.
#pragma once

#include <string>

#include "ir/graph.h"

namespace taper::tools {

// An error whose sentence begins with FILE:LINE:COLUMN and is followed by that line and a caret.
class LocatedError : public Error {
 public:
  using Error::Error;
};

struct Source {
  std::string name, text;
};

// "-" is standard input. Throws taper::Error when `path` cannot be read.
Source read_source(const std::string& path);

// Parses and verifies a recorded graph; throws LocatedError where the text is to blame.
ir::Graph parse_source(const Source& source);

}  // namespace taper::tools
