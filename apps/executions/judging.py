"""The outputs of one run: masked and kept as they come, and at the end made into its status and result."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from apps.executions.child import End
from apps.executions.logs import STREAMS, Log
from apps.executions.models import Execution, Status
from apps.executions.outputs import exit_code_of, read_outcome
from apps.packs.key_reads import KeyReads, new_of
from apps.packs.models import Action
from attune.lib.json_values import storable, storable_text
from attune.lib.masks import Mask


class Outputs:
    """What one run of an action prints."""

    def __init__(self, execution: Execution, action: Action, mask: Mask) -> None:
        self._action, self._mask = action, mask
        self._reads = KeyReads(f"execution {execution.pk}", {execution.pack_ref, action.ref})
        self._limit = settings.ATTUNE_LOG_LIMIT
        self._logs = {stream: Log(execution.pk, stream, limit=self._limit) for stream in STREAMS}
        self._is_structured = action.output_format != Action.OutputFormat.TEXT
        self._printed = bytearray()  # all of stdout, where it has to be parsed
        self._is_cut = False  # there was more of it than is kept

    def take(self, stream: str, data: bytes) -> None:
        """The next piece, as printed."""
        self._keep(stream, data)
        self._mask.add(new_of(self._reads))
        self._logs[stream].write(self._mask.feed(stream, data))

    def take_masked(self, stream: str, data: bytes) -> None:
        """A piece that was masked before."""
        self._keep(stream, data)
        self._logs[stream].write(data)

    def _keep(self, stream: str, data: bytes) -> None:
        if self._is_structured and stream == "stdout":
            room = self._limit - len(self._printed)
            self._printed.extend(data[:room])
            self._is_cut = self._is_cut or len(data) > room

    def go_live(self) -> None:
        """Somebody may be watching from now on."""
        for log in self._logs.values():
            log.go_live()

    def close(self) -> None:
        """There is no more."""
        for stream, log in self._logs.items():
            log.write(self._mask.flush(stream))
            log.close()

    def judge(self, end: End, *, timeout: float) -> tuple[Status, dict[str, Any]]:
        """The status and columns of a run that ended so. `timeout`: its limit in seconds, for the message."""
        out, err = self._logs["stdout"], self._logs["stderr"]
        exit_code = exit_code_of(end.returncode)
        outcome = read_outcome(
            bytes(self._printed) if self._is_structured else out.excerpt.encode(),
            err.end,
            exit_code=exit_code,
            format=self._action.output_format,
            schema=self._action.output_schema,
            cut=self._is_cut,
        )
        status, error = (Status.COMPLETED if outcome.ok else Status.FAILED), outcome.error
        if end.ended_by == "timeout":
            status, error = Status.TIMEOUT, f"Ended after its time limit of {timeout:g} s."
        elif end.ended_by == "cancel":
            status, error = Status.CANCELLED, "Cancelled on request."
        elif end.ended_by == "stop":
            status = Status.ABANDONED
            error = "Abandoned: Attune was stopped while this ran. Run it again if that is safe."
        problem = out.problem or err.problem
        return status, {
            "exit_code": exit_code,
            "result": storable(self._mask.data(outcome.result)),
            "error": storable_text(self._mask.text(" ".join(filter(None, [error, problem])))),
            **self.columns,
        }

    @property
    def columns(self) -> dict[str, Any]:
        """What the row keeps of the outputs themselves."""
        out, err = self._logs["stdout"], self._logs["stderr"]
        return {
            "stdout": out.excerpt,
            "stderr": err.excerpt,
            "stdout_bytes": out.total,
            "stderr_bytes": err.total,
        }
