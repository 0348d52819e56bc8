// taper train: trains a graph, or a model that comes with the command, on files.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "frontend/rerecord.h"
#include "frontend/taper/taper.h"
#include "tools/command.h"
#include "tools/settings.h"
#include "tools/source.h"
#include "tools/train_graph.h"

namespace taper::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExamples = R"(
The data is a folder of MNIST's four idx files, or of x_train.npy, y_train.npy, x_test.npy and
y_test.npy. A graph has one input besides its i32 labels; bytes are scaled to mean 0, deviation 1 of
MNIST for an f32 one.

Examples:
  taper train --data data/mnist --model mlp --epochs 3
  taper train --data data/mnist --model model.tir --loss loss --scores logits --save trained.tir
  taper train --data data/mnist --model cnn --checkpoint run.ckpt --resume
)";

struct TrainOptions {
  std::string data, model, loss = "loss", scores = "logits", save, checkpoint;
  std::int64_t epochs = 1, batch = 256;
  double learning_rate = 1e-3;
  std::uint64_t seed = 0;
  bool resume = false, quiet = false;
  Settings settings;
};

data::Dataset load(const fs::path& folder, bool train) {
  const std::string suffix = train ? "_train.npy" : "_test.npy";
  if (fs::exists(folder / ("x" + suffix)))
    return data::load_npy(folder / ("x" + suffix), folder / ("y" + suffix));
  return data::load_mnist(folder, train);
}

// The models that come with the command, for samples [N, ...] in ten classes: 128, 64, 10 features,
// ReLU between.
nn::Sequential mlp(const Shape& samples) {
  const std::int64_t features = ir::element_count(samples, 1);
  return nn::Sequential{nn::Flatten(), nn::Linear(features, 128), nn::ReLU(), nn::Linear(128, 64),
                        nn::ReLU(),    nn::Linear(64, 10)};
}

// Two 3x3 convolutions of 16 and 32 channels, each with ReLU and 2x2 pooling, then 10 features.
nn::Sequential cnn(const Shape& samples) {
  if (samples.size() != 4 || samples[2] < 4 || samples[3] < 4)
    throw Error("train: the model cnn takes images, not {}", ir::to_string(samples));
  const auto layer = [](std::int64_t in, std::int64_t out) {
    return nn::Conv2d(in, out, 3, {.padding = nn::same_padding(1)});
  };
  const std::int64_t features = 32 * (samples[2] / 4) * (samples[3] / 4);
  return nn::Sequential{
      layer(samples[1], 16), nn::ReLU(),    nn::MaxPool2d(2),        layer(16, 32), nn::ReLU(),
      nn::MaxPool2d(2),      nn::Flatten(), nn::Linear(features, 10)};
}

struct Recorded {
  Tensor loss, scores;
};

Tensor normalised(const Tensor& images) {
  if (images.dtype() == DType::f32) return images;
  return (cast(images, DType::f32) * (1 / 255.0) - 0.1307) / 0.3081;
}

Recorded record_layers(const TrainOptions& options, const Tensor& images, const Tensor& labels) {
  const nn::Sequential model = options.model == "mlp" ? mlp(images.shape()) : cnn(images.shape());
  for (const auto& [name, variable] : model.parameters())
    if (name.ends_with("weight")) init::kaiming_normal(*variable);
  const Tensor scores = model(normalised(images));
  return {mean(cross_entropy(scores, labels)), scores};
}

// The graph with the data set's samples for its inputs.
Recorded record_graph(const TrainOptions& options, const Tensor& images, const Tensor& labels) {
  const ir::Graph graph = ir::canonical(parse_source(read_source(options.model)));
  output_named(graph, options.loss);
  const runtime::Variables variables = variables_of(graph);
  for (const auto& [name, variable] : variables)
    if (variable->type().rank() > 1) init::kaiming_normal(*variable);
  std::size_t given = 0;
  const auto rule = [&](Rerecording&, ir::ValueId old) -> std::optional<ir::ValueId> {
    const ir::Node& node = graph[old];
    if (node.op != ir::Op::input) return std::nullopt;
    const bool is_label = node.type.dtype == DType::i32 && node.type.rank() == 1;
    ++given;
    const Tensor sample = is_label                        ? labels
                          : node.type.dtype == DType::f32 ? normalised(images)
                                                          : images;
    if (sample.shape() != node.type.shape || sample.dtype() != node.type.dtype)
      throw Error(node.location, "train: input \"{}\" is {}, but the data is {}", name_of(node),
                  to_string(node.type), to_string(ir::TensorType{sample.dtype(), sample.shape()}));
    return sample.id();
  };
  const std::vector<Tensor> outputs = Rerecording(graph, {}, variables, images.tape(), rule).run();
  if (given != 2) throw Error("{}: has {} inputs, not samples and labels", options.model, given);
  Recorded recorded;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (graph.outputs[i].name == options.loss) recorded.loss = outputs[i];
    if (graph.outputs[i].name == options.scores) recorded.scores = outputs[i];
  }
  output_named(graph, options.scores);
  if (!recorded.loss.shape().empty()) recorded.loss = mean(recorded.loss);
  return recorded;
}

// Said before the training, not after it.
void check_folder_of(const std::string& path) {
  if (path.empty() || fs::is_directory(fs::absolute(path).parent_path())) return;
  throw Error("{}: could not be saved: there is no such folder", path);
}

void train(const TrainOptions& options) {
  if (!fs::is_directory(options.data)) throw Error("{}: is no folder", options.data);
  check_folder_of(options.save);
  check_folder_of(options.checkpoint);
  const data::Dataset training = load(options.data, true), testing = load(options.data, false);
  manual_seed(options.seed);
  Tape tape;
  Shape shape{N};
  for (const std::int64_t extent : training.input().shape) shape.push_back(extent);
  const Tensor images = tape.input("images", shape, training.input().dtype);
  const Tensor labels = tape.input("labels", {N}, DType::i32);
  const bool layers = options.model == "mlp" || options.model == "cnn";
  const Recorded recorded =
      layers ? record_layers(options, images, labels) : record_graph(options, images, labels);
  const CompileOptions compiling = compile_options(options.settings, options.batch);
  auto step = compile(recorded.loss, optim::Adam{}, compiling, {recorded.scores});
  auto evaluate = compile({recorded.loss, recorded.scores}, compiling);
  data::DataLoader train_set(training,
                             {.batch = options.batch, .shuffle = true, .seed = options.seed});
  data::DataLoader test_set(testing, {.batch = options.batch});
  Trainer trainer(step, &evaluate);
  const optim::OneCycle schedule{options.learning_rate, options.epochs * train_set.batches()};
  const FitResult result = trainer.fit(train_set, &test_set,
                                       {.epochs = options.epochs,
                                        .learning_rate = schedule,
                                        .progress = !options.quiet,
                                        .checkpoint = options.checkpoint,
                                        .resume = options.resume});
  if (!result.error.empty()) throw Error(result.error);
  if (!options.save.empty()) save_model(options.save, {recorded.scores});
  fmt::print("test accuracy {:.2f} %, fingerprint {:016x}\n",
             100 * trainer.history().epochs.back().validation_accuracy,
             fingerprint(step.variables()));
}

}  // namespace

void add_train(CLI::App& app) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* command = app.add_subcommand("train", "Trains a graph or a model on files");
  command->footer(std::string(kExamples));
  command->option_defaults()->always_capture_default();
  command->add_option("--data", options->data, "folder of idx or npy files")->required();
  command->add_option("--model", options->model, "FILE.tir, mlp or cnn")->required();
  command->add_option("--loss", options->loss, "of FILE.tir: the output to make small");
  command->add_option("--scores", options->scores, "of FILE.tir: the output f32[N,classes]");
  command->add_option("--epochs", options->epochs, "passes over the data")
      ->check(CLI::Range(1, 10000));
  command->add_option("--batch", options->batch, "samples of a step")->check(CLI::Range(1, 65536));
  command
      ->add_option("--learning-rate", options->learning_rate, "peak of Adam's one-cycle schedule")
      ->check(CLI::PositiveNumber);
  command->add_option("--seed", options->seed, "of the initial weights and the order");
  command->add_option("--save", options->save,
                      "FILE.tir: the trained model, its weights beside it");
  auto* checkpoint = command->add_option("--checkpoint", options->checkpoint, "file to go on from");
  command->add_flag("--resume", options->resume, "go on where the checkpoint is, if there is one")
      ->needs(checkpoint);
  command->add_flag("--quiet", options->quiet, "no progress");
  command->add_option("--isa", options->settings.isa, ir::isa_names());
  command->add_option("--threads", options->settings.threads, "0: all CPUs")
      ->check(CLI::Range(0, 256));
  command->callback([options] { train(*options); });
}

}  // namespace taper::tools
