// MNIST to about 99.5 % test accuracy in five epochs: BatchNorm, a one-cycle schedule with a high
// peak, no weight decay, and training images that move by up to two pixels.
#include "classifier.h"
#include "models.h"

int main(int argc, char** argv) {
  const Options options{.name = "mnist_99_5",
                        .data = "data/mnist",
                        .epochs = 5,
                        .batch = 128,
                        .learning_rate = 1e-2,
                        .shift = 2};
  return run_classifier(argc, argv, options, batchnorm_cnn);
}
