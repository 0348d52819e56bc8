#!/usr/bin/env bash
# bench/step.sh [MODEL...] [OPTION...]: speed and memory of whole training steps against PyTorch, the
# programs in turns. Models are mlp, cnn, resnet18 and mobilenet_v2 (all of them unless named);
# --help lists the options. Installs Debian's python3-torch.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

need_packages "${build_packages[@]}" libbenchmark-dev libdnnl-dev ocl-icd-opencl-dev python3-torch libopenblas0-openmp
"$taper_root/examples/get_mnist.sh"
build bench model_speed
exec /usr/bin/python3 "$taper_root/bench/step.py" "$@"
