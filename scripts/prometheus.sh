#!/usr/bin/env bash
# Fetches Prometheus and promtool, on which the tests try metrics, rules and dashboards, once, into the cache outside the
# checkout that scripts/libav.sh uses too: Debian's package, unpacked and not installed, so that no service of the
# machine comes of it. Where both are on the PATH already, those are taken.
#
#   scripts/prometheus.sh build   fetch them if they are not there yet, and print where prometheus is
#   scripts/prometheus.sh path    print where it is; promtool has "-promtool" behind that; fails if they are not there
#   scripts/prometheus.sh clean   remove them from the cache
#
# MP3LATHE_CACHE names another folder for the cache.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/cache.sh
. "$root/scripts/cache.sh"

target=$cache/prometheus-vdebian

compile() {
	cd "$work"
	if has prometheus && has promtool; then
		ln -s "$(command -v prometheus)" prometheus
		ln -sf "$(command -v promtool)" "$target-promtool"
		return
	fi
	if ! has apt-get || ! has dpkg-deb; then
		echo "there is no apt here; install prometheus and promtool: https://prometheus.io/download"
		return 1
	fi
	# The lists of packages may be missing or out of date: fetch them only then.
	apt-get download prometheus </dev/null || { refresh && apt-get download prometheus </dev/null; } || return
	dpkg-deb -x prometheus_*.deb . || return
	mv usr/bin/prometheus prometheus && mv usr/bin/promtool "$target-promtool"
}

refresh() {
	local words=(apt-get -o DPkg::Lock::Timeout=120 update)
	[ "$(id -u)" = 0 ] || words=(sudo -n "${words[@]}")
	"${words[@]}" </dev/null
}

case ${1:-} in
build) build_once prometheus "$target" ;;
path) built "$target" prometheus ;;
clean) clean_once prometheus ;;
*)
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
