"""How the queue of an action stands: what runs, what waits, how many may run. A long history costs no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q
from django.utils import timezone

from apps.executions import workers
from apps.executions.models import LIVE, WAITING_LISTED, Execution
from apps.executions.policies.holding import CONCURRENCY, limits_of
from apps.packs.models import Action

MOST = 100_000  # rows counted of one kind


@dataclass(frozen=True)
class Queue:
    """The executions of one action, counted at one moment."""

    action: Action
    running: int
    waiting: int
    oldest: datetime | None  # when that which waits longest was asked for
    at_a_time: int
    kept: int  # all there are of it, those that are over included
    is_capped: bool  # there are more than `kept`
    at: datetime

    @property
    def over(self) -> int:
        return max(0, self.kept - self.running - self.waiting)


def queue_of(action: Action) -> Queue:
    """How it stands now."""
    running = sum(_of_status(status, action.ref)[0] for status in sorted(LIVE))
    waits = [_of_status(status, action.ref) for status in WAITING_LISTED]
    kept = Execution.objects.filter(action_ref=action.ref).order_by()[: MOST + 1].count()
    return Queue(
        action=action,
        running=running,
        waiting=sum(count for count, _ in waits),
        oldest=min((oldest for _, oldest in waits if oldest), default=None),
        at_a_time=_at_a_time(action),
        kept=min(kept, MOST),
        is_capped=kept > MOST,
        at=timezone.now(),
    )


def _of_status(status: str, ref: str) -> tuple[int, datetime | None]:
    """How many of the first that have this status are the action's, and when its oldest was asked for.

    They are taken by their status first: by the action first, it would be all of its history.
    """
    first = Execution.objects.filter(status=status).order_by("id").values("action_ref", "created")[:MOST]
    own = Q(action_ref=ref)
    found = first.aggregate(number=Count("created", filter=own), oldest=Min("created", filter=own))
    return found["number"], found["oldest"]


def _at_a_time(action: Action) -> int:
    """The least limit of its policies; without one, as many as the workers alive have room for."""
    limits = [limit.part["limit"] for limit in limits_of(action.ref, action.pack.ref) if limit.kind == CONCURRENCY]
    return min(limits) if limits else sum(worker.threads for worker in workers.alive())
