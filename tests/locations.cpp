// The line that a node comes from: recorded by every operation and layer, kept by every pass, and
// named by errors.
#include <gtest/gtest.h>

#include <set>

#include "frontend/taper/taper.h"
#include "passes/passes.h"

namespace taper {
namespace {

using ir::Graph;
using ir::Node;
using ir::Op;

bool is_here(const Location& where) {
  return std::string_view(where.file_name()) == __FILE__;
}
// The lines of this file that nodes of `op` come from.
std::set<unsigned> lines_of(const Graph& graph, Op op) {
  std::set<unsigned> lines;
  for (const Node& node : graph.nodes())
    if (node.op == op && is_here(node.location)) lines.insert(node.location.line());
  return lines;
}
void expect_located(const Graph& graph, bool here) {
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const Location& where = graph.nodes()[i].location;
    EXPECT_TRUE(where.known() && (is_here(where) || !here))
        << '%' << i << " at " << to_string(where) << '\n'
        << print(graph, {.locations = true});
  }
}
unsigned line_after(const Location& where, unsigned lines = 0) {
  return where.line() + lines;
}

TEST(Locations, OperationsLayersAndLossesNameTheirUsersLine) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 16, 8, 8});
  const Tensor labels = tape.input("labels", {N}, DType::i32);
  const nn::Sequential model(nn::Conv2d(16, 16, 3), nn::BatchNorm2d(16), nn::GELU(),
                             nn::LeakyReLU(), nn::SiLU(), nn::Residual(nn::Conv2d(16, 16, 1)),
                             nn::Dropout(0.5), nn::Flatten(), nn::LayerNorm(Shape{576}),
                             nn::Linear(576, 4));
  const Tensor y = model(x) * 2 + 1;
  const Tensor signal = reshape(x, {N, 16, 64});
  tape.graph().outputs.push_back({"conv1d", nn::Conv1d(16, 4, 3)(signal).id()});
  for (const Tensor& loss :
       {cross_entropy(y, labels), cross_entropy(y, labels, {.label_smoothing = 0.1}),
        nll_loss(log_softmax(y), labels), mse_loss(y, 0), l1_loss(y, 1), smooth_l1_loss(y, 0),
        bce_loss(sigmoid(y), 1), bce_with_logits(y, 0)})
    tape.graph().outputs.push_back({std::to_string(loss.id().index), loss.id()});
  expect_located(tape.graph(), true);
}

TEST(Locations, PassesKeepThem) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 32, 16, 16});
  const Tensor labels = tape.input("labels", {N}, DType::i32);
  const Location before = std::source_location::current();
  const nn::Conv2d conv(32, 32, 3, {.padding = {1, 1, 1, 1}});
  const nn::ReLU relu;
  const nn::MaxPool2d pool(2);
  const nn::Linear linear(2048, 10);
  const Tensor scores = linear(flatten(pool(relu(conv(x)))));
  const Tensor loss = cross_entropy(scores, labels);
  const Tensor rate = tape.input("learning_rate", {});
  optim::Optimizer(optim::Adam{}).record(tape, loss, rate);
  tape.graph().outputs.push_back({"loss", loss.id()});
  std::set<std::string> stages;
  const std::set<unsigned> at_conv{line_after(before, 1)};
  passes::run_pipeline(tape.graph(), {}, [&](std::string_view stage, const Graph& graph) {
    SCOPED_TRACE(stage);
    stages.emplace(stage);
    expect_located(graph, false);
    if (stage == "recorded" || stage == "select") return;
    EXPECT_EQ(lines_of(graph, Op::conv2d), at_conv);
    EXPECT_EQ(lines_of(graph, Op::conv2d_backward_weights), at_conv);
    const bool fused = stage == "fuse" || stage == "layout" || stage == "rematerialize";
    const Op unpool = fused ? Op::max_unpool2d : Op::pool2d_backward;
    const Op loss_gradient = fused ? Op::cross_entropy_fused : Op::cross_entropy_backward;
    EXPECT_EQ(lines_of(graph, unpool), std::set{line_after(before, 3)});
    EXPECT_EQ(lines_of(graph, loss_gradient), std::set{line_after(before, 6)});
  });
  EXPECT_EQ(stages.size(), 1 + passes::pipeline().size());
}

TEST(Locations, ErrorsOfPassesNameThem) {
  Tape tape;
  const Tensor x = tape.input("x", {N, 1, 4, 4});
  const Location before = std::source_location::current();
  const Tensor pooled = max_pool2d(x * x, {});
  const Tensor first = gradient(sum(pooled * pooled), x);
  tape.graph().outputs.push_back({"second", gradient(sum(first), x).id()});
  try {
    passes::run_pipeline(tape.graph(), {});
    FAIL() << "max pooling has a second derivative";
  } catch (const Error& error) {
    EXPECT_TRUE(is_here(error.where()));
    EXPECT_EQ(error.where().line(), line_after(before, 1));
    EXPECT_TRUE(std::string(error.what()).ends_with(" (at " + to_string(error.where()) + ")"));
  }
}

}  // namespace
}  // namespace taper
