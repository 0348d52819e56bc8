// The one-dimensional transforms of winograd_transform.h, as emitted code.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "codegen/masm.h"

namespace taper::codegen {

class LineTransform {
 public:
  using Line = std::vector<Vec>;
  using Store = std::function<void(int index, Vec value)>;

  LineTransform(Masm& m, std::vector<float> constants) : m_(m), values_(std::move(constants)) {}
  virtual ~LineTransform() = default;
  LineTransform(const LineTransform&) = delete;
  LineTransform& operator=(const LineTransform&) = delete;

  void prepare();  // takes the registers of its constants
  void release();  // gives them back

  // Transforms the registers of a line. Every value of the result is handed to `store` as soon as
  // it is known, and is free again when `store` returns.
  virtual void apply(const Line& line, const Store& store) = 0;

 protected:
  Vec constant(std::size_t i) const { return constants_[i]; }
  Vec temporary();
  void done();  // gives the temporaries back

  Masm& m_;

 private:
  std::vector<float> values_;  // of the constants
  Line constants_, temporaries_;
};

// One whose results can be had some at a time.
class GroupedTransform : public LineTransform {
 public:
  // Indices of results that are computed together: one, or two that share most of their work.
  using Group = std::vector<int>;

  GroupedTransform(Masm& m, std::vector<float> constants, std::vector<Group> groups)
      : LineTransform(m, std::move(constants)), groups_(std::move(groups)) {}

  // All results, in groups.
  const std::vector<Group>& groups() const { return groups_; }
  // The elements of the line that the results of a group, or of one of its members, depend on.
  virtual std::vector<int> needs(const Group& group) const = 0;
  // These results, in registers that the caller releases.
  virtual Line values(const Group& group, const Line& line) = 0;

  void apply(const Line& line, const Store& store) final;

 protected:
  // Odd members are even + odd, the others even - odd.
  Line sums_and_differences(const Group& group, Vec even, Vec odd);

 private:
  std::vector<Group> groups_;
};

struct WinogradLines {
  std::unique_ptr<GroupedTransform> input;         // B^T: 6 -> 6 (4 -> 4)
  std::unique_ptr<GroupedTransform> output;        // A^T: 6 -> 4 (4 -> 2)
  std::unique_ptr<LineTransform> filter;           // G: 3 -> 6 (3 -> 4)
  std::unique_ptr<GroupedTransform> gradient;      // A: 4 -> 6
  std::unique_ptr<LineTransform> filter_gradient;  // G^T: 6 -> 3
};
WinogradLines lines_of_4x4(Masm& m);  // F(4x4, 3x3)
WinogradLines lines_of_2x2(Masm& m);  // F(2x2, 3x3), which has no gradients

}  // namespace taper::codegen
