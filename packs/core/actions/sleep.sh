#!/bin/bash
# core.sleep: wait for a number of seconds. The wait runs in the background, so that a TERM ends it at once.
command -v jq >/dev/null || { echo "sleep: jq is not installed; install it where actions run" >&2; exit 127; }
plan=$(jq -rn '
  def fail: "sleep: \(.)\n" | halt_error(1);
  (try input catch if . == "break" or . == "No more values" then {} else "the parameters are not JSON: \(.)" | fail end) as $given
  | if ($given | type) != "object" then "the parameters must be one JSON object" | fail else $given end
  | (if .seconds == null then 1 else .seconds end) as $seconds
  | if ($seconds | type) == "number" and $seconds >= 0 and $seconds <= 3600
    then . else "seconds \($seconds | tojson) must be a number from 0 to 3600" | fail end
  | "\($seconds) \(.message // "" | tostring)"') || exit 1
seconds=${plan%% *}
message=${plan#* }
if [ -n "$message" ]; then printf '%s\n' "$message"; fi
sleep "$seconds" >/dev/null &
napper=$!
trap 'kill "$napper" 2>/dev/null; exit 143' TERM INT
wait "$napper" || exit 1
printf 'Slept for %s seconds.\n' "$seconds"
