#!/usr/bin/env bash
# Starts the whole system on this machine, converts a video through its API the way a user's program
# would, and leaves the system running until Ctrl-C.
#
#   STAY=no   stops it at the end instead (as CI=true does)
#   PORT=n    listens on that port instead of 8080 (or any free one, if 8080 is taken)
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"
[ -z "${CI:-}" ] || STAY=${STAY:-no}
data=build/demo
video=${VIDEO:-testdata/melody.mp4}
email=demo@example.org
password='correct horse battery staple'
mkdir -p "$data"

# What a reader may type too.
show() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }

# ---- start ----

free() { ! (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=${PORT:-8080}
[ -n "${PORT:-}" ] || free "$port" || port=0

show "bin/mp3lathe serve --data $data --listen 127.0.0.1:$port"
# A session of its own, so that Ctrl-C reaches this script alone, which passes it on.
setsid bin/mp3lathe serve --data "$data" --listen "127.0.0.1:$port" --mail-from "mp3lathe <mp3lathe@example.org>" \
	--log-format text 2>"$data/log" &
server=$!
stop() {
	trap - INT TERM
	say "stopping"
	kill -TERM "$server" 2>/dev/null || true
	wait "$server" || die "the service ended with an error; its log is $data/log"
	exit 0
}
trap stop INT TERM
trap 'kill -TERM $server 2>/dev/null || true' EXIT
for _ in $(seq 300); do
	[ ! -s "$data/address" ] || break
	kill -0 "$server" 2>/dev/null || { cat "$data/log" >&2; die "the service did not start"; }
	sleep 0.1
done
url=$(cat "$data/address")

# ---- a user ----

show "curl $url/v1/auth/register --json '{\"email\": \"$email\", \"password\": \"...\"}'"
account="{\"email\": \"$email\", \"password\": \"$password\"}"
status=$(curl -sS -o "$data/answer" -w '%{http_code}' -H 'Content-Type: application/json' -d "$account" "$url/v1/auth/register")
case $status in
202) cat "$data/answer" ;;
*) cat "$data/answer" >&2; die "registration failed" ;;
esac
show "curl $url/v1/auth/login --json '{\"email\": \"$email\", \"password\": \"...\"}'"
token=$(curl -sSf -H 'Content-Type: application/json' -d "$account" "$url/v1/auth/login" | field access_token)
echo "a token of ${#token} characters, good for 15 minutes"
as_user=(-H "Authorization: Bearer $token")

# ---- upload, progress, result ----

show "curl -H 'Authorization: Bearer ...' -F file=@$video -F vbr=2 -F title='The demo' -F fresh=true $url/v1/jobs"
curl -sSf "${as_user[@]}" -F "file=@$video" -F vbr=2 -F title='The demo' -F fresh=true "$url/v1/jobs" >"$data/answer"
cat "$data/answer"
id=$(field id <"$data/answer")

show "curl -N -H 'Authorization: Bearer ...' $url/v1/jobs/$id/events"
curl -sSfN --max-time 60 "${as_user[@]}" "$url/v1/jobs/$id/events" | while IFS= read -r line; do
	case $line in
	data:*)
		state=$(field state <<<"$line")
		fraction=$(field fraction <<<"$line")
		now=$(printf '%-10s %s' "$state" "${fraction:+$(awk "BEGIN { printf \"%.0f %%\", 100 * $fraction }")}")
		[ "$now" = "${before:-}" ] || echo "$now"
		before=$now
		;;
	esac
done

show "curl -H 'Authorization: Bearer ...' -OJ $url/v1/jobs/$id/audio"
mkdir -p "$data/downloads"
(cd "$data/downloads" && curl -sSf "${as_user[@]}" -OJ "$url/v1/jobs/$id/audio" 2>/dev/null || {
	# An earlier demo's file has this name.
	rm -f ./*.mp3
	curl -sSf "${as_user[@]}" -OJ "$url/v1/jobs/$id/audio"
})
ls -l "$data/downloads"

# ---- the mail ----

mail=""
for _ in $(seq 100); do
	mail=$(grep -ls "$id" "$data"/mail/*.eml 2>/dev/null | head -n 1 || true)
	[ -z "$mail" ] || break
	sleep 0.1
done
[ -n "$mail" ] || die "no mail was written; the log is $data/log"
show "cat $mail"
sed -n '/^Subject:/p; /^From:/p; /^To:/p' "$mail"
# The text part, with its lines put together again.
sed -n '/text\/plain/,/^--/p' "$mail" | sed -e '1,/^[[:space:]]*$/d' -e '/^--/d' -e 's/\r$//' | sed -e ':a' -e '/=$/{N;s/=\n//;ba' -e '}' -e 's/=3D/=/g'

link=$(sed -e 's/\r$//' "$mail" | sed -e ':a' -e '/=$/{N;s/=\n//;ba' -e '}' -e 's/=3D/=/g' | grep -o "$url/v1/jobs/[^ <\"]*" | head -n 1)
show "curl '$link'   # the link in the mail, without a login"
curl -sSf -o "$data/downloads/from-mail.mp3" "$link"
ls -l "$data/downloads/from-mail.mp3"

printf '\n'
if [ "${STAY:-yes}" = no ]; then
	stop
fi
say "the service goes on at $url (user $email, password: $password); the API is described at $url/openapi.json"
say "its data is in $data, its log in $data/log; Ctrl-C stops it"
# wait returns early when a signal comes; the trap has ended the script then.
wait "$server"
