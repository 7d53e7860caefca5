# shellcheck shell=bash disable=SC2034
# What the scripts here share; sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export root

say() { printf 'mp3lathe: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# The C compiler, as cgo picks it.
cc=${CC:-gcc}
