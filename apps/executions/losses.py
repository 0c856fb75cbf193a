"""An attempt that nobody finished: begun again if the action says that is safe, else `abandoned`, and why."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.conf import settings

from apps.executions import lifecycle, logs
from apps.executions.models import Execution
from attune.lib import crash

logger = logging.getLogger(__name__)

NOTHING: Mapping[str, Any] = MappingProxyType({})
TAIL = 4096  # bytes of the log in which its last line is looked for


def settle(execution: Execution, *, why: str, printed: Mapping[str, Any] = NOTHING) -> bool:
    """Put the execution back, or end it; False if this attempt is over already.

    `why` says what became of its worker, `printed` are the columns of its outputs as far as they are known.

    An `idempotent` action gets another attempt, until ATTUNE_MAX_LOST_ATTEMPTS were lost: then it is poisoned, which
    means that it is likely what takes its workers down.
    """
    action = execution.action
    is_safe = action is not None and action.idempotent
    lost = execution.lost_attempts + 1
    crash.point("before-settling")
    if is_safe and lost < settings.ATTUNE_MAX_LOST_ATTEMPTS:
        settled = lifecycle.requeue(execution, lost=True)
        outcome = "it is begun again"
    else:
        settled = lifecycle.abandon(execution, why=_words(execution, why, lost if is_safe else 0, printed), **printed)
        outcome = "abandoned"
    if settled:
        crash.point("after-settling")
        logger.warning("Execution %s lost attempt %s (%s): %s.", execution.pk, execution.attempt, why, outcome)
        shutil.rmtree(settings.ATTUNE_TMP_DIR / f"execution-{execution.pk}-{execution.attempt}", ignore_errors=True)
    return settled


def _words(execution: Execution, why: str, lost: int, printed: Mapping[str, Any]) -> str:
    started = f"{execution.started_at:%Y-%m-%d %H:%M:%S} UTC" if execution.started_at else "an unknown time"
    where = f"Worker {execution.worker}, attempt {execution.attempt}, started {started}: {why}."
    if lost:
        told = f"Poisoned: {lost} attempts were lost with their workers; it is not begun again. {where}"
    else:
        told = f"Abandoned: {where} It was not repeated; run it again if that is safe."
    last = _last_line(execution.pk, printed)
    return f"{told} Its last line was: {last}" if last else told


def _last_line(execution_id: int, printed: Mapping[str, Any]) -> str:
    """The last line that is known of it, of stderr before stdout."""
    for stream in reversed(logs.STREAMS):
        text = printed.get(stream) or logs.read(execution_id, stream, offset=-TAIL).decode("utf-8", "replace")
        if found := [line.strip() for line in text.split("\n") if line.strip()]:
            return found[-1][:500].replace("\0", "")
    return ""
