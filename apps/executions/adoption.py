"""Finish what a dead worker began: its launcher wrote down how the program ended, and what nobody had read of it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from django.conf import settings

from apps.executions import logs, losses, retries, spool, tokens
from apps.executions.child import End
from apps.executions.judging import Outputs
from apps.executions.models import LIVE, Execution, Status
from apps.executions.secrets import open_parameters
from attune.lib import crash
from attune.lib.errors import AttuneError
from attune.lib.masks import Mask

logger = logging.getLogger(__name__)


def adopt() -> int:
    """Write the end of every run that this host's launchers wrote down. Returns how many; again, it does nothing."""
    count = 0
    for record in spool.records():
        execution = (
            Execution.objects.select_related("action__pack", "action__runtime")
            .filter(pk=record.execution, attempt=record.attempt, status__in=LIVE)
            .first()
        )
        if execution is not None:
            execution.has_retry_policy = True  # perhaps; whoever plans the next try looks
            crash.point("before-adoption")
            count += _adopt(execution, record)
            crash.point("after-adoption")
        record.remove()
    return count


def _adopt(execution: Execution, record: spool.Record) -> bool:
    try:
        outputs = _outputs_of(execution, record)
    except AttuneError as error:
        outputs, fault = None, f"It ended without its worker, and what it printed cannot be read: {error.message}"
    if record.killed:
        why = "it was killed or frozen, and its programs were ended with its lease"
        return losses.settle(execution, why=why, printed=outputs.columns if outputs else {})
    if outputs:
        to, outcome = outputs.judge(End(record.returncode, ""), timeout=settings.ATTUNE_DEFAULT_TIMEOUT)
    else:
        to, outcome = Status.FAILED, {"error": fault}
    started = execution.started_at
    ended = datetime.fromtimestamp(record.ended_at, UTC)
    outcome["duration_ms"] = max(0, int((ended - started).total_seconds() * 1000)) if started else None
    if not retries.end(execution, to=to, **outcome):
        return False
    logger.warning("Execution %s ended as %s without its worker %s; adopted.", execution.pk, to, execution.worker)
    return True


def _outputs_of(execution: Execution, record: spool.Record) -> Outputs:
    """What it printed: what its worker had logged, and what the launcher found in the pipes."""
    action = execution.action
    if action is None:
        raise AttuneError(f"Action {execution.action_ref} is no longer installed.")
    mask = Mask([*open_parameters(execution, action, again=True).hidden, tokens.token_for(execution)])
    outputs = Outputs(execution, action, mask)
    for stream in logs.STREAMS:
        path = logs.path_of(execution.pk, stream)
        outputs.take_masked(stream, path.read_bytes() if path.exists() else b"")
        outputs.take(stream, record.rest(stream))
    outputs.close()
    return outputs
