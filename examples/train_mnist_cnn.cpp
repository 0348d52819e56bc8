// A convolutional network without normalisation layers on MNIST.
#include "classifier.h"
#include "models.h"

int main(int argc, char** argv) {
  const Options options{
      .name = "train_mnist_cnn", .data = "data/mnist", .epochs = 6, .learning_rate = 3e-3};
  return run_classifier(argc, argv, options, [] {
    auto model = cnn();
    initialise(model);
    return model;
  });
}
