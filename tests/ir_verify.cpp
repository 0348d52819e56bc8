// Each rule of ir/verify.cpp, broken once on purpose.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "ir/graph.h"

namespace taper::ir {
namespace {

constexpr std::string_view kValid = R"(graph {
  %0 = input "x" : f32[N,16,8,8]{c16}
  %1 = parameter "w" : f32[16,16,3,3]{o16}
  %2 = parameter "b" : f32[16]
  %3 = state "step" : f32[]
  %4 = constant 0.5 : f32[]
  %5 = conv2d(%0, %1; %2) {padding=[1,1,1,1]} epilogue (acc, c0) { t0 = add(acc, c0); t1 = relu(t0); t1 } : f32[N,16,8,8]{c16}
  %6 = map(%2, %4) {expr=(a, b) { t0 = mul(a, b); t0 }, results=[f32[16]]} : f32[16]
  %7 = result(%6) : f32[16]
  %8 = conv2d_backward_weights(%0, %5) {padding=[1,1,1,1], shape=[16,16,3,3]} : f32[16,16,3,3]{o16}
  %9 = relayout(%5) : f32[N,16,8,8]
  return "y" = %9
  return "dw" = %8
  update %2 = %7
}
)";

// Breaks the valid graph and expects a message that starts with `verify: ` and holds `message`.
void expect_broken(const std::string& message, const std::function<void(Graph&)>& damage,
                   Stage stage = Stage::recorded) {
  Graph graph = parse(kValid);
  damage(graph);
  try {
    verify(graph, stage);
    ADD_FAILURE() << "verified, but should say: " << message;
  } catch (const Error& error) {
    const std::string said = error.what();
    EXPECT_EQ(said.rfind("verify: ", 0), 0u) << said;
    EXPECT_NE(said.find(message), std::string::npos) << said << "\nnot: " << message;
  }
}

Node& node(Graph& graph, std::uint32_t index) {
  return graph[ValueId{index}];
}

TEST(Verify, TheValidGraphIsValid) {
  const Graph graph = parse(kValid);
  for (const Stage stage : {Stage::recorded, Stage::differentiated, Stage::laid_out}) {
    EXPECT_NO_THROW(verify(graph, stage));
  }
  EXPECT_NO_THROW(verify(Graph{}, Stage::selected));
}

TEST(Verify, OperandsPrecedeTheirUse) {
  expect_broken("%5 = conv2d: operand %5 is not a value before it",
                [](Graph& g) { node(g, 5).operands[0] = ValueId{5}; });
  expect_broken("operand %4294967295", [](Graph& g) { node(g, 6).operands[0] = kNoValue; });
}

TEST(Verify, Arity) {
  expect_broken("%9 = relayout: takes 1 operands, got 2",
                [](Graph& g) { node(g, 9).operands.push_back(ValueId{0}); });
  expect_broken("%5 = conv2d: takes 2 operands and 1 of the epilogue, got 2",
                [](Graph& g) { node(g, 5).operands.pop_back(); });
  expect_broken("%7 = result: this op takes no epilogue", [](Graph& g) {
    node(g, 7).epilogue = Expr{1, {{Op::relu, {0, -1, -1}}}, {1}};
  });
  expect_broken("an epilogue has one output, not 2", [](Graph& g) {
    node(g, 5).epilogue.outputs = {2, 3};
  });
}

TEST(Verify, AttributesAreThoseOfTheOp) {
  expect_broken("%5 = conv2d: its attributes are those of another op",
                [](Graph& g) { node(g, 5).attrs = PoolAttrs{}; });
}

TEST(Verify, Extents) {
  expect_broken("%0 = input: dimension 1 of a tensor is -1",
                [](Graph& g) { node(g, 0).type.shape[1] = kBatch; });
  expect_broken("dimension 0 of a tensor is -7", [](Graph& g) { node(g, 2).type.shape[0] = -7; });
  expect_broken("%1 = parameter", [](Graph& g) {
    node(g, 1).type.shape = {std::int64_t{1} << 40, std::int64_t{1} << 40};
  });
}

TEST(Verify, TypesAreInferred) {
  expect_broken("%5 = conv2d: its type is f32[N,16,8,9]{c16}, but the op makes f32[N,16,8,8]{c16}",
                [](Graph& g) { node(g, 5).type.shape[3] = 9; });
  expect_broken("%7 = result: its type is u8[16]",
                [](Graph& g) { node(g, 7).type.dtype = DType::u8; });
}

TEST(Verify, NamesOfVariables) {
  expect_broken("%3 = state: its name is empty",
                [](Graph& g) { node(g, 3).attrs = NameAttrs{""}; });
  expect_broken("%3 = state: the name \"w\" is already taken",
                [](Graph& g) { node(g, 3).attrs = NameAttrs{"w"}; });
}

TEST(Verify, VariablesAreStatic) {
  expect_broken("%3 = state: \"step\" is f32[N], but its shape must be static",
                [](Graph& g) { node(g, 3).type.shape = {kBatch}; });
}

TEST(Verify, ConstantsAreComplete) {
  expect_broken("%4 = constant: 2 values for f32[]", [](Graph& g) {
    node(g, 4).attrs = ConstantAttrs{{1, 2}};
  });
  expect_broken("%4 = constant: 0 values for f32[]",
                [](Graph& g) { node(g, 4).attrs = ConstantAttrs{}; });
}

TEST(Verify, Expressions) {
  const auto broken = [](const std::string& message, const std::function<void(Expr&)>& damage) {
    expect_broken(message, [&](Graph& g) { damage(std::get<MapAttrs>(node(g, 6).attrs).expr); });
  };
  broken("t0 = mul: argument 1 is value 2 of 2", [](Expr& e) { e.instrs[0].args[1] = 2; });
  broken("t0 = mul: argument 0 is value -1 of 2", [](Expr& e) { e.instrs[0].args[0] = -1; });
  broken("t0 = mul: argument 2 of an op that takes 2", [](Expr& e) { e.instrs[0].args[2] = 0; });
  broken("t0 = mul: its type must be f32, is i32", [](Expr& e) { e.instrs[0].dtype = DType::i32; });
  broken("t0 = select: argument 0 must be bool, is f32", [](Expr& e) {
    e.instrs[0] = {Op::select, {0, 1, 1}};
  });
  broken("t0 = matmul: an expression is made of", [](Expr& e) { e.instrs[0].op = Op::matmul; });
  broken("the expression returns value 9 of 3", [](Expr& e) { e.outputs = {9}; });
}

TEST(Verify, Maps) {
  expect_broken("%6 = map: 2 operands and 1 results for 3 segments of 2 inputs and 1 outputs",
                [](Graph& g) { std::get<MapAttrs>(node(g, 6).attrs).segments = 3; });
  expect_broken("%6 = map: operand f32[16] does not broadcast to [1]", [](Graph& g) {
    std::get<MapAttrs>(node(g, 6).attrs).results[0].shape = {1};
    node(g, 6).type.shape = {1};
  });
  expect_broken("%6 = map: result u8[16] is not f32[16]", [](Graph& g) {
    std::get<MapAttrs>(node(g, 6).attrs).results[0].dtype = DType::u8;
    node(g, 6).type.dtype = DType::u8;
  });
}

TEST(Verify, EpilogueOperands) {
  expect_broken("%5 = conv2d: epilogue operand f32[17] is neither one value",
                [](Graph& g) { node(g, 2).type.shape = {17}; });
}

TEST(Verify, Outputs) {
  expect_broken("output \"\": the name is empty", [](Graph& g) { g.outputs[0].name.clear(); });
  expect_broken("output \"dw\": the name is already taken",
                [](Graph& g) { g.outputs[0].name = "dw"; });
  expect_broken("output \"y\": there is no %99",
                [](Graph& g) { g.outputs[0].value = ValueId{99}; });
}

TEST(Verify, Updates) {
  expect_broken("update of %0: it is neither a parameter nor a state", [](Graph& g) {
    g.updates[0] = {ValueId{0}, ValueId{9}};
  });
  expect_broken("update of %2: it is already updated",
                [](Graph& g) { g.updates.push_back(g.updates[0]); });
  expect_broken("update of %2: it is f32[16], its new value is f32[]",
                [](Graph& g) { g.updates[0].value = ValueId{4}; });
  expect_broken("update of %99: there is no such value",
                [](Graph& g) { g.updates[0].variable = ValueId{99}; });
}

TEST(Verify, ResultsExist) {
  expect_broken("%7 = result: index 1 of map, which has 1 results",
                [](Graph& g) { node(g, 7).attrs = ResultAttrs{1}; });
}

TEST(Verify, DifferentiatedGraphsHaveNoGradients) {
  const Graph graph = parse(R"(graph {
    %0 = parameter "w" : f32[]
    %1 = gradient(%0, %0) : f32[]
    return "g" = %1
  })");
  EXPECT_NO_THROW(verify(graph, Stage::recorded));
  EXPECT_THROW(verify(graph, Stage::differentiated), Error);
}

TEST(Verify, LaidOutGraphsAreFused) {
  expect_broken(
      "%9 = relu: it was not fused",
      [](Graph& g) {
        node(g, 9).op = Op::relu;
        node(g, 9).attrs = {};
      },
      Stage::laid_out);
}

TEST(Verify, LaidOutLayouts) {
  const auto broken = [](const std::string& message, const std::function<void(Graph&)>& damage) {
    EXPECT_NO_THROW({
      Graph graph = parse(kValid);
      damage(graph);
      verify(graph, Stage::differentiated);
    });
    expect_broken(message, damage, Stage::laid_out);
  };
  broken("%5 = conv2d: its weight must be o16, is f32[16,16,3,3]",
         [](Graph& g) { node(g, 1).type.layout = Layout::plain; });
  broken("%5 = conv2d: its input must be c16, is f32[N,16,8,8]{i16}",
         [](Graph& g) { node(g, 0).type.layout = Layout::i16; });
  broken("%5 = conv2d: its result must be c16",
         [](Graph& g) { node(g, 5).type.layout = Layout::plain; });
  broken("%8 = conv2d_backward_weights: its result must be o16",
         [](Graph& g) { node(g, 8).type.layout = Layout::plain; });
  broken("%9 = relayout: its result must be plain",
         [](Graph& g) { node(g, 9).type.layout = Layout::c16; });
  broken("update of %1: it is f32[16,16,3,3]{o16}, its new value is f32[16,16,3,3]{i16}",
         [](Graph& g) {
           Node copy = node(g, 9);
           copy.operands = {ValueId{1}};
           copy.attrs = LayoutAttrs{Layout::i16};
           copy.type = node(g, 1).type;
           copy.type.layout = Layout::i16;
           g.updates.push_back({ValueId{1}, g.append(copy)});
         });
}

// x -> kernel -> view.
Graph selected_graph() {
  Graph graph;
  const TensorType type{DType::f32, {kBatch, 10}};
  const ValueId x = graph.append({Op::input, type, {}, NameAttrs{"x"}, {}, {}});
  const KernelAttrs softmax{RowSpec{RowKind::softmax, kBatch, 1, 10}, {type}};
  const ValueId y = graph.append({Op::kernel, type, {x}, softmax, {}, {}});
  const TensorType seen{DType::f32, {kBatch, 2, 5}};
  graph.outputs.push_back({"y", graph.append({Op::view, seen, {y}, {}, {}, {}})});
  return graph;
}

TEST(Verify, SelectedGraphs) {
  EXPECT_NO_THROW(verify(selected_graph(), Stage::selected));
  Graph operands = selected_graph();
  node(operands, 1).operands.push_back(ValueId{0});
  EXPECT_THROW(verify(operands, Stage::selected), Error);
  Graph bytes = selected_graph();
  node(bytes, 2).type.shape = {kBatch, 11};
  EXPECT_THROW(verify(bytes, Stage::selected), Error);
  expect_broken(
      "%5 = conv2d: it has no kernel", [](Graph&) {}, Stage::selected);
}

}  // namespace
}  // namespace taper::ir
