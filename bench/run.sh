#!/usr/bin/env bash
# Measures bin/mp3lathe beside the ffmpeg command line and lame. ARGS: see bench/main.go.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# There is no free encoder for HE-AAC; a real file is taken from the corpus, if it is there.
he=${MP3LATHE_CORPUS:-}/ordinary/bbb_596s_heaac_remuxed_faststart.mp4
[ ! -f "$he" ] || set -- -he-aac "$he" "$@"
exec go run ./bench "$@"
