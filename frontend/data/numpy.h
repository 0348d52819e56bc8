// Data sets from NumPy's files; see frontend/npy.h for what is refused.
#pragma once

#include <filesystem>
#include <string_view>

#include "frontend/data/dataset.h"
#include "frontend/npy.h"

namespace taper::data {

// The samples along the first axis of `array`. Bytes stay bytes (booleans become them), other
// integers become i32, and floating-point numbers become f32. As `labels`, all integers become i32.
// Throws taper::Error, naming the file, for an array without axes and for numbers that do not fit.
Array samples_of(const NpyArray& array, bool labels = false);

Dataset load_npy(const std::filesystem::path& inputs, const std::filesystem::path& targets);
Dataset load_npz(const std::filesystem::path& file, std::string_view inputs = "x",
                 std::string_view targets = "y");

}  // namespace taper::data
