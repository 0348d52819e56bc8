// The one-dimensional transforms of winograd_transform.h, as emitted code. Each takes the registers
// that hold a line of values and hands every value of its result to `store` as soon as it is known;
// what it hands over is free again when `store` returns.
#pragma once

#include <functional>
#include <vector>

#include "codegen/masm.h"

namespace taper::codegen {

class WinogradLines {
 public:
  explicit WinogradLines(Masm& m) : m_(m) {}
  using Line = std::vector<Vec>;
  using Store = std::function<void(int index, Vec value)>;

  // Take the registers of the constants that the transform needs.
  void prepare_input();
  void prepare_output();
  void prepare_gradient();
  void prepare_filter();
  void prepare_filter_gradient();
  void release();  // gives them back

  void input(const Line& d, const Store& store);            // 6 -> 6: B^T
  void output(const Line& m, const Store& store);           // 6 -> 4: A^T
  void gradient(const Line& y, const Store& store);         // 4 -> 6: A
  void filter(const Line& g, const Store& store);           // 3 -> 6: G
  void filter_gradient(const Line& u, const Store& store);  // 6 -> 3: G^T

  // One value of input() or gradient(), from the elements that it depends on, in a register that
  // the caller releases.
  static std::vector<int> input_needs(int index);
  static std::vector<int> gradient_needs(int index);
  Vec input_value(int index, const Line& d);
  Vec gradient_value(int index, const Line& y);

 private:
  Vec constant(float value);
  Vec temporary();
  void done();  // gives the temporaries back

  Masm& m_;
  Line constants_, temporaries_;
};

}  // namespace taper::codegen
