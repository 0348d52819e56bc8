#!/usr/bin/env bash
# bench/run.sh [FILTER [OPTION...]]: the generated kernels against oneDNN's on one thread; the table
# at the end is Markdown. FILTER is a regular expression over names such as
# conv3x3/32-64@14/n32/forward or dense/256x784x128/backward_weights. See kernels --help for options.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

filter=${1:-.}
need_packages "${build_packages[@]}" libbenchmark-dev libdnnl-dev
build bench kernels
exec "$taper_root/build/bench/bench/kernels" --benchmark_filter="$filter" "${@:2}"
