// Weights and checkpoints: what is saved comes back to the bit, training goes on as if it had never
// stopped, and a file that does not fit changes nothing.
#include "frontend/checkpoint.h"

#include <cmath>
#include <limits>

#include "frontend/compile.h"
#include "frontend/loss.h"
#include "frontend/optim.h"
#include "frontend/schedule.h"
#include "tests/temporary_folder.h"

namespace taper {
namespace {

using Checkpoint = TemporaryFolder;

nn::Sequential small_model() {
  return nn::Sequential(nn::Conv2d(1, 5, 3), nn::BatchNorm2d(5), nn::ReLU(), nn::Flatten(),
                        nn::Linear(5 * 4 * 4, 4));
}

std::map<std::string, std::vector<float>> values_of(const Variables& variables) {
  std::map<std::string, std::vector<float>> values;
  for (const auto& [name, variable] : variables) values.emplace(name, variable->read());
  return values;
}
Variables all_of(const nn::Module& module) {
  Variables variables;
  for (const auto& [name, variable] : module.parameters()) variables.emplace(name, variable);
  for (const auto& [name, variable] : module.buffers()) variables.emplace(name, variable);
  return variables;
}

// ---- Weights ----

TEST_F(Checkpoint, WeightsRoundTripToTheBit) {
  const nn::Sequential from = small_model(), to = small_model();
  ASSERT_NE(values_of(all_of(from)), values_of(all_of(to)));
  save_weights(folder_ / "w", from);
  load_weights(folder_ / "w", to);
  EXPECT_EQ(values_of(all_of(from)), values_of(all_of(to)));
}

TEST_F(Checkpoint, WeightsHaveTheNamesAndShapesOfPyTorch) {
  save_weights(folder_ / "w", small_model(), {.metadata = {{"note", "x"}}});
  safetensors::File file(folder_ / "w");
  std::map<std::string, std::string> found;
  for (const auto& [name, entry] : file.tensors()) found[name] = to_string(entry);
  EXPECT_EQ(found, (std::map<std::string, std::string>{{"0.weight", "F32[5,1,3,3]"},
                                                       {"0.bias", "F32[5]"},
                                                       {"1.weight", "F32[5]"},
                                                       {"1.bias", "F32[5]"},
                                                       {"1.running_mean", "F32[5]"},
                                                       {"1.running_var", "F32[5]"},
                                                       {"1.num_batches_tracked", "I64[]"},
                                                       {"4.weight", "F32[4,80]"},
                                                       {"4.bias", "F32[4]"}}));
  EXPECT_EQ(file.metadata(), (safetensors::Metadata{{"format", "pt"}, {"note", "x"}}));
}

// The compiled function has given the variables blocked layouts; the file is row-major.
TEST_F(Checkpoint, LayoutsOfCompiledProgramsDoNotShow) {
  const nn::Sequential model = small_model();
  save_weights(folder_ / "before", model);
  Tape tape;
  const auto predict = compile(model(tape.input("x", {N, 1, 6, 6})));
  save_weights(folder_ / "after", model);
  EXPECT_EQ(contents(folder_ / "before"), contents(folder_ / "after"));
  const nn::Sequential other = small_model();
  save_weights(folder_ / "other", other);
  load_weights(folder_ / "other", model);
  EXPECT_EQ(values_of(all_of(model)), values_of(all_of(other)));
}

TEST_F(Checkpoint, NarrowStorageRoundsOnceAndLoads) {
  const auto variable = std::make_shared<Variable>("w", ir::TensorType{DType::f32, {4}});
  variable->write(std::vector<float>{1.0009765f, 65520, 1e-8f, -3});
  save_weights(folder_ / "f16", Variables{{"w", variable}}, {.floats = safetensors::Type::f16});
  save_weights(folder_ / "bf16", Variables{{"w", variable}}, {.floats = safetensors::Type::bf16});
  const auto loaded = [&](const char* name) {
    load_weights(folder_ / name, Variables{{"w", variable}});
    return variable->read();
  };
  EXPECT_EQ(loaded("bf16"), (std::vector<float>{1, 65536, 1.0011718e-08f, -3}));
  EXPECT_EQ(loaded("f16"), (std::vector<float>{1.0009765625f, HUGE_VALF, 0, -3}));
  EXPECT_TRUE(says(
      error_of([&] {
        save_weights(folder_ / "i8", Variables{{"w", variable}}, {.floats = safetensors::Type::i8});
      }),
      "I8 cannot hold f32"));
}

TEST_F(Checkpoint, IntegerVariablesKeepTheirType) {
  const auto variable = std::make_shared<Variable>("w", ir::TensorType{DType::i8, {3}});
  variable->write(std::vector<float>{-128, 0, 127});
  save_weights(folder_ / "w", Variables{{"w", variable}}, {.floats = safetensors::Type::f16});
  EXPECT_EQ(to_string(*safetensors::File(folder_ / "w").find("w")), "I8[3]");
  variable->write(std::vector<float>{0, 0, 0});
  load_weights(folder_ / "w", Variables{{"w", variable}});
  EXPECT_EQ(variable->read(), (std::vector<float>{-128, 0, 127}));
  const auto floats = std::make_shared<Variable>("w", ir::TensorType{DType::f32, {3}});
  save_weights(folder_ / "f", Variables{{"w", floats}});
  EXPECT_TRUE(says(error_of([&] {
                     load_weights(folder_ / "f", Variables{{"w", variable}});
                   }),
                   "\"w\" is F32[3] where the model has i8[3]"));
}

TEST_F(Checkpoint, EveryMisfitIsListedAndNothingChanges) {
  save_weights(folder_ / "w", nn::Sequential(nn::Linear(3, 2), nn::ReLU(), nn::Linear(2, 2)));
  const nn::Sequential model(nn::Linear(3, 2), nn::Linear(2, 5));
  const nn::Sequential wide(nn::Linear(4, 2), nn::ReLU(), nn::Linear(2, 2, false));
  const auto before = values_of(all_of(model));
  const std::string message = error_of([&] { load_weights(folder_ / "w", model); });
  EXPECT_EQ(message, (folder_ / "w").string() +
                         ": does not fit the model: \"1.weight\" f32[5,2] is missing; \"1.bias\" "
                         "f32[5] is missing; \"2.bias\" F32[2] is unknown; \"2.weight\" F32[2,2] "
                         "is unknown");
  EXPECT_EQ(values_of(all_of(model)), before);
  const std::string other = error_of([&] { load_weights(folder_ / "w", wide); });
  EXPECT_TRUE(says(other, "\"0.weight\" is F32[2,3] where the model has f32[2,4]; \"2.bias\""));
}

// ---- Checkpoints ----

data::Dataset samples() {
  std::vector<float> images;
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 150; ++i) {
    labels.push_back(i % 4);
    for (int p = 0; p < 36; ++p) images.push_back(std::sin(static_cast<float>(i * p + i % 4)));
  }
  return {data::Array(std::move(images), {1, 6, 6}), data::Array(std::move(labels))};
}

// A program that trains: made anew, as after a crash, it resumes from a file.
struct Training {
  nn::Sequential model = small_model();
  Tape tape;
  Tensor scores = model(tape.input("x", {N, 1, 6, 6}));
  Tensor labels = tape.input("y", {N}, DType::i32);
  TrainingStep step;
  data::DataLoader loader;
  optim::OneCycle schedule{0.01, 100};

  template <class Optimizer>
  Training(const Optimizer& optimizer, int threads)
      : step(compile(cross_entropy(scores, labels), optimizer, {.threads = threads})),
        loader(samples(), {.batch = 8, .shuffle = true, .seed = 3, .prefetch = 2}) {}

  std::vector<float> run(std::int64_t steps) {
    std::vector<float> losses;
    while (static_cast<std::int64_t>(losses.size()) < steps) {
      const data::Batch batch = loader.next();
      if (batch.size == 0) {
        loader.start_epoch(loader.position().epoch + 1);
        continue;
      }
      step.learning_rate = schedule(step.calls);
      losses.push_back(step(batch.inputs, batch.targets));
    }
    return losses;
  }
};

class Resume : public TemporaryFolder {
 protected:
  template <class Optimizer>
  void expect_same(const Optimizer& optimizer) {
    manual_seed(5);
    Training whole(optimizer, 1);
    const auto first = whole.run(50);
    save_checkpoint(folder_ / "c", whole.step.variables(),
                    {.step = whole.step.calls,
                     .schedule = {{"best", 0.1}},
                     .position = whole.loader.position(),
                     .user = {{"note", "half"}}});
    const auto second = whole.run(50);

    manual_seed(99);
    Training again(optimizer, 2);
    const TrainingState state = load_checkpoint(folder_ / "c", again.step.variables());
    EXPECT_EQ(state.schedule, (std::map<std::string, double>{{"best", 0.1}}));
    EXPECT_EQ(state.user, (std::map<std::string, std::string>{{"note", "half"}}));
    again.step.calls = state.step;
    again.loader.seek(state.position);
    EXPECT_EQ(again.run(50), second);
    EXPECT_EQ(values_of(again.step.variables()), values_of(whole.step.variables()));
    EXPECT_NE(first, second);
  }
};

TEST_F(Resume, AdamGoesOnBitForBit) {
  expect_same(optim::Adam{});
}
TEST_F(Resume, SgdWithMomentumGoesOnBitForBit) {
  expect_same(optim::SGD{.momentum = 0.9, .dampening = 0.1});
}

TEST_F(Checkpoint, RandomNumbersGoOn) {
  manual_seed(7);
  const nn::Linear before(3, 3);
  save_checkpoint(folder_ / "c", {}, {});
  const nn::Linear next(3, 3);
  manual_seed(1);
  load_checkpoint(folder_ / "c", {});
  EXPECT_EQ(values_of(all_of(nn::Linear(3, 3))), values_of(all_of(next)));
}

TEST_F(Checkpoint, StateIsExact) {
  const double inf = std::numeric_limits<double>::infinity();
  const TrainingState state{
      .step = std::int64_t{1} << 60,
      .schedule = {{"best", inf}, {"a.b", -0.1}, {"tiny", 5e-324}, {"third", 1.0 / 3}},
      .position = {.epoch = ~std::uint64_t{0}, .batch = 12},
      .user = {{"name", "\"quoted\"\n"}, {"", ""}}};
  save_checkpoint(folder_ / "c", {}, state);
  const TrainingState found = load_checkpoint(folder_ / "c", {});
  EXPECT_EQ(found.step, state.step);
  EXPECT_EQ(found.schedule, state.schedule);
  EXPECT_EQ(found.position, state.position);
  EXPECT_EQ(found.user, state.user);
}

TEST_F(Checkpoint, WeightsAloneAreNoCheckpoint) {
  const auto variable = std::make_shared<Variable>("w", ir::TensorType{DType::f32, {1}});
  const Variables variables{{"w", variable}};
  save_weights(folder_ / "w", variables);
  EXPECT_TRUE(says(error_of([&] { load_checkpoint(folder_ / "w", variables); }),
                   "w: is no checkpoint of taper: its metadata has no number \"taper.step\""));
  save_weights(folder_ / "w", variables, {.metadata = {{"taper.step", "1x"}}});
  EXPECT_TRUE(says(error_of([&] { load_checkpoint(folder_ / "w", variables); }), "\"taper.step\""));
  EXPECT_TRUE(says(error_of([&] {
                     save_checkpoint(folder_ / "c", variables, {.user = {{"taper.x", ""}}});
                   }),
                   "\"taper.x\" is one of taper's own"));
}

TEST_F(Checkpoint, ACheckpointThatDoesNotFitChangesNothing) {
  const auto variable = std::make_shared<Variable>("w", ir::TensorType{DType::f32, {1}});
  manual_seed(4);
  save_checkpoint(folder_ / "c", {{"w", variable}}, {});
  manual_seed(8);
  variable->write(std::vector<float>{3});
  const auto extra = std::make_shared<Variable>("v", ir::TensorType{DType::f32, {1}});
  EXPECT_TRUE(says(error_of([&] {
                     load_checkpoint(folder_ / "c", {{"w", variable}, {"v", extra}});
                   }),
                   "\"v\" f32[1] is missing"));
  EXPECT_EQ(variable->read(), std::vector<float>{3});
  EXPECT_EQ(random_state(), (RandomState{8, 0}));
}

}  // namespace
}  // namespace taper
