#!/usr/bin/env bash
# Builds FerretDB, which speaks the protocol of MongoDB and which the tests run against, from
# the module in scripts/ferretdb, once, in the cache outside the checkout.
#
#   scripts/ferretdb.sh build   build it if it is not there yet, and print where it is
#   scripts/ferretdb.sh path    print where it is; fails if it is not built
#   scripts/ferretdb.sh clean   remove it from the cache
#
# MP3LATHE_CACHE names another folder for the cache.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/cache.sh
. "$root/scripts/cache.sh"

source=$root/scripts/ferretdb

# Named by all that it is made of.
binary() {
	local version sum
	version=$(sed -n 's/^require github.com\/FerretDB\/FerretDB //p' "$source/go.mod")
	sum=$(cat "$source"/go.mod "$source"/go.sum "$source"/*.go | sha256sum | cut -c 1-12)
	echo "$cache/ferretdb-$version-$sum-$(go_version)"
}

compile() {
	cd "$source" && GOFLAGS='' GOWORK=off GOOS='' GOARCH='' CGO_ENABLED=0 go build -trimpath -o "$work/ferretdb" .
}

case ${1:-} in
build) build_once ferretdb "$(binary)" ;;
path) built "$(binary)" ferretdb ;;
clean) clean_once ferretdb ;;
*)
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
