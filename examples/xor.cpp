// Learns XOR: records a model on a tape, compiles a training step, trains, predicts.
#include <taper/taper.h>

#include <cstdio>
#include <vector>

int main() {
  const std::vector<float> points{0, 0, 0, 1, 1, 0, 1, 1};
  const std::vector<std::int32_t> classes{0, 1, 1, 0};

  taper::Tape tape;
  const auto x = tape.input("points", {taper::N, 2});
  const auto labels = tape.input("classes", {taper::N}, taper::DType::i32);
  const taper::nn::Sequential model{taper::nn::Linear(2, 16), taper::nn::ReLU(),
                                    taper::nn::Linear(16, 2)};
  const auto logits = model(x);

  auto step = taper::compile(cross_entropy(logits, labels), taper::optim::Adam{0.02f});
  auto predict = taper::compile(softmax(logits));
  for (int i = 0; i <= 300; ++i) {
    const float loss = step(points, classes);
    if (i % 100 == 0) std::printf("step %3d  loss %.4f\n", i, loss);
  }
  const auto chances = predict(points);
  for (std::size_t i = 0; i < classes.size(); ++i)
    std::printf("%g xor %g is 1 with probability %.3f\n", points[2 * i], points[2 * i + 1],
                chances[2 * i + 1]);
}
