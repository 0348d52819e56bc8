// What PyTorch computed, as tests/record_optim.py wrote it, and the ISAs to compare it on.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "ir/isa.h"

namespace taper::recorded {

using Rows = std::vector<std::vector<double>>;

// The cases of tests/vectors/FILE by name.
inline std::map<std::string, Rows> read_cases(const std::string& name) {
  std::ifstream file(fmt::format("{}/tests/vectors/{}", TAPER_SOURCE_DIR, name));
  std::map<std::string, Rows> cases;
  Rows* current = nullptr;
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    if (text.starts_with("case ")) {
      current = &cases[text.substr(5)];
      continue;
    }
    std::vector<double> row;
    for (std::string number; line >> number;) row.push_back(std::stod(number));
    current->push_back(row);
  }
  EXPECT_FALSE(cases.empty()) << name;
  return cases;
}

// The interpreter and generated code for every ISA of the host.
inline std::vector<CompileOptions> backends() {
  std::vector<CompileOptions> all{{.interpret = true, .name = "interpreter"}};
  for (const ir::Isa* isa : {&ir::kAvx2, &ir::kAvx512, &ir::kNeon}) {
    const ir::Isa* best = ir::select_isa(ir::host_features(), std::string(isa->name));
    if (best != nullptr && best->name == isa->name)
      all.push_back({.threads = 2, .isa = isa, .name = std::string(isa->name)});
  }
  return all;
}

template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

inline void expect_sentence(const std::string& message, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

}  // namespace taper::recorded
