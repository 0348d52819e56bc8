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
  // Of tiles of `results` x `results`; those of F(2x2) have no gradients.
  WinogradLines(Masm& m, int results) : m_(m), results_(results) {}
  using Line = std::vector<Vec>;
  using Store = std::function<void(int index, Vec value)>;
  // Indices of results that are computed together: one, or two that share most of their work.
  using Group = std::vector<int>;

  // Take the registers of the constants that the transform needs.
  void prepare_input();
  void prepare_output();
  void prepare_gradient();
  void prepare_filter();  // and for its gradient
  void release();         // gives them back

  void input(const Line& d, const Store& store);            // 6 -> 6 (4 -> 4): B^T
  void output(const Line& m, const Store& store);           // 6 -> 4 (4 -> 2): A^T
  void gradient(const Line& y, const Store& store);         // 4 -> 6: A
  void filter(const Line& g, const Store& store);           // 3 -> 6 (3 -> 4): G
  void filter_gradient(const Line& u, const Store& store);  // 6 -> 3: G^T

  // All results of input() and gradient(), and of output(), in groups.
  const std::vector<Group>& point_groups() const;
  const std::vector<Group>& output_groups() const;

  // The results of a group, or of one of its members, in registers that the caller releases, and
  // the elements of the line that they depend on.
  Line input_values(const Group& group, const Line& d);
  Line gradient_values(const Group& group, const Line& y);
  Line output_values(const Group& group, const Line& m);
  std::vector<int> input_needs(const Group& group) const;
  std::vector<int> gradient_needs(const Group& group) const;
  std::vector<int> output_needs(const Group& group) const;

 private:
  Vec constant(float value);
  Vec temporary();
  void done();  // gives the temporaries back
  void hand_over(const Group& group, const Line& values, const Store& store);
  Line sums_and_differences(const Group& group, Vec even, Vec odd);
  Line small_input_values(const Group& group, const Line& d);
  Line small_output_values(const Group& group, const Line& m);
  void small_filter(const Line& g, const Store& store);
  bool small() const { return results_ == 2; }

  Masm& m_;
  int results_;
  Line constants_, temporaries_;
};

}  // namespace taper::codegen
