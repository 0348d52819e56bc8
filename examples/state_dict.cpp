// The other half of tests/state_dict_roundtrip.py: writes the weights of a model, or its logits for
// the weights and images of files.
#include <fmt/format.h>
#include <taper/taper.h>

#include <string>

#include "frontend/npy.h"
#include "models.h"

namespace {

taper::nn::Sequential model_named(const std::string& name) {
  if (name == "cnn") return cnn();
  if (name == "batchnorm_cnn") return batchnorm_cnn();
  throw taper::Error(fmt::format("there is no model \"{}\"", name));
}

// Random running statistics too: those of a new model are 0 and 1.
void save(const std::string& name, const std::string& weights) {
  const taper::nn::Sequential model = model_named(name);
  for (const auto& [parameter, variable] : model.parameters())
    if (parameter.ends_with("weight") && variable->type().shape.size() > 1)
      taper::init::kaiming_normal(*variable);
  for (const auto& [buffer, variable] : model.buffers()) {
    if (buffer.ends_with("running_mean")) taper::init::normal(*variable, 0, 0.1);
    if (buffer.ends_with("running_var")) taper::init::uniform(*variable, 0.5, 2);
    if (buffer.ends_with("num_batches_tracked")) taper::init::constant(*variable, 7);
  }
  taper::save_weights(weights, model);
}

void infer(const std::string& name, const std::string& weights, const std::string& images,
           const std::string& logits) {
  const taper::nn::Sequential model = model_named(name);
  taper::load_weights(weights, model);
  taper::Tape tape;
  const auto x = tape.input("images", {taper::N, 1, 28, 28}, taper::DType::u8);
  auto function = taper::compile(model(normalised(x)));
  const auto scores = function(taper::data::read_npy(images).to<std::uint8_t>());
  const std::vector<float> copy(scores.begin(), scores.end());
  const auto rows = static_cast<std::int64_t>(copy.size() / 10);
  taper::data::write_npy(logits, taper::data::NpyArray::of({rows, 10}, copy));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 3 && words[0] == "save") {
      save(words[1], words[2]);
    } else if (words.size() == 5 && words[0] == "logits") {
      infer(words[1], words[2], words[3], words[4]);
    } else {
      fmt::print(stderr, "state_dict save MODEL WEIGHTS | logits MODEL WEIGHTS IMAGES LOGITS\n");
      return 1;
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "state_dict: {}\n", error.what());
    return 1;
  }
  return 0;
}
