#!/usr/bin/env bash
# tests/run.sh: installs what is missing, builds and runs every test: optimised, then under the
# address and undefined-behaviour sanitizers.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

need_packages "${build_packages[@]}" "${test_packages[@]}" clang-format
cd "$taper_root"

echo "Checking the format"
git ls-files -z -- '*.h' '*.cpp' | xargs -0 clang-format --dry-run --Werror ||
  fail "the files above are not formatted; run clang-format -i on them"

"$taper_root/examples/get_mnist.sh"
for preset in release sanitize; do
  build "$preset" all
  echo "Testing build/$preset"
  ctest --test-dir "build/$preset" --output-on-failure -j"$(nproc)" || fail "tests failed in build/$preset"
done
