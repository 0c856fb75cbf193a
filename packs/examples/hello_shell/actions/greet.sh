#!/bin/bash
# hello_shell.greet: what is printed is the result, what goes to stderr is for the log, the exit code tells success.
set -eu

INPUT=$(cat)
GREETING=$(printf '%s' "$INPUT" | jq -r '.greeting // "Hello"')
NAME=$(printf '%s' "$INPUT" | jq -r '.name // ""')
LOUD=$(printf '%s' "$INPUT" | jq -r '.loud // false')

if [ -z "$NAME" ]; then
    echo "greet: name is required" >&2
    exit 1
fi

SENTENCE="$GREETING, $NAME!"
if [ "$LOUD" = true ]; then
    SENTENCE=$(printf '%s' "$SENTENCE" | tr '[:lower:]' '[:upper:]')
fi
echo "greeting $NAME" >&2
printf '%s\n' "$SENTENCE"
