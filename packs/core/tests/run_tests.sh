#!/bin/bash
# The tests of the core pack's shell actions that need no server. Run from anywhere: bash tests/run_tests.sh
cd "$(dirname "$0")/../actions" || exit 1
failures=0

# check SENTENCE ACTION PARAMETERS EXIT_CODE OUTPUT: run an action and compare its exit code and what it printed.
check() {
    output=$(printf '%s\n' "$3" | bash "$2.sh" 2>&1)
    code=$?
    if [ "$code" -eq "$4" ] && [ "$output" = "$5" ]; then
        echo "ok   $1"
    else
        echo "FAIL $1: exit code $code, output: $output"
        failures=$((failures + 1))
    fi
}

check "echo prints its message" echo '{"message": "Hello, World!"}' 0 "Hello, World!"
check "echo prints an empty line without one" echo '{}' 0 ""
check "echo prints capitals" echo '{"message": "abc", "uppercase": true}' 0 "ABC"
check "echo refuses what is not an object" echo '[1]' 1 "echo: the parameters must be one JSON object"
check "noop does nothing" noop '{}' 0 ""
check "noop prints its message" noop '{"message": "a b"}' 0 "a b"
check "noop ends as it is told" noop '{"exit_code": 3}' 3 "noop: ended with exit code 3, as asked"
check "noop refuses an exit code of 256" noop '{"exit_code": 256}' 1 \
    "noop: exit_code 256 must be a whole number from 0 to 255"
check "sleep wakes up again" sleep '{"seconds": 0.01}' 0 "Slept for 0.01 seconds."
check "sleep refuses a negative time" sleep '{"seconds": -1}' 1 "sleep: seconds -1 must be a number from 0 to 3600"
check "http_request needs a URL" http_request '{}' 1 "http_request: url is required"
check "http_request refuses files" http_request '{"url": "file:///etc/hosts"}' 1 \
    "http_request: url must begin with http:// or https:// and name a host"
check "http_request says that nobody answers" http_request '{"url": "http://127.0.0.1:1/"}' 1 \
    "http_request: could not connect to 127.0.0.1:1 (curl 7)"

if [ "$failures" -gt 0 ]; then
    echo "$failures failed"
    exit 1
fi
echo "all passed"
