#!/usr/bin/env bash
# Looks for faults with damaged and hostile input, on libav and LAME built with sanitizers.
# docs/fuzzing.md tells more.
#
#   scripts/fuzz.sh              mutants for half of FUZZTIME (5m); the fuzz targets that convert share a
#                                quarter, all others the last quarter
#   scripts/fuzz.sh mutants ...  mutants alone, with flags and folders for scripts/mutants
#
# SEED is what the mutants are drawn with; without it, the clock. INPUT names a file that is tried as it
# is, and nothing else.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

# Only what links libav is built with sanitizers; the rest is memory-safe Go.
export LIBAV=sanitized
scripts/libav.sh build >/dev/null
eval "$(scripts/libav.sh env)"
# A large allocation that fails is what libav expects; an undefined operation ends the program; memory
# of C that nobody knows of at the end is a finding.
export ASAN_OPTIONS=allocator_may_return_null=1:quarantine_size_mb=64:hard_rss_limit_mb=3000:detect_leaks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

out=build/fuzz
folders=(testdata)
[ -z "${MP3LATHE_CORPUS:-}" ] || folders+=("$MP3LATHE_CORPUS")

# Seconds of a duration such as 90s, 20m, 1h30m.
seconds() {
	[[ $1 =~ ^(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?$ ]] && [ -n "$1" ] ||
		die "FUZZTIME is '$1'; it is a time such as 90s, 20m or 1h30m"
	echo $((${BASH_REMATCH[2]:-0} * 3600 + ${BASH_REMATCH[4]:-0} * 60 + ${BASH_REMATCH[6]:-0}))
}

mutants() {
	go build -asan -o build/mutants ./scripts/mutants
	build/mutants -out "$out" ${SEED:+-seed "$SEED"} "$@"
}

# Reports whether a package's tests link libav.
links_libav() { go list -deps -test "$1" | grep -q '^github.com/asticode/go-astiav$'; }

# Fuzzes a target of a package for some seconds; further words are options of go test.
target() {
	local package=$1 name=$2 time=$3
	shift 3
	say "fuzzing $name of $package for $time s"
	# Without a bound, up to a minute goes into making each input small that reaches something new.
	go test "$@" -run '^$' -fuzz "^$name\$" -fuzztime "${time}s" -fuzzminimizetime 2s "$package" && return
	say "FINDING: the input lies in ${package#"$(go list -m)"/}/testdata/fuzz/$name; to repeat it: export LIBAV=sanitized, . ./scripts/env.sh, and go test $* with what is said above"
	return 1
}

if [ -n "${INPUT:-}" ]; then
	mutants -input "$INPUT"
	exit
fi
if [ "${1:-}" = mutants ]; then
	shift
	mutants "$@"
	exit
fi

total=$(seconds "${FUZZTIME:-5m}")
# From the text of the tests: to ask `go test -list` would build all of them.
targets=() converting=() # package and name
while read -r package folder; do
	names=$(sed -n 's/^func \(Fuzz[[:alnum:]_]*\)(f \*testing\.F).*/\1/p' "$folder"/*_test.go 2>/dev/null) || true
	[ -n "$names" ] || continue
	if links_libav "$package"; then
		for name in $names; do converting+=("$package $name"); done
	else
		for name in $names; do targets+=("$package $name"); done
	fi
done < <(go list -f '{{.ImportPath}} {{.Dir}}' ./...)
[ ${#targets[@]} -gt 0 ] && [ ${#converting[@]} -gt 0 ] || die "there are no fuzz targets"

# The time in seconds that each of so many targets gets of a quarter.
share() { echo $(((total / 4 + $1 - 1) / $1)); }

failed=0
mutants -for "$((total / 2))s" "${folders[@]}" || failed=1
# shellcheck disable=SC2086 # two words
{
	for t in "${converting[@]}"; do target $t "$(share ${#converting[@]})" -asan || failed=1; done
	for t in "${targets[@]}"; do target $t "$(share ${#targets[@]})" || failed=1; done
}
[ $failed = 0 ] || die "there are findings; those of mutants lie in $out"
say "mutants and $((${#converting[@]} + ${#targets[@]})) fuzz targets, no finding"
