#!/usr/bin/env bash
# bench/run.sh [FILTER [OPTION...]]: the generated kernels against oneDNN's, and dense ones also
# against those of OpenBLAS and libxsmm. FILTER is a regular expression over names such as
# layers/resnet50/64-64@56_k3s1p1/n16/forward or dense/256x784x128/backward_weights, so that the
# prefix of a set picks it; see kernels --help for options.
# bench/run.sh small|compile|contract|profiling|errors [OPTION...]: training steps of small networks
# against libtorch, dlib and a plain loop; the time from a recorded tape to the first result; what
# the fixed order of reductions costs; what profiling costs; the errors of Winograd's convolutions.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

# Peers that the package source does not have are left out of the tables.
peers_of() {
  local package
  for package in "$@"; do
    if apt-cache show "$package" >/dev/null 2>&1; then
      echo "$package"
    else
      echo "There is no package $package: its library is left out" >&2
    fi
  done
}

case ${1:-.} in
  small) target=small peers=(libdlib-dev libtorch-dev) ;;
  compile) target=compile_time peers=() ;;
  contract) target=contract peers=() ;;
  profiling) target=profiling peers=() ;;
  errors) target=winograd_error peers=() ;;
  *) target=kernels peers=(libopenblas-openmp-dev libxsmm-dev) ;;
esac
mapfile -t peers < <(peers_of "${peers[@]}")
need_packages "${build_packages[@]}" libbenchmark-dev libdnnl-dev ocl-icd-opencl-dev "${peers[@]}"
# An earlier configuration may not know of peers that are there now.
cache=$taper_root/build/bench/CMakeCache.txt
if grep -qs '^TAPER_.*_LIBRARY:.*NOTFOUND' "$cache"; then cmake "$taper_root/build/bench" >/dev/null; fi
build bench "$target"

program=$taper_root/build/bench/bench/$target
if [ "$target" = kernels ]; then
  exec "$program" --benchmark_filter="${1:-.}" "${@:2}"
fi
exec "$program" "${@:2}"
