// A number that tells whether two programs hold the same bits.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/executable.h"

namespace taper {

// 64-bit FNV-1a (Fowler, Noll, Vo) of the f32 bit patterns, little end first.
std::uint64_t fingerprint(std::span<const float> values);

// Of every variable in the order of their names: the name, the shape, and the values, row-major
// whatever their layout in memory. By the numerics contract it is the same for any number of
// threads and on every instruction set.
std::uint64_t fingerprint(const runtime::Variables& variables);

}  // namespace taper
