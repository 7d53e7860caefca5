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
# shellcheck source=scripts/cache.sh
. "$root/scripts/cache.sh"

version=v1.8.0
module=github.com/versity/versitygw/cmd/versitygw

# Outside the checkout, so that no go.mod, go.work or vendor folder has a say.
compile() {
	cd "$work" && GOFLAGS='' GOWORK=off GOOS='' GOARCH='' CGO_ENABLED=0 GOBIN="$work" go install -trimpath "$module@$version"
}

case ${1:-} in
build) build_once versitygw "$cache/versitygw-$version-$(go_version)" ;;
path) built "$cache/versitygw-$version-$(go_version)" versitygw ;;
clean) clean_once versitygw ;;
*)
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
