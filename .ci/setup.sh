# Sourced by the run scripts: installs Debian packages that are missing and configures builds.
# Functions print what they do; a failure is one sentence on standard error and status 1.

taper_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_packages=(g++ cmake ninja-build libasmjit-dev libfmt-dev libcli11-dev zlib1g-dev
  nlohmann-json3-dev libzip-dev)
# libdnnl-dev asks CMake for OpenCL, which it only recommends.
test_packages=(libgtest-dev libdnnl-dev ocl-icd-opencl-dev)
fuzz_packages=(clang libclang-rt-14-dev)

fail() {
  echo "taper: $*" >&2
  exit 1
}

# need_packages PACKAGE...: root is needed only when one is missing.
need_packages() {
  command -v dpkg-query >/dev/null || fail "this script installs Debian packages; on another system install these yourself: $*"
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "Installing ${missing[*]}"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "these Debian packages are missing and only root can install them: ${missing[*]}"
    as_root=(sudo)
  fi
  local log
  log=$(mktemp)
  "${as_root[@]}" apt-get update -qq >"$log" 2>&1 || true
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >>"$log" 2>&1 ||
    fail "apt-get could not install ${missing[*]} (is the network up?): $(grep -m1 '^E:' "$log")"
  rm -f "$log"
}

# build PRESET TARGET...: configures once, then builds.
build() {
  local preset=$1
  shift
  cd "$taper_root"
  command -v c++ >/dev/null || fail "there is no C++ compiler (c++) on this machine"
  if [ ! -f "build/$preset/build.ninja" ]; then
    echo "Configuring build/$preset"
    cmake --preset "$preset" >"/tmp/taper-configure.$$" 2>&1 ||
      fail "CMake could not configure: $(grep -m1 -A3 'CMake Error' "/tmp/taper-configure.$$" | tr '\n' ' ')"
    rm -f "/tmp/taper-configure.$$"
  fi
  echo "Building build/$preset"
  cmake --build "build/$preset" --target "$@" -- -j"$(nproc)" --quiet || fail "the build of $preset failed"
}
