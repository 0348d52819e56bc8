#include <taper/taper.h>

#include "bench/small_net.h"

namespace taper::bench {
namespace {

nn::Sequential network(const std::vector<std::int64_t>& widths) {
  return nn::Sequential{nn::Linear(widths[0], widths[1]), nn::ReLU(),
                        nn::Linear(widths[1], widths[2]), nn::ReLU(),
                        nn::Linear(widths[2], widths[3])};
}

class TaperNet final : public Trainer {
 public:
  explicit TaperNet(const NetData& data)
      : inputs_(data.inputs),
        targets_(data.targets),
        model_(network(data.widths)),
        step_(compile(loss(data), optim::Adam{.learning_rate = static_cast<float>(kLearningRate)},
                      {.max_batch = data.batch, .threads = 1})) {
    std::size_t weights = 0, biases = 0;
    for (const auto& [name, variable] : model_.parameters())
      variable->write(name.ends_with("weight") ? data.weights[weights++] : data.biases[biases++]);
  }
  float step() override { return step_(inputs_, targets_); }

 private:
  Tensor loss(const NetData& data) {
    const Tensor x = tape_.input("x", {N, data.widths.front()});
    const Tensor target = tape_.input("target", {N, data.widths.back()});
    return mse_loss(model_(x), target);
  }

  std::vector<float> inputs_, targets_;
  Tape tape_;
  nn::Sequential model_;
  TrainingStep step_;
};

}  // namespace

std::unique_ptr<Trainer> make_taper_net(const NetData& data) {
  return std::make_unique<TaperNet>(data);
}

}  // namespace taper::bench
