#!/usr/bin/env bash
# Lays the root file system of a container image into a folder: a program, and the few files that it needs.
# deploy/docker/Dockerfile calls this too, so that there is one list of files. docs/deploy.md tells more.
#
#   scripts/rootfs.sh build IMAGE FOLDER   build it anew; IMAGE is one of those that images prints
#   scripts/rootfs.sh images               print the images
#   scripts/rootfs.sh tar FOLDER           write it as a tar file, which is the same for the same files
#   scripts/rootfs.sh size FOLDER...       print what each takes, compressed
#
# VERSION is what the programs say of themselves; SOURCE_DATE_EPOCH the time of all files.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

images="gateway auth notifier queues worker mp3lathe"
# The user in the images. Nobody has this number on a machine, by a custom of images without a shell.
user=65532
authorities=/etc/ssl/certs/ca-certificates.crt

: "${VERSION:=$(git -C "$root" describe --tags --always --dirty 2>/dev/null || echo dev)}"
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}"

# ---- the program ----

compile() {
	local package=./cmd/$1 output=$2 flags=(-trimpath -buildvcs=false)
	local link="-s -w -X main.version=$VERSION"
	cd "$root"
	case $1 in
	worker | mp3lathe)
		# With the C library in it, too, and at another address each time it starts (static-pie), since it
		# reads strangers' files with C code. Names are looked up in Go, as the static C library cannot.
		# shellcheck source=scripts/env.sh
		. ./scripts/env.sh
		CGO_ENABLED=1 go build "${flags[@]}" -tags netgo,osusergo -buildmode=pie \
			-ldflags "$link -linkmode=external -extldflags=-static-pie" -o "$output" "$package"
		;;
	*) CGO_ENABLED=0 go build "${flags[@]}" -ldflags "$link" -o "$output" "$package" ;;
	esac
}

# ---- the files ----

build() {
	local image=$1 folder=$2 program
	case " $images " in
	*" $image "*) ;;
	*) die "there is no image '$image'; there are: $images" ;;
	esac
	program=mp3lathe-$image
	[ "$image" != mp3lathe ] || program=mp3lathe
	[ -r "$authorities" ] || die "there is no $authorities, which goes into the images; install ca-certificates"
	rm -rf "$folder"
	mkdir -p "$folder"
	folder=$(cd "$folder" && pwd)
	umask 022

	compile "$image" "$folder/$program"
	mkdir -p "$folder/etc/ssl/certs"
	# A name for the user, for whatever asks.
	echo "mp3lathe:x:$user:$user:mp3lathe:/nonexistent:/nonexistent" >"$folder/etc/passwd"
	echo "mp3lathe:x:$user:" >"$folder/etc/group"
	# Names of the engine's /etc/hosts come before those of the network.
	echo "hosts: files dns" >"$folder/etc/nsswitch.conf"
	# For the bucket and the mail server.
	cp -L "$authorities" "$folder/$authorities"
	# Where gateway and worker keep pieces of what they send to the bucket. A read-only root wants a volume there.
	install -d -m 1777 "$folder/tmp"
	if [ "$image" = mp3lathe ]; then
		install -d -m 700 "$folder/data"
		[ "$(id -u)" != 0 ] || chown "$user:$user" "$folder/data"
	fi
	find "$folder" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

pack() {
	tar -C "$1" --sort=name --numeric-owner --owner=0 --group=0 --mtime="@$SOURCE_DATE_EPOCH" --format=gnu -cf - .
}

size() {
	local folder
	for folder; do
		printf '%-10s %6.2f MB compressed, %6.2f MB on disk\n' "$(basename "$folder")" \
			"$(pack "$folder" | gzip -9n | wc -c)e-6" "$(du -sb "$folder" | cut -f1)e-6"
	done
}

case ${1:-}:$# in
build:3) build "$2" "$3" ;;
images:1) echo "$images" ;;
tar:2) pack "$2" ;;
size:1) ;;
size:*) size "${@:2}" ;;
*)
	sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
