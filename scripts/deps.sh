#!/usr/bin/env bash
# Checks that the tools for building mp3lathe are there, and installs what is missing with apt where
# that is possible; elsewhere it says what to run.
#
#   scripts/deps.sh          what a build needs
#   scripts/deps.sh --test   also what the tests judge the results with, and the servers that they run against
#   scripts/deps.sh --demo   also what the demo uses
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

missing=() # by the names of Debian's packages

needs_command() { has "$1" || missing+=("$2"); }

# A file that the compiler or the linker would find by itself.
needs_library() {
	local found=$1
	! has "${cc%% *}" || found=$($cc -print-file-name="$1")
	[ "$found" != "$1" ] || missing+=("$2")
}

check_go() {
	local wanted have
	wanted=$(sed -n 's/^go //p' "$root/go.mod")
	if ! has go; then
		[ ! -x /usr/local/go/bin/go ] ||
			die "Go is installed but not on the PATH; run: export PATH=\$PATH:/usr/local/go/bin"
		die "Go $wanted or newer is needed and not installed; see https://go.dev/doc/install"
	fi
	# Inside the module, Go fetches a newer Go by itself if it may, and otherwise says why not.
	have=$(cd "$root" && go env GOVERSION 2>&1) || die "Go $wanted or newer is needed; ${have##*go: }"
	have=${have#go}
	[ "$(printf '%s\n%s\n' "$wanted" "${have%% *}" | sort -V | head -n 1)" = "$wanted" ] ||
		die "Go $wanted or newer is needed, and this is Go $have; see https://go.dev/doc/install"
}

check_build() {
	needs_command git git
	needs_command make make
	needs_command "${cc%% *}" gcc
	needs_command pkg-config pkg-config
	needs_library crt1.o libc6-dev
	# What follows serves only to build the FFmpeg libraries.
	if [ "${LIBAV:-}" = system ] || "$root/scripts/libav.sh" path >/dev/null 2>&1; then
		return
	fi
	needs_command xz xz-utils
	case $(uname -m) in
	x86_64 | i?86) needs_command nasm nasm ;; # for FFmpeg's parts in assembly
	esac
}

check_test() {
	needs_command ffmpeg ffmpeg
	needs_command mpg123 mpg123
	needs_command mp3val mp3val
	needs_command lame lame
	# The servers; of MariaDB only the part that does not make it a service of the machine.
	PATH=$PATH:/usr/sbin needs_command mariadbd mariadb-server-core
	needs_command my_print_defaults mariadb-client-core # for mariadb-install-db, without which there are no data
	needs_command mariadb-dump mariadb-client         # for the test of a backup
	needs_command redis-server redis-server
}

# For the images: what runs containers, and the authorities that go into them.
check_deploy() {
	PATH=$PATH:/usr/sbin needs_command runc runc
	[ -r /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
}

check_demo() { needs_command curl curl; }

install_missing() {
	local sudo='' command
	[ "$(id -u)" = 0 ] || sudo='sudo '
	command="${sudo}apt-get update && ${sudo}apt-get install --no-install-recommends ${missing[*]}"
	if [ -n "$sudo" ] && ! sudo -n true 2>/dev/null; then
		die "not installed, and needed: ${missing[*]}; run: $command"
	fi
	say "installing ${missing[*]}"
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	# The lists of packages may be missing or out of date: fetch them only then.
	if ! apt_get install && ! { apt_get update; apt_get install; }; then
		die "apt-get could not install ${missing[*]} ($(sed -n 's/^E: *//p' "$log" | tail -n 1)); is there a network? Once it works, run: $command"
	fi
}

apt_get() {
	local words=(env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=120 "$1")
	[ "$1" != install ] || words+=(--no-install-recommends "${missing[@]}")
	[ -z "$sudo" ] || words=(sudo -n "${words[@]}")
	"${words[@]}" >>"$log" 2>&1 </dev/null
}

case ${1:-} in
'' | --test | --demo | --deploy) ;;
*) die "usage: scripts/deps.sh [--test | --demo | --deploy]" ;;
esac
check_go
check_build
[ "${1:-}" != --test ] || check_test
[ "${1:-}" != --demo ] || check_demo
[ "${1:-}" != --deploy ] || check_deploy
[ ${#missing[@]} -gt 0 ] || exit 0
has apt-get || die "not installed, and needed: ${missing[*]} (Debian's names); install that with this system's package manager"
install_missing
