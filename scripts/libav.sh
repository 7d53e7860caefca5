#!/usr/bin/env bash
# Builds the static FFmpeg libraries ("libav") that mp3lathe is linked with, once, in a cache
# outside the checkout. docs/building.md tells more.
#
#   scripts/libav.sh build   build them if they are not there yet, and print where they are
#   scripts/libav.sh path    print where they are; fails if they are not built
#   scripts/libav.sh env     print the shell lines that let `go build` find them
#   scripts/libav.sh clean   remove the cache
#
# LIBAV=system uses the libraries that the system's own pkg-config offers. LIBAV=sanitized is about a
# second build of them, with AddressSanitizer and UndefinedBehaviorSanitizer, for `go test -asan`.
# MP3LATHE_CACHE names another folder for the cache.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

avcodec_major=61
libraries="libavcodec libavdevice libavfilter libavformat libswresample libswscale libavutil"

# shellcheck source=scripts/cache.sh
. "$root/scripts/cache.sh"
case $cache in
/*[[:space:]\'\"\$]*) die "the cache folder '$cache' has a character in its name that FFmpeg's build cannot handle; set MP3LATHE_CACHE to a folder without spaces and quotes" ;;
esac
work=$cache/work
log=$cache/libav.log
# shellcheck source=scripts/libav-source.sh
. "$root/scripts/libav-source.sh"
# shellcheck source=scripts/libav-lame.sh
. "$root/scripts/libav-lame.sh"
flavour=libav sanitize_link='' sanitize_options=()
if [ "${LIBAV:-}" = sanitized ]; then
	flavour=libav-sanitized
	# shellcheck source=scripts/libav-sanitize.sh
	. "$root/scripts/libav-sanitize.sh"
fi

# ---- which build ----

configure_line() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$root/scripts/libav.conf"; }

# Everything the result depends on: the options, the compiler, the assembler, the pinned releases, the way
# in which LAME is built.
build_key() {
	{
		configure_line
		echo "$pinned"
		echo "$lame_pinned"
		grep -v '^[[:space:]]*#' "$root/scripts/libav-lame.sh"
		[ $flavour = libav ] || grep -v '^[[:space:]]*#' "$root/scripts/libav-sanitize.sh"
		$cc -dumpmachine
		$cc --version
		command -v nasm || true
	} | sha256 | cut -c1-12
}

# The folder of the finished build; empty if there is none.
find_built() {
	has "${cc%% *}" || die "there is no C compiler '$cc'; run: make setup"
	local key
	key=$(build_key)
	newest "$cache/$flavour-$line"*"-$key"
}

check_system() {
	has pkg-config || die "LIBAV=system needs pkg-config, which is not installed; run: make setup"
	local lib version
	version=$(pkg-config --modversion libavcodec 2>/dev/null || echo none)
	[ "${version%%.*}" = "$avcodec_major" ] ||
		die "LIBAV=system: mp3lathe needs libavcodec $avcodec_major (FFmpeg $line), and this system's pkg-config offers $version; leave LIBAV unset and mp3lathe builds its own"
	for lib in $libraries; do
		pkg-config --exists "$lib" ||
			die "LIBAV=system: this system's pkg-config does not know $lib; install its development package ($lib-dev on Debian), or leave LIBAV unset and mp3lathe builds its own"
	done
}

# The newest by version of the paths that exist; nothing if none does.
newest() {
	[ -e "$1" ] || return 0
	printf '%s\n' "$@" | sort -V | tail -n 1
}

# ---- telling what goes on ----

step() { printf 'libav %4d s  %s\n' "$((SECONDS - started))" "$*" >&2; }

fail() {
	step "failed; the last lines of $log:"
	tail -n 25 "$log" | sed 's/^/    /' >&2
	die "$*"
}

# Runs a long command in the background with its output in the log, and tells how far it is.
watch_compile() {
	local total=$1 pid next=$((SECONDS + 10))
	shift
	"$@" >>"$log" 2>&1 &
	pid=$!
	# A background job ignores Ctrl-C, so hand it on.
	trap 'kill $pid 2>/dev/null; exit 130' INT
	trap 'kill $pid 2>/dev/null; exit 143' TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		if [ "$SECONDS" -ge "$next" ]; then
			step "compiling, $(compiled) of $total files"
			next=$((SECONDS + 10))
		fi
	done
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	wait "$pid"
}

compiled() { grep -cE '^(CC|X86ASM|AS)[[:space:]]' "$log" || true; }

# ---- the build ----

build() {
	local built
	built=$(find_built)
	if [ -n "$built" ]; then
		echo "$built"
		return
	fi
	mkdir -p "$cache" || die "cannot make the cache folder $cache; set MP3LATHE_CACHE to a folder of yours"
	lock
	built=$(find_built) # somebody else may have built it while this one waited
	if [ -z "$built" ]; then
		compile
		built=$(find_built)
	fi
	echo "$built"
}

# One build at a time. The lock goes with the last process that holds it, however that one ends.
lock() {
	exec 9>"$cache/lock"
	has flock || return 0
	flock -n 9 && return
	say "another build of the FFmpeg libraries is at work; waiting for it"
	flock 9
}

compile() {
	started=$SECONDS
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CDPATH
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	trap 'rm -rf "$work" "${cleanup_private:-}"' EXIT
	rm -rf "$work" # left by a build that was killed
	mkdir -p "$work"
	: >"$log"
	say "building the FFmpeg libraries${sanitize_link:+, with sanitizers}, once (about a minute on 2 cores; log: $log)"

	get_source lame
	local lame_tarball=$tarball
	get_source ffmpeg
	step "unpacking"
	mkdir "$work/source"
	tar -C "$work/source" --strip-components=1 -xf "$tarball" >>"$log" 2>&1 || {
		rm -f "$tarball"
		fail "$tarball cannot be unpacked and is removed; run the same command again"
	}
	cd "$work/source"
	local version
	version=$(cat RELEASE)
	case $version in
	"$line" | "$line".*) ;;
	*) die "$tarball holds FFmpeg $version, and mp3lathe needs the $line line" ;;
	esac

	local stage=$work/stage/libav
	step "compiling LAME $lame_pinned"
	build_lame "$stage" >>"$log" 2>&1 || fail "compiling LAME failed"
	step "configuring FFmpeg $version"
	local options
	mapfile -t options < <(configure_line)
	# The prefix is a placeholder: the result finds itself, so that it may be moved and copied.
	./configure --prefix=/libav --cc="$cc" --extra-cflags="-I$stage/include" --extra-ldflags="-L$stage/lib" "${options[@]}" "${sanitize_options[@]}" >>"$log" 2>&1 ||
		fail "FFmpeg's configure failed"
	local total
	total=$(make -n 2>/dev/null | grep -cE '^printf .*(CC|X86ASM|AS)\\t' || true)
	watch_compile "$total" make -j"$(getconf _NPROCESSORS_ONLN)" || fail "compiling FFmpeg failed"
	step "installing"
	make install DESTDIR="$work/stage" >>"$log" 2>&1 || fail "FFmpeg's make install failed"

	finish "$stage"
	step "checking"
	check_build "$stage"
	local key
	key=$(build_key)
	cd "$cache"
	mv "$stage" "$cache/$flavour-$version-$key"
	step "done"
}

# Makes the installed folder movable.
finish() {
	# `go build` asks pkg-config without --static, so Libs must name everything. FFmpeg does that by
	# itself in a static build. What it adds and nothing here needs is libatomic, a shared library.
	local pc
	for pc in "$1"/lib/pkgconfig/*.pc; do
		# shellcheck disable=SC2016 # pkg-config's variables
		sed -e 's|^prefix=.*|prefix=${pcfiledir}/../..|' -e 's|=/libav/|=${prefix}/|' \
			-e '/^Libs/s/ -latomic//g' -e "s| -[IL]$1/[a-z]*||g" "$pc" >"$pc.new"
		mv "$pc.new" "$pc"
	done
	# AddressSanitizer comes with `go test -asan`; the other one comes from here.
	[ $flavour = libav ] || sed -i -e '/^Libs:/s/$/ -fsanitize=undefined/' -e '/^Cflags:/s/$/ -fsanitize=undefined/' "$1"/lib/pkgconfig/*.pc
}

# Links and runs a program the way cgo would.
check_build() {
	cat >"$work/check.c" <<-'C'
		#include <stdio.h>
		#include <libavcodec/avcodec.h>
		#include <libavdevice/avdevice.h>
		#include <libavfilter/avfilter.h>
		#include <libavformat/avformat.h>
		#include <libswresample/swresample.h>
		#include <libswscale/swscale.h>
		int main(void) {
			unsigned sum = avdevice_version() + avfilter_version() + avformat_version() + swresample_version() + swscale_version();
			if (!sum || !av_find_input_format("mov")) return puts("no demuxer of MP4"), 1;
			if (!avcodec_find_encoder_by_name("libmp3lame")) return puts("no encoder of MP3"), 1;
			if (!avcodec_find_decoder(AV_CODEC_ID_AAC)) return puts("no decoder of AAC"), 1;
			return avcodec_version() >> 16 == LIBAVCODEC_VERSION_MAJOR ? 0 : 1;
		}
	C
	# shellcheck disable=SC2046,SC2086 # lists of words
	{
		$cc -o "$work/check" "$work/check.c" $sanitize_link \
			$(PKG_CONFIG_PATH=$1/lib/pkgconfig pkg-config --cflags --libs $libraries) && "$work/check"
	} >>"$log" 2>&1 || fail "the FFmpeg libraries were built, but a program cannot be linked with them"
}

# ---- commands ----

# Go's build cache does not see what pkg-config answers, and would go on linking with the libraries of
# an earlier build. It does see this variable, so the folder is named here too.
go_sees() { echo "export CGO_CPPFLAGS=-I$1"; }

not_built() { die "the FFmpeg libraries are not built yet; run: make setup"; }

command=${1:-}
case ${LIBAV:-} in
'' | system | sanitized) ;;
*) die "LIBAV is '$LIBAV'; it may be 'system', 'sanitized' or unset" ;;
esac
case $command in
build | path | env)
	if [ "${LIBAV:-}" = system ]; then
		check_system
		if [ "$command" = env ]; then
			go_sees "$(pkg-config --variable=includedir libavcodec)"
		else
			pkg-config --variable=prefix libavcodec
		fi
		exit
	fi
	;;
esac
case $command in
build) build ;;
path)
	built=$(find_built)
	[ -n "$built" ] || not_built
	echo "$built"
	;;
env)
	built=$(find_built)
	[ -n "$built" ] || not_built
	echo "export PKG_CONFIG_PATH=$built/lib/pkgconfig"
	go_sees "$built/include"
	;;
clean)
	# Only what is ours: MP3LATHE_CACHE may name a folder that holds other things too.
	rm -rf "$work" "$sources" "$log" "$cache/lock" "$cache"/libav-"$line"* "$cache"/libav-sanitized-"$line"*
	rmdir "$cache" 2>/dev/null || true
	;;
*)
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
