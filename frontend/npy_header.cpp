#include "frontend/npy_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "ir/error.h"

namespace taper::data {
namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{1} << 31;
constexpr std::size_t kMaxRank = 32;  // NumPy's own

struct TypeRow {
  NpyType type;
  std::size_t bytes;
  std::string_view code, name;
};
constexpr TypeRow kTypes[] = {
    {NpyType::boolean, 1, "b1", "bool"}, {NpyType::i8, 1, "i1", "int8"},
    {NpyType::u8, 1, "u1", "uint8"},     {NpyType::i16, 2, "i2", "int16"},
    {NpyType::u16, 2, "u2", "uint16"},   {NpyType::i32, 4, "i4", "int32"},
    {NpyType::u32, 4, "u4", "uint32"},   {NpyType::i64, 8, "i8", "int64"},
    {NpyType::u64, 8, "u8", "uint64"},   {NpyType::f16, 2, "f2", "float16"},
    {NpyType::f32, 4, "f4", "float32"},  {NpyType::f64, 8, "f8", "float64"}};

const TypeRow& row(NpyType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

class Parser {
 public:
  Parser(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  NpyHeader parse() {
    list("{", "}", [&] { parse_entry(); });
    skip_blanks();
    if (!text_.empty()) fail("has text after its end");
    if (!descr_ || !order_ || !shape_) fail("lacks one of descr, fortran_order and shape");
    return std::move(header_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw Error("{}: the header of the .npy data {}", file_, what);
  }

  void skip_blanks() {
    const std::size_t end = text_.find_first_not_of(" \t\n");
    text_.remove_prefix(std::min(end, text_.size()));
  }
  bool accept(std::string_view what) {
    skip_blanks();
    if (!text_.starts_with(what)) return false;
    text_.remove_prefix(what.size());
    return true;
  }
  void expect(std::string_view what) {
    if (!accept(what)) fail(fmt::format("has no '{}' where there must be one", what));
  }
  // OPEN item, item, ... CLOSE, perhaps with a comma behind the last item.
  template <class Item>
  void list(std::string_view open, std::string_view close, Item&& item) {
    expect(open);
    while (!accept(close)) {
      item();
      if (accept(",")) continue;
      return expect(close);
    }
  }

  std::string_view string() {
    skip_blanks();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"'))
      fail("has something else where a string must be (structured types are not supported)");
    const std::size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) fail("has a string without end");
    const std::string_view value = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return value;
  }

  void parse_entry() {
    const std::string_view key = string();
    expect(":");
    bool* seen = key == "descr"           ? &descr_
                 : key == "fortran_order" ? &order_
                 : key == "shape"         ? &shape_
                                          : nullptr;
    if (seen == nullptr || *seen) fail("has an unknown key, or one twice");
    *seen = true;
    if (seen == &descr_) {
      parse_type(string());
    } else if (seen == &order_) {
      header_.fortran_order = accept("True");
      if (!header_.fortran_order && !accept("False")) fail("has no truth value as order");
    } else {
      parse_shape();
    }
  }

  void parse_type(std::string_view descr) {
    const std::string_view orders = "<>|=";
    const auto known =
        std::ranges::find(kTypes, descr.substr(descr.empty() ? 0 : 1), &TypeRow::code);
    if (descr.empty() || orders.find(descr[0]) == std::string_view::npos ||
        known == std::end(kTypes))
      fail("states an element type other than numbers of 8 to 64 bits and booleans");
    header_.type = known->type;
    header_.big_endian = descr[0] == '>';
  }

  void parse_shape() {
    const auto axis = [&] {
      header_.shape.push_back(extent());
      if (header_.shape.size() > kMaxRank) fail("states more than 32 axes");
    };
    list("(", ")", axis);
  }

  std::int64_t extent() {
    skip_blanks();
    std::int64_t value = -1;
    const char* begin = text_.data();
    const auto [end, error] = std::from_chars(begin, begin + text_.size(), value);
    if (error != std::errc{} || value < 0) fail("has an extent that is no size");
    text_.remove_prefix(static_cast<std::size_t>(end - begin));
    accept("L");  // Python 2 wrote its long integers so
    return value;
  }

  std::string_view text_, file_;
  NpyHeader header_;
  bool descr_ = false, order_ = false, shape_ = false;
};

void check_size(const NpyHeader& header, std::string_view file) {
  // An extent of 0 makes the array empty, however large the others are.
  if (std::ranges::count(header.shape, 0) > 0) return;
  auto total = static_cast<std::int64_t>(byte_size(header.type));
  for (const std::int64_t extent : header.shape) {
    if (extent > kMaxBytes / total)
      throw Error("{}: the array would have [{}] elements, which is more than 2^31 bytes", file,
                  fmt::join(header.shape, ","));
    total *= extent;
  }
}

}  // namespace

std::size_t byte_size(NpyType type) {
  return row(type).bytes;
}
std::string_view name(NpyType type) {
  return row(type).name;
}

NpyHeader parse_npy_header(std::string_view text, std::string_view file) {
  NpyHeader header = Parser(text, file).parse();
  check_size(header, file);
  return header;
}

std::string npy_header(NpyType type, const ir::Shape& shape) {
  std::string text = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                 row(type).bytes == 1 ? '|' : '<', row(type).code,
                                 fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  constexpr std::size_t prefix = 10, unit = 64;
  const std::size_t length = (prefix + text.size() + 1 + unit - 1) / unit * unit - prefix;
  text.resize(length - 1, ' ');
  text += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(length & 0xff);
  bytes += static_cast<char>(length >> 8);
  return bytes + text;
}

}  // namespace taper::data
