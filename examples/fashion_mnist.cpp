// Fashion-MNIST, ten kinds of clothes, with the network of mnist_99_5: above 91.5 % test accuracy
// in five epochs. Mirrored clothes are clothes.
#include "classifier.h"
#include "models.h"

int main(int argc, char** argv) {
  const Options options{.name = "fashion_mnist",
                        .data = "/usr/share/datasets/fashion-mnist",
                        .epochs = 5,
                        .batch = 128,
                        .learning_rate = 1e-2,
                        .flip = true};
  return run_classifier(argc, argv, options, batchnorm_cnn);
}
