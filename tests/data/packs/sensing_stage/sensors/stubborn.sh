#!/usr/bin/env bash
trap '' TERM
(trap '' TERM; while true; do sleep 1; done) &
echo "{\"payload\": {\"pid\": $$, \"child\": $!}}"
while true; do sleep 1; done
