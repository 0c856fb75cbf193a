"""Say how it was started, then repeat every control line heard on stdin, as an event."""

import json
import os
import sys

rules = json.loads(os.environ["ATTUNE_SENSOR_TRIGGERS"])
print(json.dumps({"payload": {"started": [rule["ref"] for rule in rules], "pid": os.getpid()}}), flush=True)
for line in sys.stdin:
    print(json.dumps({"payload": {"heard": json.loads(line), "pid": os.getpid()}}), flush=True)
