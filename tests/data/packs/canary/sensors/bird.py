"""Says the secret of its pack, and the key that its rule names, on stdout, on stderr and in an event."""

import base64
import json
import os
import sys
import time
import urllib.request

rules = json.loads(os.environ["ATTUNE_SENSOR_TRIGGERS"])
ref = rules[0]["config"]["credentials"]
request = urllib.request.Request(
    f"{os.environ['ATTUNE_API_URL']}/api/v1/keys/{ref}?decrypt=true",
    headers={"Authorization": f"Bearer {os.environ['ATTUNE_API_TOKEN']}"},
)
with urllib.request.urlopen(request) as answer:
    key = json.load(answer)["data"]["value"]["token"]
for secret in (os.environ["ATTUNE_SENSOR_PASSWORD"], key):
    print("no event but", secret, flush=True)
    print("on stderr", secret, base64.b64encode(f"bird:{secret}".encode()).decode(), file=sys.stderr, flush=True)
    print(json.dumps({"payload": {"password": secret, "way": "sensor"}}), flush=True)
    print(json.dumps({"payload": {"password": [secret], "way": "sensor"}}), flush=True)
said = os.environ["ATTUNE_SENSOR_PASSWORD"]
print(json.dumps({"payload": {"way": "sensor", "said": f"it is {said}"}}), flush=True)
time.sleep(3600)
