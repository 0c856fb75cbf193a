#!/usr/bin/env bash
echo 'Starting up!'
echo '{"payload": {"n": 1}}'
echo '[1, 2, 3]'
printf '\xff\xfe broken\n'
echo '{"trigger": "core.other", "payload": {}}'
echo '{"payload": {"text": "zero \u0000"}}'
echo '{"payload": {"n": "not a number"}}'
echo '{"payload": {"n": 2}, "trigger_instance_id": "rule_999999"}'
head -c 2000000 /dev/zero | tr '\0' 'x'; echo
echo
echo '{"payload": {"n": 3, "text": "größer 🎈"}}'
sleep 3600
