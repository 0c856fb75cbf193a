#!/usr/bin/env bash
echo '{"payload": {"n": 1}, "passed_over": "skipped", "reason": "The tide was out.", "dedup_key": "a"}'
echo '{"payload": {"n": 2}, "passed_over": "missed", "dedup_key": "b"}'
echo '{"payload": {"n": 2}, "passed_over": "missed", "dedup_key": "b"}'
echo '{"payload": {"n": "not a number"}, "passed_over": "missed"}'
echo '{"payload": {"n": 3}, "passed_over": "perhaps"}'
echo '{"trigger": "core.alert", "payload": {"n": 4}, "passed_over": "missed"}'
echo '{"payload": {"n": 5}}'
sleep 3600
