#!/usr/bin/env bash
# bench/versus_torch.sh [THREADS [PAIRS]]: training speed of both models against PyTorch, the two
# programs in turn, with the median, the spread and the ratio. Installs Debian's python3-torch.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

threads=${1:-2}
pairs=${2:-5}
need_packages "${build_packages[@]}" libbenchmark-dev libdnnl-dev ocl-icd-opencl-dev python3-torch libopenblas0-openmp
"$taper_root/examples/get_mnist.sh"
build bench train_speed

# OpenBLAS with its own threads fights PyTorch's OpenMP threads for the cores; the OpenMP build does not.
blas=$(ls /usr/lib/*/openblas-openmp/libopenblas.so.0 2>/dev/null | head -n 1)
ours() { "$taper_root/build/bench/bench/train_speed" --data "$taper_root/data/mnist" --threads "$threads" "$@"; }
torch() {
  env ${blas:+LD_PRELOAD="$blas"} OMP_NUM_THREADS="$threads" \
    /usr/bin/python3 "$taper_root/bench/torch_speed.py" --data "$taper_root/data/mnist" --threads "$threads" "$@"
}

median() { sort -n | awk '{v[NR]=$1} END {print NR % 2 ? v[(NR+1)/2] : (v[NR/2]+v[NR/2+1])/2}'; }

printf '%s threads, %s pairs, images/s: median (minimum..maximum)\n' "$threads" "$pairs"
printf '%-6s %-28s %-28s %s\n' model taper PyTorch 'ratio (of each pair)'
for model in mlp cnn; do
  steps=$([ "$model" = mlp ] && echo 1000 || echo 20)
  a=() b=() r=()
  for ((i = 0; i < pairs; ++i)); do
    a+=("$(ours --model "$model" --steps "$steps")")
    b+=("$(torch --model "$model" --steps "$steps")")
    r+=("$(awk "BEGIN {printf \"%.2f\", ${a[-1]} / ${b[-1]}}")")
  done
  summary() { printf '%s (%s..%s)' "$(printf '%s\n' "$@" | median)" "$(printf '%s\n' "$@" | sort -n | head -n 1)" "$(printf '%s\n' "$@" | sort -n | tail -n 1)"; }
  printf '%-6s %-28s %-28s %s\n' "$model" "$(summary "${a[@]}")" "$(summary "${b[@]}")" "$(summary "${r[@]}")"
done
