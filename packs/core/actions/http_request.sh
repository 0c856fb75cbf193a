#!/bin/bash
# core.http_request: send an HTTP request and print the answer as JSON.
#
# jq plans each request (lib/http_plan.jq), curl sends it, jq reads the answer (lib/http_result.jq). What may be
# secret travels in files of a private folder that is removed at the end, never on a command line.
set -u
umask 077
MAX_BYTES=5242880  # an answer of this size still fits, as base64 or escaped, into what is kept of stdout
lib=$(cd "$(dirname "$0")/../lib" && pwd) || exit 1

fail() { printf 'http_request: %s\n' "$1" >&2; exit 1; }
for tool in jq curl; do
    command -v "$tool" >/dev/null || fail "$tool is not installed; install it where actions run"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/attune-http.XXXXXX") || fail "cannot create a temporary folder"
transfer=
trap 'rm -rf "$work"' EXIT
trap '[ -z "$transfer" ] || kill "$transfer" 2>/dev/null; exit 143' TERM INT

cd "$work" || exit 1
cat >params
: >hops

# Say in one sentence why curl gave up. The first argument is its exit code; $host is from the plan.
explain() {
    case $1 in
        3) fail "the URL is not valid (curl 3)" ;;
        5 | 6) fail "could not find the host $host (curl $1)" ;;
        7) fail "could not connect to $host (curl 7)" ;;
        28) fail "no answer from $host within the timeout (curl 28)" ;;
        35) fail "could not agree on TLS with $host (curl 35)" ;;
        52 | 56) fail "$host closed the connection without a complete answer (curl $1)" ;;
        60) fail "the certificate of $host cannot be verified (curl 60); correct it, or set verify_ssl to false" ;;
        63) fail "the answer of $host is larger than $MAX_BYTES bytes" ;;
        *) fail "$(tail -n 1 fault | sed 's/^curl: ([0-9]*) //') (curl $1)" ;;
    esac
}

# Send what the plan says. The limit on file sizes stops an answer without a stated length.
send() {
    (
        ulimit -f $((MAX_BYTES / 1024 + 1))
        exec curl --disable --silent --show-error --globoff --proto =http,https --max-filesize "$MAX_BYTES" \
            --config plan --dump-header head --output body \
            --write-out '%{http_code}\n%{time_total}\n%{url_effective}\n%{redirect_url}\n'
    ) >answer 2>fault </dev/null &
    transfer=$!
    wait "$transfer"
    code=$?
    transfer=
    if [ "$(wc -c <body)" -gt "$MAX_BYTES" ]; then code=63; fi
    [ "$code" -eq 0 ] || explain "$code"
}

while :; do
    if ! jq -r --rawfile hops hops -f "$lib/http_plan.jq" <params >plan 2>fault; then
        case $(cat fault) in
            http_request:*) cat fault >&2 && exit 1 ;;
            *) fail "the parameters cannot be read: $(cat fault)" ;;
        esac
    fi
    read -r _ kind follow fail_on_error host <plan || fail "the parameters are missing; send one JSON object"
    if [ "$kind" != none ]; then
        jq -j --arg kind "$kind" -f "$lib/http_body.jq" <params >sent || exit 1
        printf 'data-binary = "@sent"\n' >>plan
    fi
    : >body
    : >head
    send
    cat answer >>hops
    { read -r status && read -r _ && read -r _ && read -r location; } <answer
    case $status in 301 | 302 | 303 | 307 | 308) ;; *) break ;; esac
    if [ -z "$location" ] || [ "$follow" = false ]; then break; fi
done

# Text in another character set becomes UTF-8; what is not clean UTF-8 then is given as base64.
type='s/^content-type:.*charset="\{0,1\}\([A-Za-z0-9._-]*\).*/\1/p'
charset=$(LC_ALL=C tr 'A-Z' 'a-z' <head | LC_ALL=C sed -n "$type" | tail -n 1)
if [ -n "$charset" ] && iconv -f "$charset" -t UTF-8 <body >text 2>/dev/null; then
    mv text body
fi

show() {
    jq --rawfile hops hops --rawfile head head --rawfile text body --rawfile base64 base64 \
        -cf "$lib/http_result.jq" <params
}
: >base64
show
code=$?
if [ "$code" -eq 9 ]; then
    base64 <body | tr -d '\n' >base64
    : >body
    show
    code=$?
fi
[ "$code" -eq 0 ] || fail "the answer of $host cannot be read"

if [ "$fail_on_error" = true ]; then
    case $status in 2??) ;; *) fail "$host answered with status $status" ;; esac
fi
