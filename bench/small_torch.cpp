#include <torch/torch.h>

#include "bench/small_net.h"

namespace taper::bench {
namespace {

torch::Tensor tensor_of(const std::vector<float>& values, std::int64_t rows, std::int64_t columns) {
  return torch::from_blob(const_cast<float*>(values.data()), {rows, columns}).clone();
}

class TorchNet final : public Trainer {
 public:
  explicit TorchNet(const NetData& data)
      : inputs_(tensor_of(data.inputs, data.batch, data.widths.front())),
        targets_(tensor_of(data.targets, data.batch, data.widths.back())) {
    torch::set_num_threads(1);
    for (std::size_t l = 0; l < data.weights.size(); ++l) {
      const std::int64_t in = data.widths[l], out = data.widths[l + 1];
      torch::nn::Linear linear(in, out);
      const torch::NoGradGuard guard;
      linear->weight.copy_(tensor_of(data.weights[l], out, in));
      linear->bias.copy_(tensor_of(data.biases[l], 1, out).flatten());
      if (l > 0) model_->push_back(torch::nn::ReLU());
      model_->push_back(linear);
    }
    adam_ = std::make_unique<torch::optim::Adam>(
        model_->parameters(),
        torch::optim::AdamOptions(kLearningRate).betas({kBeta1, kBeta2}).eps(kEpsilon));
  }

  float step() override {
    adam_->zero_grad();
    const torch::Tensor loss = torch::mse_loss(model_->forward(inputs_), targets_);
    loss.backward();
    adam_->step();
    return loss.item<float>();
  }

 private:
  torch::Tensor inputs_, targets_;
  torch::nn::Sequential model_;
  std::unique_ptr<torch::optim::Adam> adam_;
};

}  // namespace

std::unique_ptr<Trainer> make_torch_net(const NetData& data) {
  return std::make_unique<TorchNet>(data);
}

}  // namespace taper::bench
