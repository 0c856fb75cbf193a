#!/usr/bin/env bash
while true; do
  echo "{\"payload\": {\"pid\": $$, \"at\": $EPOCHREALTIME}}"
  sleep 0.5
done
