"""What waits, asked by the partial indexes that hold nothing else: each kind of lane has one of its own.

Conditions are written as in those indexes (execution_due, execution_asked, execution_selected); SQLite would not take
them by itself. However much waits for its time, for a policy or for other workers, nobody reads it here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from apps.executions import lanes
from apps.executions.models import Execution
from attune.lib.rows import adapted

BATCH = 500  # rows that one look gives
OLDEST = 5000  # rows of each kind among which turns are taken

_WAITS = "status IN ('requested', 'scheduled')"
_CHOOSY = f"{_WAITS} AND NOT (worker_selector = '')"
_INDEXES = {lanes.QUEUE: "execution_due", lanes.PEOPLE: "execution_asked"}
_LANES = {
    lanes.QUEUE: f"{_WAITS} AND waits_key = '' AND worker_selector = '' AND requested_by_id IS NULL",
    lanes.PEOPLE: f"{_WAITS} AND waits_key = '' AND worker_selector = '' AND requested_by_id IS NOT NULL",
}
_CHOOSY_LANE = f"{_CHOOSY} AND waits_key = '' AND worker_selector = %(selector)s"
_COLUMNS = ", ".join(lanes.COLUMNS)
# Told of long ago, never told of, and put off until a time that is over. Among the oldest of each kind turns are taken.
_DUE = f"""
    SELECT {_COLUMNS} FROM (
        SELECT {_COLUMNS}, ROW_NUMBER() OVER (PARTITION BY requested_by_id, rule_ref ORDER BY id) AS turn FROM (
            SELECT * FROM (
                SELECT {_COLUMNS} FROM {{waiting}} AND run_after IS NULL AND nudged_at < %(told)s
                ORDER BY run_after, nudged_at LIMIT {{oldest}}
            ) told_long_ago
            UNION ALL SELECT * FROM (
                SELECT {_COLUMNS} FROM {{waiting}} AND run_after IS NULL AND nudged_at IS NULL LIMIT {{oldest}}
            ) never_told
            UNION ALL SELECT * FROM (
                SELECT {_COLUMNS} FROM {{waiting}} AND run_after <= %(now)s
                    AND (nudged_at IS NULL OR nudged_at < %(told)s)
                ORDER BY run_after LIMIT {{oldest}}
            ) put_off
        ) kinds
    ) turns ORDER BY turn, id LIMIT {{batch}}"""


def due(lane: str, *, now: datetime) -> list[Execution]:
    """Executions of a lane that are due and of which no worker was told for a sweep's time: the columns of `lanes`.

    At most a batch, the oldest of each rule, or of each person, before the second of any.
    """
    told = now - timedelta(seconds=settings.ATTUNE_SWEEP)
    values = {"selector": lanes.selector_of(lane), "now": adapted(now), "told": adapted(told)}
    return list(Execution.objects.raw(statement(lane), values))


def statement(lane: str) -> str:
    """The statement that `due` asks: parameters are selector, now and told."""
    table = _table(_INDEXES.get(lane, "execution_selected"))
    return _DUE.format(waiting=f"{table} WHERE {_LANES.get(lane, _CHOOSY_LANE)}", oldest=OLDEST, batch=BATCH)


def selectors() -> dict[str, int]:
    """Every selector that something waits with, and the first execution of each."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT worker_selector, MIN(id) FROM {_table('execution_selected')} WHERE {_CHOOSY} "
            "GROUP BY worker_selector ORDER BY worker_selector"
        )
        return dict(cursor.fetchall())


def _table(index: str) -> str:
    return "executions_execution" + (f" INDEXED BY {index}" if connection.vendor == "sqlite" else "")
