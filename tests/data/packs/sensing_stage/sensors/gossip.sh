#!/usr/bin/env bash
echo "the token is $ATTUNE_API_TOKEN, the password is $ATTUNE_SENSOR_PASSWORD" >&2
echo '{"payload": {"n": 1, "said": "a \"token\": '"$ATTUNE_API_TOKEN"'", "'"$ATTUNE_API_TOKEN"'": 2}}'
sleep 3600
