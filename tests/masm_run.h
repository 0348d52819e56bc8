// Runs small pieces of generated code on every ISA of the host.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <vector>

#include "codegen/kernel.h"
#include "codegen/masm.h"
#include "ir/isa.h"

namespace taper {

inline std::vector<const ir::Isa*> host_isas() {
  std::vector<const ir::Isa*> isas;
  for (const ir::Isa* isa : ir::all_isas()) {
    const ir::Isa* best = ir::select_isa(ir::host_features(), std::string(isa->name));
    if (best == isa) isas.push_back(isa);
  }
  return isas;
}

using Lanes = std::array<float, 16>;

inline float from_bits(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}
inline std::uint32_t to_bits(float value) {
  return std::bit_cast<std::uint32_t>(value);
}

inline codegen::CodeMemory assemble(codegen::Masm& m, const std::function<void()>& body) {
  m.begin("test");
  body();
  m.end();
  return codegen::CodeMemory(m.finish().bytes);
}

// The kernel's argument is an array of pointers; loads pointer i.
inline codegen::Gp pointer(codegen::Masm& m, int i) {
  const codegen::Gp r = m.gp();
  m.load(r, {m.args(), 8 * i});
  return r;
}

// d = body(a, b) on 16 lanes.
using LaneBody =
    std::function<void(codegen::Masm& m, codegen::Vec d, codegen::Vec a, codegen::Vec b)>;
inline Lanes run_lanes(const ir::Isa& isa, const Lanes& a, const Lanes& b, const LaneBody& body) {
  const auto m = codegen::make_masm(isa);
  const codegen::CodeMemory code = assemble(*m, [&] {
    const codegen::Gp pa = pointer(*m, 0), pb = pointer(*m, 1), pd = pointer(*m, 2);
    const codegen::Vec va = m->vec(), vb = m->vec(), vd = m->vec();
    for (int i = 0; i < isa.vectors_per_block(); ++i) {
      const int offset = 4 * isa.lanes * i;
      m->load(va, {pa, offset});
      m->load(vb, {pb, offset});
      body(*m, vd, va, vb);
      m->store({pd, offset}, vd);
    }
  });
  Lanes d{};
  const void* args[] = {a.data(), b.data(), d.data()};
  code.entry()(args);
  return d;
}

}  // namespace taper
