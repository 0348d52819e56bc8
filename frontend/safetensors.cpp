#include "frontend/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "frontend/atomic_file.h"
#include "ir/error.h"

namespace taper::safetensors {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr const char* kMetadata = "__metadata__";

std::vector<const Tensor*> in_file_order(const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> order;
  order.reserve(tensors.size());
  for (const Tensor& tensor : tensors) order.push_back(&tensor);
  // Wide elements first: then each tensor is aligned to its elements.
  std::ranges::sort(order, {}, [](const Tensor* tensor) {
    return std::tuple(~byte_size(tensor->type), std::string_view(tensor->name));
  });
  return order;
}

void check(const Tensor& tensor, std::set<std::string_view>& names,
           const std::filesystem::path& path) {
  if (tensor.name == kMetadata || !names.insert(tensor.name).second)
    throw Error("{}: two tensors cannot be called \"{}\"", path.string(), tensor.name);
  const auto count = static_cast<std::size_t>(ir::element_count(tensor.shape, 1));
  if (tensor.bytes.size() != count * byte_size(tensor.type))
    throw Error("{}: tensor \"{}\", {}{}, has {} bytes", path.string(), tensor.name,
                name(tensor.type), ir::to_string(tensor.shape), tensor.bytes.size());
}

std::string header_text(const std::vector<const Tensor*>& tensors, const Metadata& metadata,
                        const std::filesystem::path& path) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json[kMetadata] = metadata;
  std::uint64_t position = 0;
  for (const Tensor* tensor : tensors) {
    const std::uint64_t end = position + tensor->bytes.size();
    json[tensor->name] = {
        {"dtype", name(tensor->type)}, {"shape", tensor->shape}, {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text;
  try {
    text = json.dump();
  } catch (const nlohmann::json::exception&) {
    throw Error("{}: a name or the metadata are no UTF-8", path.string());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > kMaxHeader)
    throw Error("{}: the header would take {} bytes, more than the {} that are allowed",
                path.string(), text.size(), kMaxHeader);
  return text;
}

}  // namespace

File::File(const std::filesystem::path& path) : name_(path.string()) {
  std::error_code none;
  if (std::filesystem::is_regular_file(path, none)) stream_.open(path, std::ios::binary);
  if (!stream_.is_open()) throw Error("{}: cannot be opened as a file", name_);
  stream_.seekg(0, std::ios::end);
  const auto size = static_cast<std::uint64_t>(static_cast<std::streamoff>(stream_.tellg()));
  stream_.seekg(0);
  std::uint64_t length = 0;
  if (!stream_ || size < sizeof length ||
      !stream_.read(reinterpret_cast<char*>(&length), sizeof length))
    throw Error("{}: {} bytes are no safetensors file", name_, size);
  if (length > kMaxHeader || length > size - sizeof length)
    throw Error(
        "{}: no safetensors file: its header would have {} bytes, but the file "
        "has {} and {} are allowed",
        name_, length, size, kMaxHeader);
  std::string json(static_cast<std::size_t>(length), ' ');
  if (!stream_.read(json.data(), static_cast<std::streamsize>(length)))
    throw Error("{}: the header cannot be read", name_);
  data_begin_ = sizeof length + length;
  header_ = parse_header(json, size - data_begin_, name_);
}

const Entry* File::find(std::string_view tensor) const {
  const auto found = header_.tensors.find(tensor);
  return found == header_.tensors.end() ? nullptr : &found->second;
}

std::vector<std::byte> File::read(const Entry& entry) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(entry.end - entry.begin));
  stream_.seekg(static_cast<std::streamoff>(data_begin_ + entry.begin));
  if (!stream_.read(reinterpret_cast<char*>(bytes.data()),
                    static_cast<std::streamsize>(bytes.size())))
    throw Error("{}: bytes {} to {} of the data cannot be read", name_, entry.begin, entry.end);
  return bytes;
}

void write(const std::filesystem::path& path, const std::vector<Tensor>& tensors,
           const Metadata& metadata) {
  std::set<std::string_view> names;
  for (const Tensor& tensor : tensors) check(tensor, names, path);
  const std::vector<const Tensor*> order = in_file_order(tensors);
  const std::string header = header_text(order, metadata, path);
  const std::uint64_t length = header.size();
  std::vector<std::span<const std::byte>> parts{std::as_bytes(std::span(&length, 1)),
                                                std::as_bytes(std::span(header))};
  for (const Tensor* tensor : order) parts.emplace_back(tensor->bytes);
  write_atomically(path, parts);
}

}  // namespace taper::safetensors
