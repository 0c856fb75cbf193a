"""hello_python.folder_sensor: report new files in the folders that its rules name.

Each event is one line of JSON on stdout; what goes to stderr is the sensor's log. Files that are there at the
start are not new.
"""

import json
import os
import sys
import time


def files_in(folder: str) -> set[str]:
    """The names of the files in a folder; none if it cannot be read, with a line in the log."""
    try:
        return {entry.name for entry in os.scandir(folder) if entry.is_file()}
    except OSError as fault:
        print(f"folder_sensor: cannot look into {folder}: {fault.strerror}", file=sys.stderr, flush=True)
        return set()


def event_for(rule: dict, name: str) -> dict:
    """One event, meant for the rule that asked for this folder, and for no other."""
    folder = rule["config"]["folder"]
    path = os.path.join(folder, name)
    size = os.path.getsize(path) if os.path.exists(path) else 0
    return {
        "trigger": rule["trigger_ref"],
        "payload": {"folder": folder, "name": name, "size": size},
        "trigger_instance_id": f"rule_{rule['id']}",
    }


def main() -> None:
    rules = json.loads(os.environ.get("ATTUNE_SENSOR_TRIGGERS", "[]"))
    pause = float(os.environ.get("ATTUNE_SENSOR_POLL_SECONDS") or 2)
    seen = {rule["id"]: files_in(rule["config"]["folder"]) for rule in rules}
    print(f"folder_sensor: watching for {len(rules)} rules", file=sys.stderr, flush=True)
    while True:
        time.sleep(pause)
        for rule in rules:
            present = files_in(rule["config"]["folder"])
            for name in sorted(present - seen[rule["id"]]):
                print(json.dumps(event_for(rule, name)), flush=True)
            seen[rule["id"]] = present


if __name__ == "__main__":
    main()
