#!/usr/bin/env bash
# Converts the files in testdata, the way a user would.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"
shopt -s nullglob nocaseglob
inputs=(testdata/*.{mp4,mov,m4a,m4b,m4v,3gp})
[ ${#inputs[@]} -gt 0 ] || die "there is nothing to convert in testdata; run: make fixtures"
mkdir -p build/demo
set -x
bin/mp3lathe convert --overwrite --output-dir build/demo "${inputs[@]}"
