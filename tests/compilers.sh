#!/usr/bin/env bash
# tests/compilers.sh [FOLDER]: builds the command and the golden tests with clang++ too, and compares
# what both make of every golden graph: the text after every pass, and every stage, plan and listing
# on three instruction sets, byte for byte. FOLDER: of the build with c++ (build/check).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

need_packages "${build_packages[@]}" "${test_packages[@]}" clang
build clang taper_command test_golden
cd "$taper_root"
other=${1:-build/check}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Statuses are part of the output: some graphs have stages that cannot be compiled.
print_all() {
  local taper=$1 into=$2 file name isa
  for file in tests/golden/ir/*.tir; do
    name=$(basename "$file" .tir)
    mkdir -p "$into/$name"
    sed '/^\/\/ ----$/,$d' "$file" >"$work/$name.tir"
    "$taper" opt "$work/$name.tir" --print-after-all >"$into/$name/opt.txt" 2>&1 || echo $? >>"$into/$name/opt.txt"
    for isa in avx512 avx2 neon; do
      "$taper" compile "$work/$name.tir" --isa $isa --dump "$into/$name/$isa" >"$into/$name/$isa.txt" 2>&1 ||
        echo $? >>"$into/$name/$isa.txt"
    done
  done
  sed -i "s|$into|FOLDER|g" "$into"/*/*.txt
}

echo "Comparing what builds with c++ and clang++ print"
build/clang/tests/test_golden --gtest_brief=1 || fail "golden tests failed in build/clang"
print_all "$other/tools/taper" "$work/c++"
print_all build/clang/tools/taper "$work/clang++"
files=$(find "$work/c++" -type f | wc -l)
diff -r "$work/c++" "$work/clang++" || fail "builds with c++ and clang++ print other text"
echo "$files files are the same"
