#!/usr/bin/env bash
echo '{"payload": {"n": 1}}'
printf '{"payload": {"n": 2'
sleep 0.2
exit 0
