#!/bin/bash
# core.noop: do nothing; or print a message and end with a chosen exit code.
command -v jq >/dev/null || { echo "noop: jq is not installed; install it where actions run" >&2; exit 127; }
plan=$(jq -rn '
  def fail: "noop: \(.)\n" | halt_error(1);
  (try input catch if . == "break" or . == "No more values" then {} else "the parameters are not JSON: \(.)" | fail end) as $given
  | if ($given | type) != "object" then "the parameters must be one JSON object" | fail else $given end
  | (if .exit_code == null then 0 else .exit_code end) as $code
  | if ($code | type) == "number" and $code == ($code | floor) and $code >= 0 and $code <= 255
    then . else "exit_code \($code | tojson) must be a whole number from 0 to 255" | fail end
  | "\($code) \(.message // "" | tostring)"') || exit 1
code=${plan%% *}
message=${plan#* }
if [ -n "$message" ]; then printf '%s\n' "$message"; fi
if [ "$code" -ne 0 ]; then echo "noop: ended with exit code $code, as asked" >&2; fi
exit "$code"
