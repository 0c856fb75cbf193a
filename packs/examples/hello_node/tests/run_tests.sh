#!/bin/bash
# Tests of hello_node: feed the action its parameters, compare what it prints. Exit code 0 means passed.
cd "$(dirname "$0")/../actions" || exit 1

expect() {
    got=$(printf '%s\n' "$1" | node count_words.js 2>/dev/null)
    if [ "$got" != "$2" ]; then
        echo "FAIL $1: expected '$2', got '$got'"
        exit 1
    fi
    echo "ok   $1"
}

expect '{"text": "to be or not to be", "top": 1}' '{"words":6,"top":[{"word":"be","count":2}]}'
expect '{"text": "Été, été"}' '{"words":2,"top":[{"word":"été","count":2}]}'
expect '{"text": ""}' '{"words":0,"top":[]}'
expect '{}' ""
