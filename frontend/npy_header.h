// The header of a .npy file: a Python dictionary in a string.
#pragma once

#include <string>
#include <string_view>

#include "frontend/npy.h"

namespace taper::data {

struct NpyHeader {
  NpyType type = NpyType::f32;
  bool big_endian = false;
  bool fortran_order = false;
  ir::Shape shape;
};

// The dictionary alone, without magic and length. Throws taper::Error naming `file`; the shape
// holds at most 2^31 bytes.
NpyHeader parse_npy_header(std::string_view text, std::string_view file);

// Magic, version, length and dictionary, padded to a multiple of 64 bytes.
std::string npy_header(NpyType type, const ir::Shape& shape);

}  // namespace taper::data
