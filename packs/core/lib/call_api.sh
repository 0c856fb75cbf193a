#!/bin/bash
# POST the parameters to an operation of Attune's API and print its data. The first argument is the path below /api/v1.
#
# Parameters and token travel on stdin and in a private file, never on a command line. What went wrong is printed as
# JSON, {"error": …}, with exit code 1.
set -u
umask 077

fail() { jq -cn --arg error "$1" '{error: $error}'; exit 1; }
for tool in jq curl; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed; install it where actions run" >&2; exit 127; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/attune-api.XXXXXX") || fail "cannot create a temporary folder"
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

jq -c 'if type == "object" then with_entries(select(.value != null)) else error("not an object") end' >body 2>/dev/null ||
    fail "the parameters must be one JSON object"
printf 'header = "Authorization: Bearer %s"\nheader = "Content-Type: application/json"\n' "$ATTUNE_API_TOKEN" >settings
curl --disable --silent --show-error --config settings --data-binary @body --output answer --write-out '%{http_code}' \
    "${ATTUNE_API_URL%/}/api/v1$1" >status 2>fault || fail "Attune's API does not answer: $(tail -n 1 fault)"

if [ "$(cat status)" = 200 ]; then
    jq -c .data answer
else
    fail "$(jq -r '.message // "the API gave no reason"' answer 2>/dev/null || echo "the API answered with status $(cat status)")"
fi
