#!/usr/bin/env bash
# Measures bin/mp3lathe beside the ffmpeg command line. ARGS: see bench/main.go.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec go run ./bench "$@"
