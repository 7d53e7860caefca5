#!/usr/bin/env bash
# Runs the tests of some packages: scripts/test.sh 'PACKAGE...' [FLAG of go test...]
#
# They run under the race detector, but for those of packages below transcode, which
# start no goroutines, and what stands in files with the constraint !race, since the
# detector would change what it measures, or make it take minutes.
set -euo pipefail
packages=$1
shift
status=0
run() {
	go test -vet=off -timeout 30m "$@" || status=1
}

all=$(go list -f '{{.ImportPath}} {{.Dir}}' $packages)
plain=$(awk '$1 ~ "/transcode/" {print $1}' <<<"$all")
race=$(awk '$1 !~ "/transcode/" {print $1}' <<<"$all")
[ -z "$plain" ] || run "$@" $plain
while read -r package folder; do
	files=$(grep -lx '//go:build !race' "$folder"/*_test.go 2>/dev/null || true)
	names=$([ -z "$files" ] || sed -nE 's/^func (Test[^(]*)\(.*/\1/p' $files | paste -sd '|')
	[ -z "$names" ] || run -run "^($names)\$" "$@" "$package"
done <<<"$all"
[ -z "$race" ] || run -race "$@" $race
exit "$status"
