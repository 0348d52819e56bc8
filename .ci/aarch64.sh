# Sourced by tests/run.sh: the cross compiler, the emulator, and the libraries of arm64, unpacked
# below build/ so that nothing of another architecture is installed.

aarch64_sysroot="$taper_root/build/aarch64-sysroot"
aarch64_packages=(g++-aarch64-linux-gnu qemu-user)
aarch64_libraries=(libasmjit-dev libfmt-dev libfmt9 zlib1g-dev zlib1g libzip-dev libzip4 libbz2-1.0
  libssl3 libgtest-dev)

# Fetches the libraries once; root is needed only to tell dpkg of the architecture.
need_aarch64() {
  need_packages "${aarch64_packages[@]}"
  [ -f "$aarch64_sysroot/complete" ] && return
  echo "Fetching arm64 libraries"
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  if ! dpkg --print-foreign-architectures | grep -qx arm64; then
    "${as_root[@]}" dpkg --add-architecture arm64
    "${as_root[@]}" apt-get update -qq || fail "apt-get update failed (is the network up?)"
  fi
  rm -rf "$aarch64_sysroot"
  mkdir -p "$aarch64_sysroot/packages"
  (cd "$aarch64_sysroot/packages" && apt-get download -qq "${aarch64_libraries[@]/%/:arm64}" \
    nlohmann-json3-dev 2>/dev/null) ||
    fail "apt-get could not download the arm64 libraries (is the network up?)"
  local package
  for package in "$aarch64_sysroot"/packages/*.deb; do dpkg -x "$package" "$aarch64_sysroot"; done
  touch "$aarch64_sysroot/complete"
}
