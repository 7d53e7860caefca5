# shellcheck shell=sh disable=SC3028
# Lets `go build` and editors find the FFmpeg libraries. From the top of the checkout: . ./scripts/env.sh
mp3lathe_env=$("$(dirname "${BASH_SOURCE:-./scripts/env.sh}")/libav.sh" env) && eval "$mp3lathe_env" && unset mp3lathe_env
