#!/usr/bin/env bash
# tests/run.sh: installs what is missing, builds and runs every test: optimised, and under the
# address and undefined-behaviour sanitizers; then every fuzz target for 30 seconds.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

need_packages "${build_packages[@]}" "${test_packages[@]}" clang-format
cd "$taper_root"

echo "Checking the format"
unformatted=$(git ls-files -- '*.h' '*.cpp' | while read -r file; do
  clang-format "$file" | cmp -s - "$file" || echo "$file"
done)
[ -z "$unformatted" ] || fail "clang-format -i would change" $unformatted

"$taper_root/examples/get_mnist.sh"
build check all
echo "Testing"
ctest --test-dir build/check --output-on-failure -j"$(nproc)" || fail "tests failed in build/check"
"$taper_root/tests/fuzz/run.sh" 30
