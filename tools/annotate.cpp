// Finds the loops of a listing: a jump to a label above it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <sstream>
#include <string_view>
#include <vector>

#include "tools/lowered.h"

namespace taper::tools {
namespace {

// The line of the jump, by the line of the label.
using Loops = std::map<std::size_t, std::size_t>;

// A prefetch of AArch64, which the assembler knows as bytes only: ".byte 0x40, 0x20, 0x80, 0xF9".
std::string spelled(const std::string& line) {
  unsigned b[4];
  if (std::sscanf(line.c_str(), ".byte %x, %x, %x, %x", &b[0], &b[1], &b[2], &b[3]) != 4)
    return line;
  const std::uint32_t word = b[0] | b[1] << 8 | b[2] << 16 | b[3] << 24;
  if ((word & 0xffc0000f) != 0xf9800000) return line;
  return fmt::format("prfm {}, [x{}, {}]", (word & 16) != 0 ? "pstl1keep" : "pldl1keep",
                     word >> 5 & 31, (word >> 10 & 0xfff) * 8);
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(spelled(line));
  return lines;
}

bool is_label(std::string_view line) {
  return line.ends_with(':') && line.find(' ') == std::string_view::npos;
}
bool is_instruction(std::string_view line) {
  return !line.empty() && line.front() != ';' && line.front() != '.' && !is_label(line);
}
// x86: vfmadd231ps, vfnmadd231ps, vpdpbusd; AArch64: fmla, fmls, usdot, sdot.
bool is_fma(std::string_view line) {
  const std::string_view word = line.substr(0, line.find(' '));
  for (const std::string_view name : {"vfmadd", "vfnmadd", "vpdp", "fmla", "fmls", "usdot", "sdot"})
    if (word.starts_with(name)) return true;
  return false;
}

// The label that a jump ends in; empty for other lines.
std::string_view target_of(std::string_view line) {
  const std::size_t space = line.rfind(' ');
  if (space == std::string_view::npos) return {};
  const std::string_view word = line.substr(0, line.find_first_of(" ."));
  const bool jump = word.starts_with('j') || word == "b" || word == "cbz" || word == "cbnz";
  return jump ? line.substr(space + 1) : std::string_view{};
}

Loops loops_of(const std::vector<std::string>& lines) {
  std::map<std::string_view, std::size_t> labels;
  Loops loops;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (is_label(lines[i])) labels[std::string_view(lines[i]).substr(0, lines[i].size() - 1)] = i;
    const auto target = labels.find(target_of(lines[i]));
    if (target != labels.end()) loops[target->second] = i;
  }
  return loops;
}

}  // namespace

std::string annotated(const std::string& listing) {
  const std::vector<std::string> lines = split_lines(listing);
  const Loops loops = loops_of(lines);
  std::size_t seen = 0;
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::size_t depth = 0;
    for (const auto& [first, last] : loops) depth += first <= i && i <= last;
    const auto starts = loops.find(i);
    const std::string indent(2 * (depth - (starts != loops.end() ? 1 : 0)), ' ');
    if (starts != loops.end()) {
      const auto begin = lines.begin() + static_cast<std::ptrdiff_t>(i);
      const auto end = lines.begin() + static_cast<std::ptrdiff_t>(starts->second) + 1;
      const bool innermost = std::none_of(std::next(starts), loops.end(), [&](const auto& other) {
        return other.second <= starts->second;
      });
      out +=
          fmt::format("{}; loop {} of depth {}{}: {} instructions, {} multiply-add\n", indent,
                      ++seen, depth, innermost ? ", innermost" : "",
                      std::count_if(begin, end, is_instruction), std::count_if(begin, end, is_fma));
    }
    out += indent + lines[i] + '\n';
  }
  return out;
}

}  // namespace taper::tools
