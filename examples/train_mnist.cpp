// The multilayer perceptron 784-128-64-10 on MNIST: 98 % in ten epochs, a few seconds.
#include "classifier.h"
#include "models.h"

int main(int argc, char** argv) {
  const Options options{
      .name = "train_mnist", .data = "data/mnist", .epochs = 10, .learning_rate = 5e-3};
  return run_classifier(argc, argv, options, [] {
    auto model = mlp();
    initialise(model);
    return model;
  });
}
