#!/usr/bin/env bash
# tests/fuzz/run.sh [SECONDS]: builds the fuzz targets and runs each for so long (30), two at a time,
# from the corpora of tests/fuzz/corpus. What they find on the way stays in build/fuzz/found.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../.ci/setup.sh"

seconds=${1:-30}
need_packages "${build_packages[@]}" "${fuzz_packages[@]}"
build fuzz fuzz

fuzz() {
  local found=build/fuzz/found/$1 log=build/fuzz/$1.log
  mkdir -p "$found"
  "build/fuzz/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -max_len=4096 -timeout=20 \
    -rss_limit_mb=1024 -artifact_prefix="build/fuzz/$1-" "$found" "tests/fuzz/corpus/$1" \
    >"$log" 2>&1 || fail "fuzz_$1 found an input that fails; see $log"
  echo "fuzz_$1: $(grep -ao '^Done .*' "$log")"
}

for pair in "safetensors npy" "idx ir"; do
  pids=()
  for name in $pair; do
    fuzz "$name" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
done
