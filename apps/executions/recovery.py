"""Find what was forgotten: executions nobody was told of, running ones whose worker died, and what that one left."""

from __future__ import annotations

import re
import shutil

from django.conf import settings
from django.utils import timezone

from apps.executions import backlog, lifecycle, losses, spool, workers
from apps.executions.models import LIVE, Execution

BATCH = 500  # rows of one sweep
_FOLDER = re.compile(r"execution-(\d+)-(\d+)")
_missed: set[tuple[int, int]] = set()  # attempts that ran in our name at the last sweep, and nobody here knew of them


def due(lane: str) -> list[Execution]:
    """Waiting executions of a lane that are due and of which no worker was told for a sweep's time: they are told now.

    Where they are many, it is the oldest few of each rule, or of each person, that go first. Not those that wait for a
    policy: of these only the first in each line has to know (`policies.waiting`).
    """
    now = timezone.now()
    found = backlog.due(lane, now=now)
    if found:
        lifecycle.nudged([execution.pk for execution in found], at=now)
    return found


def settle_orphans() -> int:
    """Settle what runs in the name of a worker without a sign of life. Returns how many.

    What its launcher on this host still holds is left: it ends with the lease, and is then adopted.
    """
    if not workers.may_judge():
        return 0
    alive = workers.alive_names()
    orphans = Execution.objects.select_related("action").filter(status__in=LIVE).exclude(worker__in=alive)[:BATCH]
    return sum(
        losses.settle(execution, why="it gave no sign of life any more")
        for execution in orphans
        if not spool.is_held(execution.worker)
    )


def settle_unknown() -> int:
    """Settle what runs in our own name without our knowing. Returns how many.

    That is what a database leaves which did what it was asked, a claim or an end, and could not say so. Only what was
    so at the sweep before, too: what ended without us in between has been adopted by now.
    """
    global _missed
    us = workers.current_name()
    ours = list(Execution.objects.select_related("action").filter(status__in=LIVE, worker=us))
    unknown = [execution for execution in ours if not workers.has_in_hand(execution.pk)]  # looked at after the rows
    again = [execution for execution in unknown if (execution.pk, execution.attempt) in _missed]
    _missed = {(execution.pk, execution.attempt) for execution in unknown}
    return sum(losses.settle(execution, why="it lost track of it") for execution in again)


def clear_folders() -> int:
    """Remove the temporary folders of attempts that are over: whose worker died could not. Returns how many.

    They may hold parameters that were handed over as a file.
    """
    found = {}
    for folder in settings.ATTUNE_TMP_DIR.glob("execution-*"):
        if name := _FOLDER.fullmatch(folder.name):
            found[folder] = (int(name[1]), int(name[2]))
    if not found:
        return 0
    ids = [pk for pk, _ in found.values()]
    live = set(Execution.objects.filter(pk__in=ids, status__in=LIVE).values_list("pk", "attempt"))
    left = [folder for folder, attempt in found.items() if attempt not in live]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)
