// Every op, compiled and run, against the interpreter: results and gradients, all shapes and tails.
// An op that is new in ir/ops.def fails EveryOpHasCases until it has cases in tests/op_cases*.h.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/op_cases_contraction.h"
#include "tests/op_cases_edges.h"
#include "tests/op_cases_elementwise.h"
#include "tests/op_cases_layers.h"
#include "tests/op_cases_movement.h"
#include "tests/op_check.h"

namespace taper {
namespace {

using namespace op_cases;

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> all;
    add_elementwise(all);
    add_leaves(all);
    add_casts(all);
    add_movement(all);
    add_reduce(all);
    add_matmul(all);
    add_conv(all);
    add_pool(all);
    add_rows(all);
    add_gathers(all);
    add_normalize(all);
    add_gradients(all);
    add_edges(all);
    return all;
  }();
  return cases;
}

const std::map<Op, std::string> kWithoutCases = {
    {Op::cross_entropy_fused, "made by fuse from cross_entropy and its gradient"},
    {Op::max_pool2d_with_indices, "made by fuse from max pooling and its gradient"},
    {Op::max_unpool2d, "made by fuse from max pooling and its gradient"},
    {Op::relayout, "made by layout"},
    {Op::map, "made by fuse from elementwise ops"},
    {Op::result, "reads ops that passes make"},
    {Op::view, "made by select"},
    {Op::kernel, "made by select"},
};

TEST(OpSweep, EveryOpHasCases) {
  std::map<Op, int> cases;
  for (const Case& test : all_cases()) ++cases[test.op];
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  EXPECT_NE(cases.contains(Op::name), kWithoutCases.contains(Op::name)) << #name;
#define TAPER_STRUCTURAL(name, arity, attrs) \
  EXPECT_NE(cases.contains(Op::name), kWithoutCases.contains(Op::name)) << #name;
#include "ir/ops.def"
}

class Ops : public testing::TestWithParam<std::size_t> {};

TEST_P(Ops, MatchTheInterpreter) {
  Check(all_cases()[GetParam()]).run();
}

INSTANTIATE_TEST_SUITE_P(OpSweep, Ops, testing::Range(std::size_t{0}, all_cases().size()),
                         [](const auto& info) {
                           const Op op = all_cases()[info.param].op;
                           return std::string(traits(op).name) + "_" + std::to_string(info.param);
                         });

}  // namespace
}  // namespace taper
