#!/bin/bash
# __pack__.greet: what is printed is the result, what goes to stderr is for the log, the exit code tells success.
set -eu

INPUT=$(cat)
NAME=$(printf '%s' "$INPUT" | jq -r '.name // ""')
GREETING=$(printf '%s' "$INPUT" | jq -r '.greeting // "Hello"')

if [ -z "$NAME" ]; then
    echo "greet: there is nobody to greet; give a name" >&2
    exit 1
fi
printf '%s, %s!\n' "$GREETING" "$NAME"
