# shellcheck shell=bash disable=SC2034,SC2154
# How the scripts build a server for the tests, once, outside the checkout; sourced behind
# common.sh, never run.

cache=${MP3LATHE_CACHE:-${XDG_CACHE_HOME:-${HOME:?is not set, so name a folder with MP3LATHE_CACHE}/.cache}/mp3lathe}
case $cache in
/*) ;;
*) die "the cache folder '$cache' must be an absolute path; check MP3LATHE_CACHE" ;;
esac

# The version of Go as it is outside any module, so that it does not depend on where a
# script runs, for names of files.
go_version() {
	has go || die "there is no Go here; run: make setup"
	(cd / && GOFLAGS='' go env GOVERSION | tr -c 'a-zA-Z0-9.\n' -)
}

# build_once NAME TARGET: compiles a server of the tests into the cache, if it is not there,
# and prints where it is. The caller defines compile, which puts $work/NAME together and
# prints to $log. One build of a NAME at a time: the lock goes with the last process that
# holds it, however that one ends.
build_once() {
	if [ ! -x "$2" ]; then
		mkdir -p "$cache" || die "cannot make the cache folder $cache; set MP3LATHE_CACHE to a folder of yours"
		exec 9>"$cache/$1-lock"
		if has flock && ! flock -n 9; then
			say "another build of $1 is at work; waiting for it"
			flock 9
		fi
		# Somebody else may have built it while this one waited.
		[ -x "$2" ] || compile_once "$1" "$2"
	fi
	echo "$2"
}

compile_once() {
	work=$cache/$1-work log=$cache/$1.log
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	trap 'rm -rf "$work"' EXIT
	rm -rf "$work" # left by a build that was killed
	mkdir -p "$work"
	say "$1 for the tests is built or fetched, once (up to two minutes on 2 cores; log: $log)"
	local started=$SECONDS
	if ! compile >"$log" 2>&1; then
		say "the last lines of $log:"
		tail -n 25 "$log" | sed 's/^/    /' >&2
		die "there is no $1"
	fi
	"$work/$1" --help >>"$log" 2>&1 || die "$1 was built, but it does not run; see $log"
	mv "$work/$1" "$2"
	say "$1 is ready after $((SECONDS - started)) s"
}

# built TARGET NAME: prints where it is; fails if it is not built.
built() {
	[ -x "$1" ] || die "$2 is not built yet; run: make test-setup"
	echo "$1"
}

# clean_once NAME removes what is ours: the cache may hold other things too.
clean_once() {
	rm -rf "$cache/$1-work" "$cache/$1.log" "$cache/$1-lock" "$cache/$1"-v*
	rmdir "$cache" 2>/dev/null || true
}
