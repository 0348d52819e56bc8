#!/usr/bin/env bash
# examples/run.sh [NAME] [OPTION...]: installs what is missing, fetches and verifies the data, builds
# the example and runs it. Options go to the program; --help lists them.
#   mnist_99_5       about 99.5 % on MNIST in five epochs (the default)
#   train_mnist      a multilayer perceptron on MNIST (also: mlp)
#   train_mnist_cnn  a convolutional network on MNIST (also: cnn)
#   fashion_mnist    the network of mnist_99_5 on Fashion-MNIST
#   ptq_quantize     f32, f16 and int8: size, accuracy, speed
#   resume           a training that is killed and goes on, bit for bit
#   imagenet_models  ResNet-18, MobileNetV2 or VGG-11 on synthetic images: memory, speed
#   xor              a whole program on one screen
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

name=mnist_99_5
case "${1:-}" in
  -* | "") ;;
  mlp) name=train_mnist && shift ;;
  cnn) name=train_mnist_cnn && shift ;;
  mnist_99_5 | train_mnist | train_mnist_cnn | fashion_mnist | ptq_quantize | resume | imagenet_models | xor)
    name=$1 && shift ;;
  *) fail "unknown example \"$1\"; there are mnist_99_5, train_mnist (mlp), train_mnist_cnn (cnn), fashion_mnist, ptq_quantize, resume, imagenet_models and xor" ;;
esac

need_packages "${build_packages[@]}"
fashion=/usr/share/datasets/fashion-mnist
options=()
[ "$name" != fashion_mnist ] || need_packages dataset-fashion-mnist
case $name in
  imagenet_models | xor) ;;
  fashion_mnist) options=(--data "$fashion") ;;
  *)
    "$taper_root/examples/get_mnist.sh"
    options=(--data "$taper_root/data/mnist")
    ;;
esac
case $name in
  mnist_99_5 | train_mnist | train_mnist_cnn | fashion_mnist)
    options+=(--history "$taper_root/build/examples/$name") ;;
  ptq_quantize) options+=(--files "$taper_root/build/examples/$name-models") ;;
esac
build examples "$name"
exec "$taper_root/build/examples/examples/$name" "${options[@]}" "$@"
