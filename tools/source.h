// Text of the IR from a file or from standard input, and errors that point into it.
#pragma once

#include <string>

#include "ir/graph.h"

namespace taper::tools {

struct Source {
  std::string name, text;
};

// "-" is standard input. Throws taper::Error when `path` cannot be read.
Source read_source(const std::string& path);

// Throws taper::Error when `path` cannot be written.
void write_file(const std::string& path, const std::string& bytes);

// Parses and verifies a recorded graph.
ir::Graph parse_source(const Source& source);

// What to tell the user. Where the error points into a text that was read, or names a loc(...) of
// it: FILE:LINE:COLUMN, the sentence, that line and a caret.
std::string explained(const Error& error);

}  // namespace taper::tools
