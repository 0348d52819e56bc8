#include "frontend/data/numpy.h"

#include "ir/error.h"

namespace taper::data {
namespace {

Dataset dataset_of(const NpyArray& inputs, const NpyArray& targets) {
  if (!inputs.shape.empty() && !targets.shape.empty() && inputs.shape[0] != targets.shape[0])
    throw Error("{}: {} targets for the {} inputs of {}", targets.file, targets.shape[0],
                inputs.shape[0], inputs.file);
  const Array samples = samples_of(inputs);
  return Dataset(samples, samples_of(targets, /*labels=*/true));
}

}  // namespace

Array samples_of(const NpyArray& array, bool labels) {
  if (array.shape.empty() || array.bytes.empty())
    throw Error("{}: an array of shape {} holds no samples", array.file,
                ir::to_string(array.shape));
  const ir::Shape sample(array.shape.begin() + 1, array.shape.end());
  using enum NpyType;
  const NpyType type = array.type;
  if (type == f16 || type == f32 || type == f64) return Array(array.to<float>(), sample);
  if (!labels && (type == boolean || type == u8)) return Array(array.to<std::uint8_t>(), sample);
  if (!labels && type == i8) return Array(array.to<std::int8_t>(), sample);
  return Array(array.to<std::int32_t>(), sample);
}

Dataset load_npy(const std::filesystem::path& inputs, const std::filesystem::path& targets) {
  const NpyArray samples = read_npy(inputs);
  return dataset_of(samples, read_npy(targets));
}

Dataset load_npz(const std::filesystem::path& file, std::string_view inputs,
                 std::string_view targets) {
  const NpyArray samples = read_npz(file, inputs);
  return dataset_of(samples, read_npz(file, targets));
}

}  // namespace taper::data
