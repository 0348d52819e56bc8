// Where something was written: a line of C++, or of the text of a graph.
#pragma once

#include <cstdint>
#include <memory>
#include <source_location>
#include <string>

namespace taper {

class Location {
 public:
  Location() = default;
  Location(const std::source_location& where) : file_(where.file_name()), line_(where.line()) {}
  Location(std::shared_ptr<const std::string> file, std::uint32_t line, std::uint32_t column)
      : owner_(std::move(file)), file_(owner_->c_str()), line_(line), column_(column) {}

  bool known() const { return line_ != 0; }
  const char* file_name() const { return file_; }
  std::uint32_t line() const { return line_; }
  std::uint32_t column() const { return column_; }  // 0: of no interest; never of C++

 private:
  std::shared_ptr<const std::string> owner_;  // of a file name that is no string literal
  const char* file_ = "";
  std::uint32_t line_ = 0, column_ = 0;
};

// "FILE:LINE" or "FILE:LINE:COLUMN"; empty when it is not known.
std::string to_string(const Location& where);

}  // namespace taper
