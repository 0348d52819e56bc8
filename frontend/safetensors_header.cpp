// The header of a safetensors file, read as a stream of JSON events: memory follows what is kept,
// nesting and keys are checked as they come.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "frontend/safetensors.h"
#include "ir/error.h"

namespace taper::safetensors {
namespace {

constexpr std::size_t kMaxRank = 16;
constexpr std::uint64_t kMaxExtent = std::uint64_t{1} << 62;

// Names come from the file: shortened, and without control characters.
std::string shown(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 100)) text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return fmt::format("\"{}\"{}", text, name.size() > 100 ? "..." : "");
}

// Called by nlohmann::json::sax_parse, which fixes the names and signatures. Depth 1 is the header,
// depth 2 a tensor or the metadata, depth 3 a shape or offsets.
class Events {
 public:
  explicit Events(std::string_view file) : file_(file) {}
  Header header;

  bool start_object(std::size_t) {
    if (depth_ == 1) begin_tensor();
    if (depth_ > 1) fail_value("an object");
    ++depth_;
    return true;
  }
  bool end_object() {
    if (--depth_ == 1 && tensor_ != nullptr && fields_.size() != 3)
      fail("tensor {} lacks one of dtype, shape and data_offsets", shown(name_));
    return true;
  }

  bool key(std::string& key) {
    if (depth_ == 1) {
      if (!names_.insert(key).second) fail("the name {} occurs twice", shown(key));
      name_ = std::move(key);
      return true;
    }
    if (tensor_ == nullptr) {
      if (!header.metadata.try_emplace(key).second)
        fail("the metadata key {} occurs twice", shown(key));
    } else if (key != "dtype" && key != "shape" && key != "data_offsets") {
      fail("tensor {} has the unknown field {}", shown(name_), shown(key));
    } else if (!fields_.insert(key).second) {
      fail("tensor {} has {} twice", shown(name_), shown(key));
    }
    field_ = std::move(key);
    return true;
  }

  bool start_array(std::size_t) {
    if (depth_ != 2 || tensor_ == nullptr || field_ == "dtype") fail_value("a list");
    ++depth_;
    numbers_.clear();
    return true;
  }
  bool end_array() {
    --depth_;
    if (field_ == "shape") {
      tensor_->shape.assign(numbers_.begin(), numbers_.end());
      return true;
    }
    if (numbers_.size() != 2) fail("the data_offsets of tensor {} are not two", shown(name_));
    tensor_->begin = numbers_[0];
    tensor_->end = numbers_[1];
    return true;
  }

  bool string(std::string& value) {
    if (depth_ != 2 || (tensor_ != nullptr && field_ != "dtype")) fail_value("a string");
    if (tensor_ == nullptr) {
      header.metadata[field_] = std::move(value);
      return true;
    }
    const auto type = type_named(value);
    if (!type)
      fail("tensor {} has dtype {}; taper reads BOOL, U8, I8, F16, BF16, I32, F32 and I64",
           shown(name_), shown(value));
    tensor_->type = *type;
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (depth_ != 3) fail_value("a number");
    if (field_ == "shape" && numbers_.size() == kMaxRank)
      fail("tensor {} has more than {} axes", shown(name_), kMaxRank);
    if (numbers_.size() == kMaxRank) fail_value("a long list");
    if (value > kMaxExtent) fail("a number of tensor {} is above 2^62", shown(name_));
    numbers_.push_back(value);
    return true;
  }

  bool number_integer(std::int64_t) { fail_value("a negative number"); }
  bool number_float(double, const std::string&) { fail_value("a number that is no integer"); }
  bool null() { fail_value("null"); }
  bool boolean(bool) { fail_value("a truth value"); }
  bool binary(std::vector<std::uint8_t>&) { fail_value("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    fail("it is no JSON of UTF-8 at byte {}", position);
  }

 private:
  void begin_tensor() {
    fields_.clear();
    tensor_ = name_ == "__metadata__" ? nullptr : &header.tensors[name_];
  }

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> sentence, Args&&... args) const {
    throw Error("{}: bad safetensors header: {}", file_,
                fmt::format(sentence, std::forward<Args>(args)...));
  }
  [[noreturn]] void fail_value(std::string_view what) const {
    if (depth_ == 0) fail("it is {}, not an object", what);
    fail("{} is where it may not be, in {}", what, shown(name_));
  }

  std::string_view file_;
  int depth_ = 0;
  std::set<std::string> names_;
  std::string name_, field_;
  std::set<std::string> fields_;  // of the tensor
  Entry* tensor_ = nullptr;       // null in the metadata
  std::vector<std::uint64_t> numbers_;
};

// The bytes that type and shape need; empty on overflow.
std::optional<std::uint64_t> size_of(const Entry& entry) {
  if (std::ranges::count(entry.shape, 0) > 0) return 0;
  std::uint64_t size = byte_size(entry.type);
  for (const ir::Dim extent : entry.shape)
    if (__builtin_mul_overflow(size, static_cast<std::uint64_t>(extent), &size))
      return std::nullopt;
  return size;
}

void check_offsets(const Header& header, std::uint64_t data_bytes, std::string_view file) {
  using Named = std::pair<const std::string, Entry>;
  std::vector<const Named*> order;
  for (const Named& tensor : header.tensors) order.push_back(&tensor);
  const auto fail = [&](const Named& tensor, std::string_view what) {
    throw Error("{}: bad safetensors header: tensor {}, {} at bytes {} to {}, {}", file,
                shown(tensor.first), to_string(tensor.second), tensor.second.begin,
                tensor.second.end, what);
  };
  std::ranges::sort(order, {}, [](const Named* tensor) {
    return std::pair(tensor->second.begin, tensor->second.end);
  });
  std::uint64_t position = 0;
  for (const Named* tensor : order) {
    const auto& [begin, end] = std::pair(tensor->second.begin, tensor->second.end);
    const auto size = size_of(tensor->second);
    if (!size) fail(*tensor, "is larger than any file");
    if (end < begin || end > data_bytes)
      fail(*tensor, fmt::format("is not inside of the {} bytes of data", data_bytes));
    if (end - begin != *size) fail(*tensor, fmt::format("needs {} bytes", *size));
    if (begin < position) fail(*tensor, "overlaps another one");
    if (begin > position) fail(*tensor, "leaves a gap before it");
    position = end;
  }
  if (position != data_bytes)
    throw Error("{}: bad safetensors header: its tensors take {} bytes, but {} follow", file,
                position, data_bytes);
}

}  // namespace

std::string to_string(const Entry& entry) {
  return fmt::format("{}[{}]", name(entry.type), fmt::join(entry.shape, ","));
}

Header parse_header(std::string_view json, std::uint64_t data_bytes, std::string_view file) {
  if (!json.starts_with('{'))
    throw Error("{}: bad safetensors header: it does not begin with '{{'", file);
  Events events(file);
  nlohmann::json::sax_parse(json, &events);
  check_offsets(events.header, data_bytes, file);
  return std::move(events.header);
}

}  // namespace taper::safetensors
