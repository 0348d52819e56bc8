// Runs a kernel on every ISA of the host and over differently cut ranges; the bits must not change.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "tests/contraction.h"

namespace taper::testing {

using CompileFor = std::function<std::shared_ptr<const codegen::Kernel>(const ir::Isa&)>;

// `operands`, then results of `result_bytes` bytes each. Returns the results of the first run.
inline std::vector<runtime::AlignedBytes> run_everywhere(
    const CompileFor& compile, const std::vector<void*>& operands,
    const std::vector<std::int64_t>& result_bytes, std::int64_t batch) {
  std::vector<runtime::AlignedBytes> first;
  for (const ir::Isa* isa : host_isas()) {
    const std::shared_ptr<const codegen::Kernel> kernel = compile(*isa);
    const std::int64_t units = kernel->units(batch);
    for (const std::int64_t parts : {1, 2, 3}) {
      std::vector<runtime::AlignedBytes> results;
      std::vector<void*> buffers = operands;
      for (const std::int64_t bytes : result_bytes) {
        results.push_back(runtime::allocate_aligned(static_cast<std::size_t>(bytes)));
        std::memset(results.back().get(), 0xa5, static_cast<std::size_t>(bytes) + 64);
        buffers.push_back(results.back().get());
      }
      run_cut(*kernel, buffers, batch, std::max<std::int64_t>(1, (units + parts - 1) / parts));
      for (std::size_t i = 0; i < results.size(); ++i) {
        for (std::int64_t b = 0; b < 64; ++b) {
          EXPECT_EQ(results[i][static_cast<std::size_t>(result_bytes[i] + b)], std::byte{0xa5})
              << "written past the end on " << isa->name;
        }
        if (first.empty()) continue;
        EXPECT_EQ(std::memcmp(results[i].get(), first[i].get(),
                              static_cast<std::size_t>(result_bytes[i])),
                  0)
            << "other bits on " << isa->name << " in " << parts << " parts";
      }
      if (first.empty()) first = std::move(results);
    }
  }
  EXPECT_FALSE(first.empty()) << "no ISA to run on";
  return first;
}

inline const float* floats(const runtime::AlignedBytes& bytes) {
  return reinterpret_cast<const float*>(bytes.get());
}

}  // namespace taper::testing
