# shellcheck shell=bash disable=SC2034,SC2154
# How scripts/libav.sh gets the sources of FFmpeg and LAME; sourced by it, never run.
#
# go-astiav v0.39 fits the FFmpeg 7 line. Debian's archive may offer a later release of this line
# than the one pinned here, and it is taken then: apt has checked its signature. The checksums are those
# of the release tarballs; FFmpeg's carries the signature of its release key. Debian's source packages
# hold the same bytes, and their patches are not applied (FFmpeg 7.1.5 has none; LAME's are about its
# command and its texts).

line=7.1
pinned=7.1.5
lame_pinned=3.100
debian_suite=trixie
sources=$cache/sources

# What is wanted: the package, its line, the pinned release of it, its form, its checksum, its address.
want_ffmpeg() {
	name=ffmpeg title=FFmpeg branch=$line release=$pinned form=tar.xz
	checksum=de668509caf9e35e3cd162473441fdb29538c6d96ed080292b3cf9e6fc5d558f
	tarball_url=https://ffmpeg.org/releases/ffmpeg-$release.tar.xz
}
want_lame() {
	name=lame title=LAME branch=$lame_pinned release=$lame_pinned form=tar.gz
	checksum=ddfe36cab873794038ae2c1210557ad34857a4b6bdc515785d1da9e175b1da1e
	tarball_url=https://downloads.sourceforge.net/project/lame/lame/$release/lame-$release.tar.gz
}

sha256() { if has sha256sum; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }

older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# get_source ffmpeg or lame leaves the tarball in $sources, and its path in $tarball.
get_source() {
	local name title branch release form checksum tarball_url
	"want_$1"
	tarball=$(cached_source)
	if [ -n "$tarball" ]; then
		step "using the source in the cache, $(basename "$tarball")"
		return
	fi
	mkdir -p "$sources"
	local why
	if has apt-get; then
		step "getting the source of $title $branch from Debian's signed archive, with apt"
		if source_from_debian; then
			return
		fi
		why="Debian's archive: $reason"
	else
		why="no apt here"
	fi
	step "getting $name-$release.$form from $title's own site ($why)"
	source_from_upstream ||
		die "cannot get the source of $title $branch ($why; $title's own site: $reason); is there a network? Once it works, run the same command again, or put $name-$release.$form into $sources/"
}

# The newest tarball in the cache that is no older than the pinned release.
cached_source() {
	local found version
	found=$(newest "$sources/$name-$branch"*".$form")
	[ -n "$found" ] || return 0
	version=${found##*/"$name"-}
	if ! older "${version%."$form"}" "$release" && intact "$found"; then
		echo "$found"
	fi
}

# The pinned release must have the pinned bytes, wherever it came from; a tarball that has not is removed.
intact() {
	case $1 in
	*/"$name-$release.$form") ;;
	*) return 0 ;;
	esac
	[ "$(sha256 <"$1")" = "$checksum" ] && return 0
	say "$1 does not have the pinned checksum and is removed"
	rm -f "$1"
	return 1
}

# apt-get source, with an apt set-up of its own in a temporary folder: the machine's lists, cache and
# packages stay as they are. The mirror and the keys are those of the machine's own configuration.
source_from_debian() {
	local version upstream
	if [ -z "${private:-}" ]; then
		set_up_apt || return 1
	fi
	local offered
	offered=$(apt-cache "${apt_options[@]}" showsrc --only-source "$name" 2>>"$log" | sed -n 's/^Version: //p' | sort -V || true)
	if [ -z "$offered" ]; then
		reason="apt found no source of $name in $debian_suite (${reason:-see $log})"
		return 1
	fi
	version=$(grep -E "^([0-9]+:)?${branch//./\\.}(\.[0-9]+)?-" <<<"$offered" | tail -n 1 || true)
	if [ -z "$version" ]; then
		reason="it offers $title $(tail -n 1 <<<"$offered") and mp3lathe needs the $branch line"
		return 1
	fi
	upstream=${version#*:}
	upstream=${upstream%-*}
	if ! (cd "$private/download" && apt-get "${apt_options[@]}" source --download-only "$name=$version") >>"$log" 2>&1; then
		reason="$(sed -n 's/^E: *//p' "$log" | tail -n 1)"
		return 1
	fi
	if older "$upstream" "$release"; then
		step "note: Debian's archive here offers $title $upstream, older than $release"
	fi
	tarball=$sources/$name-$upstream.$form
	reason="its tarball has other bytes than $title's release"
	mv "$private/download/${name}_$upstream.orig.$form" "$tarball.part" &&
		mv "$tarball.part" "$tarball" && intact "$tarball"
}

# Leaves apt's options in $apt_options, and its folder, which the caller removes, in $private.
set_up_apt() {
	private=$(mktemp -d) || {
		reason="no temporary folder can be made"
		return 1
	}
	chmod 755 "$private" # apt downloads as a user of its own when root runs it
	mkdir -p "$private/lists/partial" "$private/cache/archives/partial" "$private/sources.d" "$private/download"
	cleanup_private=$private

	debian_sources >"$private/sources.d/debian.sources"
	if [ ! -s "$private/sources.d/debian.sources" ]; then
		reason="no Debian archive in this machine's apt sources"
		return 1
	fi
	apt_options=(
		-o "Dir::State::lists=$private/lists" -o "Dir::Cache=$private/cache"
		-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$private/sources.d"
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o Acquire::AllowInsecureRepositories=false -o Acquire::AllowDowngradeToInsecureRepositories=false
		-o APT::Get::AllowUnauthenticated=false -o Acquire::Languages=none -o Acquire::Retries=3
	)
	# A suite that is missing is no failure: what counts is whether the source is found afterwards.
	apt-get "${apt_options[@]}" update >>"$log" 2>&1 || true
	reason=$(grep '^[EW]:' "$log" | grep -v 'Some index files' | tail -n 1 || true)
}

# Prints the files that exist, each followed by an empty line.
entries() {
	local file
	for file in "$@"; do
		if [ -r "$file" ]; then
			cat "$file"
			printf '\n\n'
		fi
	done
}

# Writes deb-src entries for Debian's archives, made from this machine's entries for its own release.
debian_sources() {
	local apt_etc=/etc/apt
	{
		entries "$apt_etc"/sources.list.d/*.sources | awk '
			# deb822: stanzas of fields. Each wanted one becomes lines "kind uri", then its Signed-By field.
			function flush(   n, i, u) {
				if (tolower(f["enabled"]) !~ /^ *(no|false|without|off|disable)/ && (" " f["types"] " ") ~ / deb(-src)? / &&
					(" " f["components"] " ") ~ / main /) {
					n = split(f["uris"], u, " ")
					for (i = 1; i <= n; i++) print u[i] "\t" f["signed-by"]
				}
				split("", f); name = ""
			}
			/^#/ { next }
			/^[ \t]*$/ { flush(); next }
			/^[ \t]/ { if (name != "") f[name] = f[name] (name == "signed-by" ? "\\n" : "") $0; next }
			{ i = index($0, ":"); name = tolower(substr($0, 1, i - 1)); f[name] = substr($0, i + 1) }
			END { flush() }'
		entries "$apt_etc/sources.list" "$apt_etc"/sources.list.d/*.list | awk '
			# one line: deb [options] uri suite component...
			{ sub(/#.*/, "") }
			$1 == "deb" || $1 == "deb-src" {
				signed = ""
				if (match($0, /\[[^]]*\]/)) {
					n = split(substr($0, RSTART + 1, RLENGTH - 2), options, " ")
					for (i = 1; i <= n; i++) if (sub(/^signed-by=/, "", options[i])) { signed = " " options[i]; gsub(/,/, " ", signed) }
					$0 = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH)
				}
				for (i = 4; i <= NF; i++) if ($i == "main") { print $2 "\t" signed; next }
			}'
	} | awk -F '\t' -v suite="$debian_suite" '
		{ sub(/\/+$/, "", $1) }
		$1 ~ /\/debian(\.list)?(\/|$)/ { suites[$1] = suite " " suite "-updates" }
		$1 ~ /\/debian-security(\.list)?(\/|$)/ { suites[$1] = suite "-security" }
		!($1 in suites) { next }
		!($1 in signed) { order[++n] = $1; signed[$1] = "" }
		signed[$1] == "" { signed[$1] = $2 }
		END {
			for (i = 1; i <= n; i++) {
				u = order[i]
				print "Types: deb-src\nURIs: " u "\nSuites: " suites[u] "\nComponents: main"
				if (signed[u] != "") { gsub(/\\n/, "\n", signed[u]); print "Signed-By:" signed[u] }
				print ""
			}
		}'
}

source_from_upstream() {
	tarball=$sources/$name-$release.$form
	if has curl; then
		curl -fsSL --connect-timeout 20 --retry 2 -o "$tarball.part" "$tarball_url" >>"$log" 2>&1
	elif has wget; then
		wget -q --timeout=20 --tries=2 -O "$tarball.part" "$tarball_url" >>"$log" 2>&1
	else
		reason="neither curl nor wget is installed"
		return 1
	fi || {
		rm -f "$tarball.part"
		reason="the download failed"
		return 1
	}
	reason="the download does not have the pinned checksum"
	mv "$tarball.part" "$tarball" && intact "$tarball"
}
