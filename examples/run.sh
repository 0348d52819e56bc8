#!/usr/bin/env bash
# examples/run.sh [cnn|mlp] [OPTION...]: installs what is missing, fetches and verifies MNIST, builds
# and trains. Options go to the program: --epochs, --seed, --threads, --batch (see --help).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

model=cnn
case "${1:-}" in
  cnn | mlp) model=$1 && shift ;;
  -* | "") ;;
  *) fail "unknown example \"$1\"; there are cnn and mlp" ;;
esac

need_packages "${build_packages[@]}"
"$taper_root/examples/get_mnist.sh"
build examples train_mnist
exec "$taper_root/build/examples/examples/train_mnist" --model "$model" --data "$taper_root/data/mnist" "$@"
