// The text form: what parses prints to a text that parses to the same graph, and the verifier,
// which infers every type again, accepts it or says why not.
#include "ir/graph.h"
#include "tests/fuzz/memory_file.h"

using namespace taper::ir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Graph graph;
  try {
    graph = parse({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const taper::Error&) {
    return 0;
  }
  // Text, not graphs: a NaN differs from itself.
  const std::string text = print(graph);
  require(print(parse(text, "printed")) == text);
  const std::string located = print(graph, {.locations = true});
  require(print(parse(located, "printed"), {.locations = true}) == located);
  for (const Stage stage : {Stage::recorded, Stage::laid_out, Stage::selected}) {
    try {
      verify(graph, stage);
    } catch (const taper::Error&) {
    }
  }
  return 0;
}
