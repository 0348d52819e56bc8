#!/usr/bin/env bash
# tests/run.sh [--full]: installs what is missing, builds and runs every test: optimised, and under
# the address and undefined-behaviour sanitizers; some of them cross-built for AArch64 and emulated;
# then every fuzz target for 30 seconds. With --full every test is emulated too, a build without code
# generation runs the tests of the ops on an emulated RISC-V processor, a build with clang++ has to
# print the same text to the byte, and the transcendental functions are tried on every f32.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"
source "$taper_root/.ci/aarch64.sh"

full=no
case "$*" in
"") ;;
--full) full=yes ;;
*) fail "usage: tests/run.sh [--full]" ;;
esac

# Of the op sweep a sixth of the cases, unless all tests are run.
test_aarch64() {
  need_aarch64
  if [ "$full" = yes ]; then
    build aarch64 all
    echo "Testing on AArch64 (emulated)"
    ctest --test-dir build/aarch64 --output-on-failure -j"$(nproc)" ||
      fail "tests failed in build/aarch64"
    return
  fi
  local tests=(masm masm_control masm_memory kernel_gemm kernel_map kernel_row integers fingerprint)
  local pattern
  pattern=$(IFS='|' && echo "${tests[*]}")
  build aarch64 "${tests[@]/#/test_}" test_op_sweep
  echo "Testing on AArch64 (emulated)"
  ctest --test-dir build/aarch64 --output-on-failure -j"$(nproc)" -R "^($pattern)\$" ||
    fail "tests failed in build/aarch64"
  GTEST_TOTAL_SHARDS=6 GTEST_SHARD_INDEX=0 \
    ctest --test-dir build/aarch64 --output-on-failure -R '^op_sweep$' ||
    fail "the op sweep failed in build/aarch64"
}

test_riscv64() {
  need_packages g++-riscv64-linux-gnu qemu-user googletest
  build riscv64 all
  echo "Testing without code generation on RISC-V (emulated)"
  ctest --test-dir build/riscv64 --output-on-failure -j"$(nproc)" ||
    fail "tests failed in build/riscv64"
}

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
test_aarch64
if [ "$full" = yes ]; then
  "$taper_root/tests/compilers.sh"
  test_riscv64
  echo "Sweeping every f32 through the transcendental functions"
  TAPER_FULL=1 build/check/tests/test_math || fail "the exhaustive sweep failed"
fi
"$taper_root/tests/fuzz/run.sh" 30
