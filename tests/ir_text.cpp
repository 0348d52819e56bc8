// The text form: what is printed parses back to the same graph, and bad text is an Error.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "ir/builder.h"
#include "ir/graph.h"
#include "ir/kernel.h"

namespace taper::ir {
namespace {

// Every structural op but `kernel`, with attributes, epilogues, segments and layouts.
constexpr std::string_view kStructural = R"(graph {
  %images = input "images" : f32[N,4,8,8]
  %labels = input "labels" : i32[N]
  %w = parameter "0.weight" : f32[16,4,3,3]{o16}
  %b = parameter "0.bias" : f32[16]
  %v = parameter "1 \"quoted\"\n\\ \x01" : f32[10,256]
  %step = state "step" : f32[]
  %half = constant 0.5 : f32[]
  %list = constant [1,-2.5,inf] : f32[3]
  %bytes = constant [0,255] : u8[2]
  %c = conv2d(%images, %w; %b) {padding=[1,1,1,1]} epilogue (acc, c0) { t0 = add(acc, c0); t1 = relu(t0); t1 } : f32[N,16,8,8]{c16}
  %strided = conv2d(%images, %w) {stride=[2,2], dilation=[2,1], padding=[2,1,2,1]} : f32[N,16,4,4]
  %p = pool2d(%c) : f32[N,16,4,4]{c16}
  %avg = pool2d(%c) {kind=average, kernel=[3,3], stride=[1,1], padding=[1,1,1,1], count_include_pad=false} : f32[N,16,8,8]
  %flat = reshape(%p) {shape=[N,256]} : f32[N,256]
  %z = matmul(%flat, %v) {transpose_b=true} : f32[N,10]
  %loss = cross_entropy(%z, %labels) : f32[N]
  %mean = reduce(%loss) {kind=mean, axes=[0]} : f32[]
  %keep = reduce(%v) {axes=[0,1], keep_dims=true} epilogue (acc) { t0 = sqrt(acc); t0 } : f32[1,1]
  %gv = gradient(%mean, %v) : f32[10,256]
  %r = random(%step) {seed=18446744073709551615, stream=3, shape=[10,256]} : f32[10,256]
  %e = extent(%z) {axes=[0,1]} : f32[]
  %u8 = cast(%b) {dtype=u8} : u8[16]
  %wide = broadcast_to(%step) {shape=[N,10]} : f32[N,10]
  %turned = transpose(%v) {axes=[1,0]} : f32[256,10]
  %rows = slice(%z) {begin=[0,1], end=[N,9], step=[1,2]} : f32[N,4]
  %spread = pad(%b) {low=[1], high=[2], interior=[1], value=-inf} : f32[34]
  %twice = concat(%v, %v) : f32[20,256]
  %beside = concat(%v, %v, %v) {axis=1} : f32[10,768]
  %dx = conv2d_backward_data(%c, %w) {padding=[1,1,1,1], shape=[N,4,8,8]} : f32[N,4,8,8]
  %dw = conv2d_backward_weights(%images, %c) {padding=[1,1,1,1], shape=[16,4,3,3]} : f32[16,4,3,3]
  %dp = pool2d_backward(%c, %p; %c) epilogue (acc, c0) { t0 = 0; t1 = gt(c0, t0); t2 = select(t1, acc, t0); t2 } : f32[N,16,8,8]
  %maxima = max_pool2d_with_indices(%c) {positive=true} : f32[N,16,4,4]
  %taps = result(%maxima) {index=1} : u8[N,16,4,4]
  %du = max_unpool2d(%taps, %p) {shape=[N,16,8,8]} : f32[N,16,8,8]
  %soft = softmax(%z) {axis=1} : f32[N,10]
  %logs = log_softmax(%z) {axis=1} : f32[N,10]
  %dz = cross_entropy_backward(%z, %labels, %loss) : f32[N,10]
  %known = in_range(%labels) {high=10, others=[-100]} : i32[N]
  %unit = normalize(%z, %step) {axes=[0,1], eps=0.1} : f32[N,10]
  %chosen = gather(%v, %labels) : f32[N,256]
  %table = gather_backward(%z, %labels) {shape=[7,10]} : f32[7,10]
  %both = cross_entropy_fused(%z, %labels, %loss) : f32[N]
  %second = result(%both) {index=1} : f32[N,10]
  %moved = relayout(%w) {layout=i16} : f32[16,4,3,3]{i16}
  %noise = map(%z, %step) {expr=(a, b) { t0 = random(b) {seed=7, stream=1}; t1 = 1e-05; t2 = lt(t0, t1); t3 = select(t2, a, t0); t4 = cast(t3) : i32; t3, t4 }, results=[f32[N,10],i32[N,10]]} : f32[N,10]
  %integers = result(%noise) {index=1} : i32[N,10]
  %updated = map(%b, %half, %v, %half) {expr=(a, b) { t0 = mul(a, b); t0 }, segments=2, results=[f32[16],f32[10,256]]} : f32[16]
  %newv = result(%updated) {index=1} : f32[10,256]
  %seen = view(%flat) : f32[N,2,128]
  return "list" = %list
  return "bytes" = %bytes
  return "du" = %du
  return "known" = %known
  return "unit" = %unit
  return "chosen" = %chosen
  return "table" = %table
  return "strided" = %strided
  return "avg" = %avg
  return "keep" = %keep
  return "gv" = %gv
  return "r" = %r
  return "e" = %e
  return "u8" = %u8
  return "wide" = %wide
  return "turned" = %turned
  return "rows" = %rows
  return "spread" = %spread
  return "twice" = %twice
  return "beside" = %beside
  return "dx" = %dx
  return "dw" = %dw
  return "dp" = %dp
  return "soft" = %soft
  return "logs" = %logs
  return "dz" = %dz
  return "second" = %second
  return "moved" = %moved
  return "integers" = %integers
  return "seen" = %seen
  update %b = %updated
  update %v = %newv
}
)";

std::string wrapped(std::string_view body) {
  return "graph {\n" + std::string(body) + "\n}\n";
}

void expect_round_trip(const Graph& graph) {
  const std::string text = print(graph);
  const Graph back = parse(text);
  EXPECT_EQ(back, canonical(graph)) << text;
  EXPECT_EQ(print(back), text);
}

TEST(Text, StructuralOpsRoundTrip) {
  const Graph graph = parse(kStructural);
  EXPECT_NO_THROW(verify(graph, Stage::recorded));
  expect_round_trip(graph);
  std::set<Op> seen;
  for (const Node& node : graph.nodes()) seen.insert(node.op);
#define TAPER_STRUCTURAL(name, arity, attrs) \
  EXPECT_EQ(seen.contains(Op::name), Op::name != Op::kernel) << #name;
#include "ir/ops.def"
}

TEST(Text, ElementwiseOpsRoundTrip) {
  Graph graph;
  Builder b(graph);
  const ValueId x = b.input("x", {DType::f32, {kBatch, 3}});
  const ValueId y = b.input("y", {DType::f32, {3}});
  const ValueId chosen = b.gt(x, y);
  const auto operands = [&](int arity, bool select) {
    if (select) return std::vector<ValueId>{chosen, x, y};
    return arity == 1 ? std::vector<ValueId>{x} : std::vector<ValueId>{x, y};
  };
#define TAPER_ELEMENTWISE(name, arity, result, eval, vjp, emit) \
  graph.outputs.push_back({#name, b.add_node(Op::name, operands(arity, Op::name == Op::select))});
#include "ir/ops.def"
  expect_round_trip(graph);
}

TEST(Text, AwkwardNumbersRoundTrip) {
  Graph graph;
  Builder b(graph);
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> values{0.1, -0.0, 1e-45, 3.4028234663852886e38, 1.0 / 3, inf, -inf};
  graph.outputs.push_back({"c", b.constant({DType::f32, {7}}, values)});
  expect_round_trip(graph);
  const Graph back = parse(print(graph));
  EXPECT_TRUE(std::signbit(std::get<ConstantAttrs>(back[back.outputs[0].value].attrs).values[1]));
  // A NaN equals nothing, so its text is compared.
  Graph nan;
  Builder c(nan);
  nan.outputs.push_back({"c", c.scalar(std::nan(""))});
  EXPECT_EQ(print(parse(print(nan))), print(nan));
}

TEST(Text, LocationsRoundTripOnRequest) {
  Graph graph;
  const auto here = std::source_location::current();
  Builder b(graph, here);
  const ValueId x = b.input("x", {DType::f32, {kBatch}});
  b.set_location({std::make_shared<const std::string>("a \"model\"\\.tir"), 7, 12});
  graph.outputs.push_back({"x", b.relu(x)});
  EXPECT_EQ(print(graph).find("loc"), std::string::npos);
  const std::string text = print(graph, {.locations = true});
  const std::string line = std::to_string(here.line());
  EXPECT_NE(text.find(": f32[N] loc(\"" + std::string(here.file_name()) + "\":" + line + ")\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"( loc("a \"model\"\\.tir":7:12))"), std::string::npos) << text;
  const Graph back = parse(text);
  EXPECT_EQ(back, canonical(graph));
  EXPECT_EQ(print(back, {.locations = true}), text);
}

TEST(Text, ANodeWithoutALocationHasItsPlaceInTheText) {
  const Graph graph =
      parse("graph {\n  %x = input \"x\" : f32[2]\n  return \"x\" = %x\n}", "m.tir");
  EXPECT_EQ(to_string(graph.nodes()[0].location), "m.tir:2:3");
}

TEST(Text, LocationsAreBounded) {
  const auto with = [](const std::string& location) {
    return parse("graph { %x = input \"x\" : f32[2] loc" + location + " return \"x\" = %x }");
  };
  EXPECT_NO_THROW(with("(\"" + std::string(4096, 'f') + "\":2147483648:2147483648)"));
  EXPECT_THROW(with("(\"" + std::string(4097, 'f') + "\":1)"), Error);
  for (const char* bad :
       {"", "(", "()", "(\"f\")", "(\"f\":)", "(\"f\":0)", "(\"f\":-1)", "(\"f\":2147483649)",
        "(\"f\":1:0)", "(\"f\":1:2:3)", "(\"\":1)", "(\"\\x00\":1)", "(\"f\\n\":1)", "(f:1)"})
    EXPECT_THROW(with(bad), Error) << bad;
}

TEST(Text, KernelsPrintAndDoNotParse) {
  Graph graph;
  Builder b(graph);
  const ValueId x = b.input("x", {DType::f32, {kBatch, 10}});
  Node kernel;
  kernel.op = Op::kernel;
  kernel.type = b.type(x);
  kernel.operands = {x};
  kernel.attrs = KernelAttrs{RowSpec{RowKind::softmax, kBatch, 1, 10}, {kernel.type}};
  graph.outputs.push_back({"y", graph.append(kernel)});
  const std::string text = print(graph);
  EXPECT_NE(text.find("spec=row kind=softmax rows=N rows_per_image=1 columns=10"),
            std::string::npos)
      << text;
  EXPECT_THROW(parse(text), Error);
}

struct BadText {
  std::string body;
  std::string message;
};

TEST(Text, MalformedTextIsAnError) {
  const std::string x = "%x = input \"x\" : f32[N,4]\n";
  const std::vector<BadText> cases{
      {"%0 = ", "t:3:1: expected the name of an op, got '}'"},
      {"%0 = inputs \"x\" : f32[]", "t:2:6: expected the name of an op, got 'inputs'"},
      {"%0 = input x : f32[]", "t:2:12: expected a string, got 'x'"},
      {"%0 = input \"x : f32[]", "t:2:12: this string has no end on its line"},
      {"%0 = input \"\\q\" : f32[]", "t:2:12: a string escape is one of"},
      {"%0 = input \"x\" : f33[]", "t:2:18: expected a tensor type such as f32[N,10], got 'f33'"},
      {"%0 = input \"x\" : f32[2,N]", "t:2:24: N can only be the leading dimension"},
      {"%0 = input \"x\" : f32[-2]", "t:2:22: a dimension cannot be negative"},
      {"%0 = input \"x\" : f32[9223372036854775808]",
       "t:2:22: expected an integer of magnitude 2^31 at most"},
      {"%0 = input \"x\" : f32[4294967296]",
       "t:2:22: expected an integer of magnitude 2^31 at most, got '4294967296'"},
      {"%0 = constant 1e999 : f32[]", "t:2:15: expected a number that a double can hold"},
      {"%0 = constant [1,,2] : f32[3]", "t:2:18: expected a number, got ','"},
      {x + "%y = relu(%z) : f32[N,4]", "t:3:11: %z is not defined before this use"},
      {x + "%y = relu(%y) : f32[N,4]", "t:3:11: %y is not defined before this use"},
      {x + x, "t:3:1: %x is already defined"},
      {x + "%y = relu(%x, %x) : f32[N,4]", "t:3:10: relu takes 1 operands, got 2"},
      {x + "%y = relu(%x) : f32[N,5]", "t:3:17: the result of relu is f32[N,4], not f32[N,5]"},
      {x + "%y = relu(%x) : u8[N,4]", "t:3:17: the result of relu is f32[N,4], not u8[N,4]"},
      {x + "%y = softmax(%x) {axes=1} : f32[N,4]",
       "t:3:19: softmax has no attribute 'axes' (it has: axis)"},
      {x + "%y = softmax(%x) {axis=1, axis=1} : f32[N,4]",
       "t:3:27: attribute 'axis' is given twice"},
      {x + "%y = reduce(%x) {kind=median} : f32[N,4]", "t:3:23: expected a value of 'kind'"},
      {x + "%y = reduce(%x; %x) {axes=[1]} : f32[N]",
       "t:3:12: the epilogue takes 0 operands after ';', got 1"},
      {x + "%y = map(%x) {expr=(a) { t0 = relu(b); t0 }} : f32[N,4]", "t:3:36: 'b' is not defined"},
      {x + "%y = map(%x) {expr=(a) { a = relu(a); a }} : f32[N,4]",
       "t:3:26: 'a' is already defined"},
      {x + "%y = map(%x) {expr=(a) { t0 = matmul(a, a); t0 }} : f32[N,4]",
       "t:3:31: expected a number, an elementwise op, cast or random, got 'matmul'"},
      {x + "%y = kernel(%x) : f32[N,4]",
       "t:3:6: a kernel node is the end state of lowering and cannot be parsed"},
      {x + "return \"y\" = 3", "t:3:14: expected a value such as %0, got '3'"},
      {x + "}\n}", "t:4:1: expected the end of the text, got '}'"},
  };
  for (const BadText& bad : cases) {
    const std::string text = wrapped(bad.body);
    try {
      parse(text, "t");
      ADD_FAILURE() << "parsed: " << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(bad.message), std::string::npos)
          << text << "says: " << error.what() << "\nnot:  " << bad.message;
    }
  }
}

TEST(Text, TruncatedTextIsAnError) {
  for (std::size_t size = 0; size + 2 < kStructural.size(); size += 3) {
    EXPECT_THROW(parse(kStructural.substr(0, size)), Error) << size;
  }
}

// Changes a byte, adds one, removes or repeats a few, or makes a number extreme; up to three times.
std::string mutated(std::mt19937& random, std::string text) {
  constexpr std::string_view alphabet = "{}()[],;:=%\"\\/- .N0129aft\n\x01\xff";
  const std::vector<std::string> numbers{
      "9223372036854775807", "-9223372036854775808", "2147483648", "1000000", "-1", "0"};
  const auto below = [&](std::size_t bound) { return random() % bound; };
  for (std::size_t change = 0, changes = 1 + below(3); change < changes; ++change) {
    const std::size_t at = below(text.size() - 40);
    const std::size_t length = below(20);
    const std::size_t digit = std::min(text.find_first_of("0123456789", at), text.size() - 1);
    switch (below(5)) {
      case 0:
        text[at] = alphabet[below(alphabet.size())];
        break;
      case 1:
        text.insert(at, 1, alphabet[below(alphabet.size())]);
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(below(text.size()), text.substr(at, length));
        break;
      case 4:
        text.replace(digit, 1, numbers[below(numbers.size())]);
        break;
    }
  }
  return text;
}

TEST(Text, MutatedTextParsesOrIsAnError) {
  std::mt19937 random(20240229);
  int parsed = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string text = mutated(random, std::string(kStructural));
    try {
      const Graph graph = parse(text);
      verify(graph, Stage::recorded);
      const std::string printed = print(graph);
      EXPECT_EQ(print(parse(printed)), printed);
      ++parsed;
    } catch (const Error&) {
      continue;
    }
  }
  EXPECT_GT(parsed, 100);
  EXPECT_LT(parsed, 4500);
}

}  // namespace
}  // namespace taper::ir
