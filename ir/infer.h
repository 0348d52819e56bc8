// What an infer function sees, and one for each structural op.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "ir/attrs.h"
#include "ir/error.h"
#include "ir/op.h"
#include "ir/type.h"

namespace taper::ir {

struct Request {
  Op op;
  const std::vector<TensorType>& operands;
  const Attrs& attributes;
  const Location& where;

  template <class T>
  const T& attrs() const {
    const T* found = std::get_if<T>(&attributes);
    if (found == nullptr) fail("has the attributes of another op");
    return *found;
  }
  std::string text(std::size_t operand) const { return to_string(operands[operand]); }
  std::string all() const;  // the operand types, comma-separated

  // Throws "OP: sentence (at FILE:LINE)".
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> sentence, Args&&... args) const {
    throw Error(where, "{}: {}", traits(op).name,
                fmt::format(sentence, std::forward<Args>(args)...));
  }
};

void need_f32(const Request&);  // fails unless all operands are
// `axis`, which must be one of operand 0.
std::size_t axis_of(const Request&, std::int64_t axis);

// u8 activations times i8 weights, exact in i32.
bool is_integer_product(const Request&);
// Fails when the sum of `depth` products could leave i32.
void check_integer_depth(const Request&, std::int64_t depth);

// Per structural op, called by infer().
#define TAPER_STRUCTURAL(name, arity, attrs) TensorType infer_##name(const Request&);
#include "ir/ops.def"

}  // namespace taper::ir
