// Saved models: they give the same bits as the program that saved them, and hostile or mismatched
// files are one clear error.
#include "frontend/saved_graph.h"

#include <cmath>

#include "frontend/checkpoint.h"
#include "frontend/compile.h"
#include "frontend/nn.h"
#include "tests/temporary_folder.h"

namespace taper {
namespace {

using SavedGraph = TemporaryFolder;

std::vector<float> waves(std::size_t count, float step) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = std::sin(step * static_cast<float>(i));
  return values;
}

std::vector<float> copy(std::span<const float> values) {
  return {values.begin(), values.end()};
}

TEST_F(SavedGraph, LoadsToTheSameBits) {
  const nn::Sequential model(nn::Conv2d(1, 5, 3), nn::BatchNorm2d(5), nn::ReLU(), nn::MaxPool2d(2),
                             nn::Flatten(), nn::Linear(5 * 3 * 3, 4));
  Tape tape;
  const Tensor images = tape.input("images", {N, 1, 8, 8});
  const Tensor offset = tape.input("offset", {4});
  tape.input("unused", {N, 3});
  const Tensor scores = model(images) + offset;
  // The second output comes first in the order of the computation of the first.
  const std::vector<Tensor> outputs{softmax(offset - scores), scores, tape.scalar(2) * offset};
  save_model(folder_ / "m.tir", outputs);
  EXPECT_TRUE(says(contents(folder_ / "m.tir"), "parameter \"5.weight\" : f32[4,45]"));

  Function direct = compile(outputs);
  const Model loaded = load_model(folder_ / "m.tir");
  Function again = compile(loaded.outputs);
  EXPECT_EQ(again.inputs(), (std::vector<std::string>{"images", "offset"}));
  EXPECT_EQ(again.inputs(), direct.inputs());
  const std::vector<float> x = waves(3 * 64, 0.3f), b = waves(4, 1);
  direct(x, b);
  again(x, b);
  for (std::size_t i = 0; i < outputs.size(); ++i)
    EXPECT_EQ(copy(again.output(i)), copy(direct.output(i))) << i;
  save_model(folder_ / "n.tir", loaded.outputs);
  EXPECT_EQ(load_model(folder_ / "n.tir").tape->print(), loaded.tape->print());
}

TEST_F(SavedGraph, KeepsTheOrderOfInputs) {
  Tape tape;
  const Tensor a = tape.input("a", {N}), b = tape.input("b", {N});
  save_model(folder_ / "m.tir", {b - a});
  Function function = compile(load_model(folder_ / "m.tir").outputs);
  EXPECT_EQ(function(std::vector<float>{1}, std::vector<float>{10})[0], 9);
}

TEST_F(SavedGraph, NarrowWeightsAreACheaperFile) {
  const nn::Linear model(64, 64);
  Tape tape;
  const Tensor y = model(tape.input("x", {N, 64}));
  save_model(folder_ / "wide.tir", {y});
  save_model(folder_ / "narrow.tir", {y}, safetensors::Type::f16);
  const auto wide = std::filesystem::file_size(folder_ / "wide.safetensors");
  const auto narrow = std::filesystem::file_size(folder_ / "narrow.safetensors");
  EXPECT_GT(wide - narrow, 64u * 64 * 2);
  const Model loaded = load_model(folder_ / "narrow.tir");
  const std::vector<float> exact = model.parameters()[0].second->read();
  const std::vector<float> rounded = loaded.tape->variables().at("weight")->read();
  for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(rounded[i], exact[i], 1e-4);
}

TEST_F(SavedGraph, WeightsMustBelongToTheGraph) {
  const nn::Linear model(2, 3);
  Tape tape;
  const Tensor y = model(tape.input("x", {N, 2}));
  save_model(folder_ / "a.tir", {y});
  save_model(folder_ / "b.tir", {relu(y)});
  const auto load = [&] { return error_of([&] { load_model(folder_ / "a.tir"); }); };
  ASSERT_EQ(load(), "no error");
  // As after a kill between the two files.
  std::filesystem::copy_file(folder_ / "b.safetensors", folder_ / "a.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(says(
      load(), "a.safetensors: was saved with another graph than " + (folder_ / "a.tir").string()));
  // Weights that were saved with no graph need only fit.
  save_weights(folder_ / "a.safetensors", model);
  EXPECT_EQ(load(), "no error");
  save_weights(folder_ / "a.safetensors", nn::Linear(2, 4, false));
  EXPECT_TRUE(says(load(),
                   "\"weight\" is F32[4,2] where the model has f32[3,2]; \"bias\" f32[3] is "
                   "missing"));
  std::filesystem::remove(folder_ / "a.safetensors");
  EXPECT_TRUE(says(load(), "a.safetensors: cannot be opened"));
}

TEST_F(SavedGraph, RefusesToSaveNonsense) {
  Tape tape, other;
  const Tensor x = tape.input("x", {N});
  EXPECT_TRUE(says(error_of([&] { save_model(folder_ / "m.tir", {}); }), "no outputs"));
  EXPECT_TRUE(says(error_of([&] {
                     save_model(folder_ / "m.tir", {x, other.input("x", {N})});
                   }),
                   "different tapes"));
  EXPECT_TRUE(says(error_of([&] { save_model(folder_ / "m.safetensors", {x}); }),
                   "is the name of the weights"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(SavedGraph, HostileText) {
  safetensors::write(folder_ / "m.safetensors", {});
  const std::string end = "\n  return \"y\" = %0\n}";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"graph {\n  %0 = input \"x\" : f32[N]" + end, "no error"},
      {"", "m.tir:1:1: expected 'graph'"},
      {"graph {\n  %0 = what\n}", "m.tir:2:8: expected the name of an op"},
      {"graph {\n  %0 = input \"x\" : f32[N]\n}", "has no outputs"},
      {"graph {\n  %0 = input \"\" : f32[N]" + end, "name"},
      {"graph {\n  %0 = input \"x\" : f32[N]\n  %1 = input \"x\" : f32[N]\n return \"y\" = %1" +
           end,
       "name"},
      {"graph {\n  %0 = input \"x\" : f32[N,16]{c16}" + end, "is made by compiling"},
      {"graph {\n  %0 = input \"x\" : f32[4]\n  %1 = relayout(%0) {layout=c16} : f32[4]" + end,
       "m.tir"},
      {"graph {\n  %0 = constant 0 : f32[2147483648]" + end, "is too large"},
      {"graph {\n  %0 = constant 0 : f32[2147483648,2147483648]" + end, "is too large"},
      {"graph {\n  %0 = constant 0 : f32[2147483648,2147483648,2]" + end, "m.tir:2:"},
      {"graph {\n  %0 = parameter \"w\" : f32[2147483647]" + end,
       "\"w\" f32[2147483647] is missing"},
      {"graph {\n  %0 = state \"w\" : f32[2]\n  %1 = relu(%0) : f32[2]\n  update %0 = %1" + end,
       "updates variables"},
  };
  for (const auto& [text, part] : cases) {
    write("m.tir", text);
    const std::string message = error_of([&] { load_model(folder_ / "m.tir"); });
    EXPECT_TRUE(says(message, part)) << text;
    if (part != "no error") {
      EXPECT_TRUE(says(message, folder_.string())) << text;
    }
  }
  EXPECT_TRUE(
      says(error_of([&] { load_model(folder_ / "none.tir"); }), "none.tir: cannot be opened"));
  EXPECT_TRUE(says(error_of([&] { load_model(folder_); }), "cannot be opened"));
}

}  // namespace
}  // namespace taper
