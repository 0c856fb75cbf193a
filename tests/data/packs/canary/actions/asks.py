"""Reads a key with its token, as most packs do, and says it."""

import json
import os
import sys
import urllib.request

ref = json.loads(sys.stdin.readline())["ref"]
address = f"{os.environ['ATTUNE_API_URL']}/api/v1/keys/{ref}?decrypt=true"
for _ in range(20):
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {os.environ['ATTUNE_API_TOKEN']}"})
    with urllib.request.urlopen(request) as answer:
        value = json.load(answer)["data"]["value"]
print(json.dumps(value))
print(value["token"], file=sys.stderr)
