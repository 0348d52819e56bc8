// Trains a model in one go; then trains it again in a process that is killed (SIGKILL) again and
// again and goes on from its checkpoint each time; and compares the weights bit for bit.
#include <fmt/format.h>
#include <sys/wait.h>
#include <taper/taper.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

#include "models.h"

namespace {

namespace fs = std::filesystem;

struct Options {
  std::string data = "data/mnist", checkpoint = {};
  std::int64_t epochs = 2;
  int kills = 5;
  bool worker = false;
};

// The whole training, from the checkpoint on if there is one. Returns the weights.
std::vector<float> train(const Options& options, const fs::path& checkpoint) {
  taper::manual_seed(0);
  taper::Tape tape;
  const auto images = tape.input("images", {taper::N, 1, 28, 28}, taper::DType::u8);
  const auto labels = tape.input("labels", {taper::N}, taper::DType::i32);
  const auto model = mlp();
  initialise(model);
  const auto logits = model(normalised(images));
  auto step = taper::compile(cross_entropy(logits, labels), taper::optim::Adam{}, {}, {logits});
  taper::data::DataLoader loader(taper::data::load_mnist(options.data, true),
                                 {.shuffle = true, .augment = {taper::data::Shift{1}}});
  taper::Trainer trainer(step);
  const taper::optim::OneCycle schedule{5e-3, options.epochs * loader.batches()};
  trainer.fit(loader, nullptr,
              {.epochs = options.epochs,
               .learning_rate = schedule,
               .progress = false,
               .checkpoint = checkpoint,
               .checkpoint_steps = 10,
               .resume = true});
  std::vector<float> weights;
  for (const auto& [name, variable] : model.parameters()) {
    const std::vector<float> values = variable->read();
    weights.insert(weights.end(), values.begin(), values.end());
  }
  return weights;
}

// Runs this program as a worker and kills it when it has done some of its work, as its checkpoint
// shows, unless `spare`. True when it came to its end.
bool run_worker(const Options& options, const fs::path& checkpoint, bool spare) {
  const std::string epochs = std::to_string(options.epochs);
  const bool existed = fs::exists(checkpoint);
  const auto before = existed ? fs::last_write_time(checkpoint) : fs::file_time_type::min();
  const pid_t child = fork();
  if (child < 0) throw taper::Error("resume: cannot start a process");
  if (child == 0) {
    execl("/proc/self/exe", "resume", "--worker", "--data", options.data.c_str(), "--checkpoint",
          checkpoint.c_str(), "--epochs", epochs.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  const auto progressed = [&] {
    std::error_code missing;
    const auto now = fs::last_write_time(checkpoint, missing);
    return !missing && now != before;
  };
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(7));
    if (spare || !progressed()) continue;
    std::this_thread::sleep_for(std::chrono::milliseconds(child % 50));  // anywhere, also in a save
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    break;
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return false;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw taper::Error("resume: the worker failed");
  return true;
}

// Trains in one go and with kills; the two must agree.
bool prove(const Options& options) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("taper-resume-{}", ::getpid());
  fs::create_directories(folder);
  const fs::path whole = folder / "whole.safetensors", killed = folder / "killed.safetensors";
  fmt::print("training {} epochs in one go\n", options.epochs);
  const std::vector<float> expected = train(options, whole);

  for (int i = 0; i < options.kills; ++i) {
    if (run_worker(options, killed, /*spare=*/false)) break;
    fmt::print("killed the training (SIGKILL); its checkpoint has {} steps done\n",
               taper::safetensors::File(killed).metadata().at("taper.step"));
  }
  run_worker(options, killed, /*spare=*/true);
  const std::vector<float> resumed = train(options, killed);  // nothing is left to do but to load
  fs::remove_all(folder);
  const bool same =
      expected.size() == resumed.size() &&
      std::memcmp(expected.data(), resumed.data(), expected.size() * sizeof(float)) == 0;
  fmt::print("{} weights, {}\n", expected.size(),
             same ? "the same bits as without the kills" : "NOT the same bits");
  return same;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Proves that a killed training goes on bit for bit.");
  app.add_option("--data", options.data, "folder of the four idx files of MNIST");
  app.add_option("--epochs", options.epochs)->check(CLI::Range(1, 1000));
  app.add_option("--kills", options.kills, "times to kill the training")->check(CLI::Range(0, 999));
  app.add_option("--checkpoint", options.checkpoint, "of the worker");
  app.add_flag("--worker", options.worker, "be the training that is killed");
  CLI11_PARSE(app, argc, argv);
  if (!options.worker) return prove(options) ? 0 : 1;
  train(options, options.checkpoint);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "resume: %s\n", error.what());
    return 1;
  }
}
