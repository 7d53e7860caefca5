#!/usr/bin/env bash
# Builds the provider of OpenID Connect that the tests sign in with, from the module in
# scripts/oidc-provider, once, in the cache outside the checkout.
#
#   scripts/oidc-provider.sh build   build it if it is not there yet, and print where it is
#   scripts/oidc-provider.sh path    print where it is; fails if it is not built
#   scripts/oidc-provider.sh clean   remove it from the cache
#
# MP3LATHE_CACHE names another folder for the cache.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/cache.sh
. "$root/scripts/cache.sh"

source=$root/scripts/oidc-provider

# Named by all that it is made of.
binary() {
	local version sum
	version=$(sed -n 's/^require github.com\/zitadel\/oidc\/v3 //p' "$source/go.mod")
	sum=$(cat "$source"/go.mod "$source"/go.sum "$source"/*.go | sha256sum | cut -c 1-12)
	echo "$cache/oidc-provider-$version-$sum-$(go_version)"
}

compile() {
	cd "$source" && GOFLAGS='' GOWORK=off GOOS='' GOARCH='' CGO_ENABLED=0 go build -trimpath -o "$work/oidc-provider" .
}

case ${1:-} in
build) build_once oidc-provider "$(binary)" ;;
path) built "$(binary)" oidc-provider ;;
clean) clean_once oidc-provider ;;
*)
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
