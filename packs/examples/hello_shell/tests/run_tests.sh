#!/bin/bash
# Tests of hello_shell: feed the action its parameters, compare what it prints. Exit code 0 means passed.
cd "$(dirname "$0")/../actions" || exit 1

expect() {
    got=$(printf '%s\n' "$1" | bash greet.sh 2>/dev/null)
    if [ "$got" != "$2" ]; then
        echo "FAIL $1: expected '$2', got '$got'"
        exit 1
    fi
    echo "ok   $1"
}

expect '{"name": "Ada"}' "Hello, Ada!"
expect '{"name": "Ada", "greeting": "Salut", "loud": true}' "SALUT, ADA!"
expect '{"name": "$(id) \"quoted\""}' 'Hello, $(id) "quoted"!'
expect '{}' ""
