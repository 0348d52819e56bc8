#include "frontend/checkpoint_tensors.h"

#include <fmt/format.h>

#include <set>

#include "ir/error.h"

namespace taper {
namespace {

using safetensors::Type;

// BatchNorm's count of batches: here a number like others, in PyTorch an integer.
bool is_counter(std::string_view name) {
  return name == "num_batches_tracked" || name.ends_with(".num_batches_tracked");
}

Type stored_type(ir::DType dtype) {
  // In the order of DType.
  constexpr Type kTypes[] = {Type::f32, Type::f16, Type::bf16,   Type::i8,
                             Type::u8,  Type::i32, Type::boolean};
  return kTypes[static_cast<std::size_t>(dtype)];
}

bool fits(const safetensors::Entry& entry, const ir::TensorType& type) {
  const bool any_type = type.dtype == ir::DType::f32;
  return entry.shape == type.shape && (any_type || entry.type == stored_type(type.dtype));
}

}  // namespace

void check_tensors(const safetensors::File& file,
                   const std::vector<std::pair<std::string, ir::TensorType>>& expected) {
  std::vector<std::string> faults;
  std::set<std::string_view> known;
  for (const auto& [name, type] : expected) {
    known.insert(name);
    const std::string shown = ir::to_string({type.dtype, type.shape});
    const safetensors::Entry* entry = file.find(name);
    if (entry == nullptr)
      faults.push_back(fmt::format("\"{}\" {} is missing", name, shown));
    else if (!fits(*entry, type))
      faults.push_back(fmt::format("\"{}\" is {} where the model has {}", name,
                                   safetensors::to_string(*entry), shown));
  }
  for (const auto& [name, entry] : file.tensors())
    if (!known.contains(name))
      faults.push_back(fmt::format("\"{}\" {} is unknown", name, safetensors::to_string(entry)));
  if (!faults.empty())
    throw Error("{}: does not fit the model: {}", file.name(), fmt::join(faults, "; "));
}

std::vector<safetensors::Tensor> tensors_of(const NamedVariables& variables, Type floats) {
  if (floats != Type::f32 && floats != Type::f16 && floats != Type::bf16)
    throw Error("weights: {} cannot hold f32 without a scale", safetensors::name(floats));
  std::vector<safetensors::Tensor> tensors;
  for (const auto& [name, variable] : variables) {
    const ir::TensorType& type = variable->type();
    const Type number = is_counter(name) ? Type::i64 : floats;
    const Type stored = type.dtype == ir::DType::f32 ? number : stored_type(type.dtype);
    tensors.push_back({name, stored, type.shape, safetensors::encode(variable->read(), stored)});
  }
  return tensors;
}

void load_tensors(safetensors::File& file, const NamedVariables& variables) {
  std::vector<std::pair<std::string, ir::TensorType>> expected;
  for (const auto& [name, variable] : variables) expected.emplace_back(name, variable->type());
  check_tensors(file, expected);
  std::vector<std::vector<float>> values;
  for (const auto& [name, variable] : variables) {
    const safetensors::Entry& entry = *file.find(name);
    values.push_back(safetensors::decode(file.read(entry), entry.type));
  }
  for (std::size_t i = 0; i < variables.size(); ++i) variables[i].second->write(values[i]);
}

}  // namespace taper
