#!/usr/bin/env bash
# tools/run.sh [ARGUMENT...]: installs what is missing, builds the command taper and runs it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../.ci/setup.sh"

{
  need_packages "${build_packages[@]}"
  (build examples taper_command)
} >&2
exec "$taper_root/build/examples/tools/taper" "$@"
