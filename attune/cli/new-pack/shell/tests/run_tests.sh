#!/bin/bash
# Tests of __pack__: feed the action its parameters, compare what it prints. Exit code 0 means passed.
cd "$(dirname "$0")/../actions" || exit 1
failures=0

# expect PARAMETERS OUTPUT
expect() {
    got=$(printf '%s\n' "$1" | bash greet.sh 2>/dev/null)
    if [ "$got" = "$2" ]; then
        echo "ok   $1"
    else
        echo "FAIL $1: expected '$2', got '$got'"
        failures=$((failures + 1))
    fi
}

expect '{"name": "Ada"}' "Hello, Ada!"
expect '{"name": "Ada", "greeting": "Salut"}' "Salut, Ada!"
expect '{"name": "$(id) \"quoted\""}' 'Hello, $(id) "quoted"!'
expect '{}' ""

[ "$failures" -eq 0 ]
