#!/usr/bin/env bash
echo "first words" >&2
echo "boom: no credentials" >&2
exit 3
