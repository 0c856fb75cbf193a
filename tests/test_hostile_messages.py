"""Whoever can write to the broker can write anything: it is dropped, runs no code, and what is ours goes on."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import dramatiq
import pytest

from apps.executions.models import Execution, Status
from attune.broker import Workers
from tests.conftest import until


class Evil:
    """What a reader of pickles would run."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def message(**changed: Any) -> bytes:
    ours = {
        "queue_name": "executions",
        "actor_name": "run_execution",
        "args": [1],
        "kwargs": {},
        "options": {},
        "message_id": "m",
        "message_timestamp": 1,
    }
    return json.dumps(ours | changed).encode()


HOSTILE = [
    b"",
    b"\x00" * 100,
    b"\xff\xfe",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"{}",
    b'{"queue_name": "executions"}',
    b"[" * 200_000,
    b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    b'{"args": ' + b"9" * 10_000 + b"}",
    b"x" * 1_000_000,
    message(actor_name="os.system", args=["id"]),
    message(actor_name="__import__", args=["os"]),
    message(actor_name=None),
    message(actor_name=["run_execution"]),
    message(queue_name="nowhere"),
    message(queue_name=None),
    message(queue_name=5),
    message(args=None),
    message(args=[]),
    message(args=[1, 2, 3]),
    message(args=["1; DROP TABLE x"]),
    message(args=[{"$gt": 1}]),
    message(args=[-1]),
    message(args=[2**70]),
    message(args=[None]),
    message(kwargs={"execution_id": 1, "shell": True}),
    message(kwargs=[1]),
    message(kwargs=None),
    message(options={"pipe_target": {"actor_name": "x"}, "on_success": "os.system", "retries": 1e9}),
    message(options=None),
    message(options={"time_limit": "x", "eta": -1, "max_age": "x"}),
    message(message_id=None),
    message(message_id={"a": 1}),
    message(message_timestamp="x"),
    message(extra="field"),
]


def test_no_message_runs_code_or_stops_a_worker(
    workers: Workers, make_action: Any, run: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marker = tmp_path / "ran"
    turns = dramatiq.get_broker().turns  # type: ignore[attr-defined]
    for data in [*HOSTILE, pickle.dumps(Evil(marker)), pickle.dumps({"actor_name": Evil(marker)})]:
        turns.push("executions", "", data)
    ended = run(make_action("echo here"))
    assert ended.status == Status.COMPLETED
    assert not marker.exists()
    assert Execution.objects.count() == 1
    until(lambda: turns.depth("executions") == 0, "all of them to be dropped")
    at_work = [thread.consumer for pool in workers.pools for thread in pool.consumers.values()]
    until(lambda: not any(getattr(each, "at_work", 0) for each in at_work), "those that look like ours to be done")
    assert "Consumer encountered an unexpected error" not in caplog.text
