"""The sensor behind all timers: one small process that fires the rules of the three timer triggers.

The rules come in ATTUNE_SENSOR_TRIGGERS, changes to them as JSON lines on stdin, and every fire time leaves as one
JSON line on stdout, be it fired or passed over. It ends when stdin ends (the host is gone) or on SIGTERM. When nothing
is due it sleeps in the kernel. Run it by hand:

    ATTUNE_SENSOR_TRIGGERS='[{"id": 1, "ref": "my.rule", "trigger_ref": "core.intervaltimer",
                              "config": {"unit": "seconds", "interval": 2}}]' python timer_sensor.py
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from timer_rules import TimerRules  # noqa: E402

LONGEST_WAIT = 30.0  # a clock that was set is noticed after this long at the latest
READ_SIZE = 65536


def log(sentence: str) -> None:
    print(f"timer_sensor: {sentence}", file=sys.stderr, flush=True)


def emit(events: Iterator[dict]) -> None:
    """Print each event as one line, each in one go."""
    for event in events:
        sys.stdout.write(json.dumps(event, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def read_json(text: str | bytes, name: str) -> object:
    """The JSON value in ``text``, or None after a log line that names where it came from."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        log(f"{name} is not JSON and was ignored: {fault}.")
        return None


def wait_time(rules: TimerRules, now: float) -> float | None:
    """Seconds to sleep until something can be due; None to sleep until a control message comes."""
    due = rules.next_due()
    return None if due is None else min(max(due - now, 0), LONGEST_WAIT)


def serve(rules: TimerRules, control: int) -> None:
    """Fire what is due and follow the control messages, until the control input ends."""
    pending = b""
    while True:
        ready, _, _ = select.select([control], [], [], wait_time(rules, time.time()))
        if ready:
            received = os.read(control, READ_SIZE)
            if not received:
                return
            *lines, pending = (pending + received).split(b"\n")
            for line in filter(bytes.strip, lines):
                message = read_json(line, "A control message")
                if message is not None:
                    rules.apply(message, time.time())
        emit(rules.due(time.time()))


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    rules = TimerRules(log)
    snapshot = read_json(os.environ.get("ATTUNE_SENSOR_TRIGGERS") or "[]", "ATTUNE_SENSOR_TRIGGERS")
    try:
        emit(rules.start(snapshot, time.time()))
        log(f"watching {len(rules.timers)} timer rules.")
        serve(rules, sys.stdin.fileno())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more; leave quietly
    return 0


if __name__ == "__main__":
    sys.exit(main())
