// Small dense networks with ReLU between the layers, trained with the mean squared error and Adam:
// one program in several libraries.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace taper::bench {

inline constexpr double kLearningRate = 1e-3, kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;

// What every library starts from.
struct NetData {
  std::vector<std::int64_t> widths;  // of the input and of each of the three layers
  std::int64_t batch = 0;
  std::vector<std::vector<float>> weights, biases;  // by layer; weights [out][in]
  std::vector<float> inputs, targets;               // [batch][width]
};

class Trainer {
 public:
  virtual ~Trainer() = default;
  // Forward, backward and update on the inputs and targets; returns the loss before the update.
  virtual float step() = 0;
  // Whether it started from the weights of the data, so that its losses are those of the others.
  virtual bool comparable() const { return true; }
};

std::unique_ptr<Trainer> make_taper_net(const NetData& data);
std::unique_ptr<Trainer> make_naive_net(const NetData& data);
std::unique_ptr<Trainer> make_dlib_net(const NetData& data);
std::unique_ptr<Trainer> make_torch_net(const NetData& data);

}  // namespace taper::bench
