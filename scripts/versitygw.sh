#!/usr/bin/env bash
# Builds versitygw, the S3 server that the tests run against, once, in the cache outside the
# checkout that scripts/libav.sh uses too.
#
#   scripts/versitygw.sh build   build it if it is not there yet, and print where it is
#   scripts/versitygw.sh path    print where it is; fails if it is not built
#   scripts/versitygw.sh clean   remove it from the cache
#
# MP3LATHE_CACHE names another folder for the cache.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

version=v1.8.0
module=github.com/versity/versitygw/cmd/versitygw

cache=${MP3LATHE_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set, so name a folder with MP3LATHE_CACHE}/.cache}/mp3lathe}
case $cache in
/*) ;;
*) die "the cache folder '$cache' must be an absolute path; check MP3LATHE_CACHE" ;;
esac
work=$cache/versitygw-work
log=$cache/versitygw.log

# The toolchain as it is outside any module, so that the answer does not depend on where this runs.
binary() {
	has go || die "there is no Go here; run: make setup"
	echo "$cache/versitygw-$version-$(cd / && GOFLAGS='' go env GOVERSION | tr -c 'a-zA-Z0-9.\n' -)"
}

# One build at a time. The lock goes with the last process that holds it, however that one ends.
lock() {
	exec 9>"$cache/versitygw-lock"
	has flock || return 0
	flock -n 9 && return
	say "another build of versitygw is at work; waiting for it"
	flock 9
}

build() {
	local target
	target=$(binary)
	if [ ! -x "$target" ]; then
		mkdir -p "$cache" || die "cannot make the cache folder $cache; set MP3LATHE_CACHE to a folder of yours"
		lock
		# Somebody else may have built it while this one waited.
		[ -x "$target" ] || compile "$target"
	fi
	echo "$target"
}

compile() {
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	trap 'rm -rf "$work"' EXIT
	rm -rf "$work" # left by a build that was killed
	mkdir -p "$work"
	say "building versitygw $version, the S3 server of the tests, once (about two minutes on 2 cores; log: $log)"
	local started=$SECONDS
	# Outside the checkout, so that no go.mod, go.work or vendor folder has a say.
	if ! (cd "$work" && GOFLAGS='' GOWORK=off GOOS='' GOARCH='' CGO_ENABLED=0 GOBIN="$work" go install -trimpath "$module@$version") >"$log" 2>&1; then
		say "the last lines of $log:"
		tail -n 25 "$log" | sed 's/^/    /' >&2
		die "building versitygw failed"
	fi
	"$work/versitygw" --version >>"$log" 2>&1 || die "versitygw was built, but it does not run; see $log"
	mv "$work/versitygw" "$1"
	say "versitygw is ready after $((SECONDS - started)) s"
}

case ${1:-} in
build) build ;;
path)
	target=$(binary)
	[ -x "$target" ] || die "versitygw is not built yet; run: make test-setup"
	echo "$target"
	;;
clean)
	# Only what is ours: MP3LATHE_CACHE may name a folder that holds other things too.
	rm -rf "$work" "$log" "$cache/versitygw-lock" "$cache"/versitygw-v*
	rmdir "$cache" 2>/dev/null || true
	;;
*)
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
