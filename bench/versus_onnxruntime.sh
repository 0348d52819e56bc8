#!/usr/bin/env bash
# bench/versus_onnxruntime.sh [OPTION...]: speed of inference against ONNX Runtime, the programs in
# turns: the cnn at batch 1 and 256, ResNet-18 at batch 1, on 1 and 2 threads. --help lists the
# options. Installs Debian's python3-torch, which writes the ONNX files, and the npm package
# onnxruntime-node into build/onnxruntime.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

need_packages "${build_packages[@]}" libbenchmark-dev libdnnl-dev ocl-icd-opencl-dev python3-torch
command -v npm >/dev/null || need_packages nodejs npm
build bench model_speed
folder=$taper_root/build/onnxruntime
mkdir -p "$folder"
if [ ! -d "$folder/node_modules/onnxruntime-node" ]; then
  echo "Installing onnxruntime-node into build/onnxruntime"
  # Its install script would fetch a library for GPUs.
  (cd "$folder" && npm install --prefix . --ignore-scripts --no-audit --no-fund onnxruntime-node >npm.log 2>&1) ||
    fail "npm could not install onnxruntime-node (is the network up?): $(grep -m1 'npm error' "$folder/npm.log")"
fi
for model in cnn resnet18; do
  if [ ! "$folder/$model.onnx" -nt "$taper_root/bench/torch_models.py" ]; then
    (cd "$folder" && /usr/bin/python3 "$taper_root/bench/torch_export.py" "$model" "$model.part") ||
      fail "PyTorch could not write $model as ONNX"
    mv "$folder/$model.part" "$folder/$model.onnx"
  fi
done
exec /usr/bin/python3 "$taper_root/bench/onnxruntime.py" "$@"
