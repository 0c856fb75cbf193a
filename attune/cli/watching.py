"""Follow an execution: its output as it is written, its states as they change, to its end. No line is lost."""

from __future__ import annotations

import threading
import time
from typing import Any

from attune.cli.addresses import place
from attune.cli.client import Client
from attune.cli.errors import CommandError, TookTooLong
from attune.cli.output import say, write_raw

FINAL = {"completed", "failed", "timeout", "cancelled", "abandoned"}
ENDED = {"timeout": "ran out of time", "cancelled": "was cancelled", "abandoned": "was abandoned"}
STREAMS = ("stdout", "stderr")


def watch(api: Client, id: int, *, most: float | None = None, is_quiet: bool = False) -> dict[str, Any]:
    """Print what the execution prints until it has ended; then all that is known of it.

    `is_quiet`: its stdout is not the answer, so it goes to stderr too. Raises: TookTooLong after `most` seconds.
    """
    deadline = None if most is None else time.monotonic() + most
    copies = [_Copy(api, id, stream, deadline, to_stderr=is_quiet or stream == "stderr") for stream in STREAMS]
    for copy in copies:
        copy.start()
    try:
        _follow_states(api, id, deadline)
        for copy in copies:
            copy.finish()
    except TookTooLong as error:
        raise TookTooLong(error.message, hint=f"It goes on. Watch it again: attune execution watch {id}") from None
    except KeyboardInterrupt:
        say(f"Execution {id} goes on. End it: attune execution cancel {id}")
        raise
    return dict(api.get(place("executions/{id}", id=id))["data"])


def follow_logs(api: Client, id: int, streams: list[str]) -> None:
    """Print what the execution prints, from its beginning to its end."""
    copies = [_Copy(api, id, stream, None, to_stderr=stream == "stderr" and len(streams) > 1) for stream in streams]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.finish()


def outcome(execution: dict[str, Any]) -> str:
    """How it ended, in a sentence."""
    took = f" after {execution['duration_ms'] / 1000:.1f} s" if execution.get("duration_ms") is not None else ""
    error = f": {execution['error']}" if execution.get("error") else "."
    ended = ENDED.get(execution["status"], execution["status"])
    return f"Execution {execution['id']} of {execution['action_ref']} {ended}{took}{error}"


def _follow_states(api: Client, id: int, deadline: float | None) -> None:
    told = ""
    for event in api.follow("executions/stream", deadline=deadline, execution_id=id):
        row = event.data
        state = f"{row['status']}" + (f", {row['waits_for']}" if row.get("waits_for") else "")
        if row["status"] in FINAL:
            return
        if state != told:
            say(f"Execution {id} of {row['action_ref']}: {state}")
            told = state


class _Copy(threading.Thread):
    """Copies one of the execution's streams to one of ours."""

    def __init__(self, api: Client, id: int, stream: str, deadline: float | None, *, to_stderr: bool) -> None:
        super().__init__(daemon=True)
        self._path = place("executions/{id}/logs/{stream}/stream", id=id, stream=stream)
        self._api, self._deadline, self._to_stderr = api, deadline, to_stderr
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            for event in self._api.follow(self._path, deadline=self._deadline):
                if event.name != "end":
                    write_raw(event.data["text"].encode("utf-8", "surrogatepass"), to_stderr=self._to_stderr)
        except (CommandError, OSError) as error:
            self._error = error

    def finish(self) -> None:
        """Wait for the last line. Raises what kept it from being printed."""
        while self.is_alive():
            self.join(0.5)  # in pieces, so that Ctrl-C is heard
        if self._error is not None:
            raise self._error
