#!/usr/bin/env bash
# Builds the container images with Docker: scripts/images.sh IMAGE..., those of scripts/rootfs.sh. The same checkout
# and base make the same images.
#
# GO_IMAGE is the base that programs are built in; GO_DIGEST its digest, which is looked up if it is not given.
# VERSION names the images; SOURCE_DATE_EPOCH is the time of all files, by default the commit's.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cd "$root"
has docker && docker buildx version >/dev/null 2>&1 || die "docker with buildx is needed; make rootfs needs neither"
: "${GO_IMAGE:?}" "${VERSION:?}"
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH # buildx takes it from here
: "${GO_DIGEST:=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$GO_IMAGE")}"
say "the base is $GO_IMAGE@$GO_DIGEST"
for image; do
	name=mp3lathe-$image
	[ "$image" != mp3lathe ] || name=mp3lathe
	docker buildx build --file deploy/docker/Dockerfile --target "$image" --tag "$name:$VERSION" --load \
		--build-arg GO_IMAGE="$GO_IMAGE" --build-arg GO_DIGEST="$GO_DIGEST" --build-arg VERSION="$VERSION" \
		--build-arg REVISION="$(git rev-parse HEAD)" --build-arg CREATED="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" .
done
