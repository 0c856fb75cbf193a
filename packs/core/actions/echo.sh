#!/bin/bash
# core.echo: print a message. One process besides the shell, for this runs often: jq takes the shell's place.
command -v jq >/dev/null || { echo "echo: jq is not installed; install it where actions run" >&2; exit 127; }
exec jq -rn '
  def fail: "echo: \(.)\n" | halt_error(1);
  (try input catch if . == "break" or . == "No more values" then {} else "the parameters are not JSON: \(.)" | fail end) as $given
  | if ($given | type) != "object" then "the parameters must be one JSON object" | fail else $given end
  | (if .message == null then "" else .message end | tostring)
    as $message
  | if .uppercase == true then $message | ascii_upcase else $message end'
