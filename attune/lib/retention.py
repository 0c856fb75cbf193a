"""Delete what is old, of one kind at a time, in transactions so short that nobody waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

WINDOW = 500  # rows that are looked at together
SMALLEST, LARGEST = 10, 200  # rows of one transaction
AIM = 0.02  # seconds that one should take: half of it, and the next is larger; double, and it is smaller


@dataclass(frozen=True)
class Kind:
    """One kind of row that is kept for some days after a moment of its own, and then may go.

    `may_go(rows, before)` narrows rows down to those that may be deleted at all; they are older than `before`.
    `in_order` says that rows with higher keys have later moments, so that one can stop at the first that are young.
    """

    name: str  # as people call them
    model: type[Model]
    moment: str
    days: int  # 0: for ever
    may_go: Callable[[QuerySet[Any], datetime], QuerySet[Any]] = lambda rows, before: rows
    in_order: bool = True
    before_delete: Callable[[], object] = lambda: None  # said in each transaction that deletes

    @property
    def before(self) -> datetime:
        return timezone.now() - timedelta(days=self.days)


@dataclass
class Pruned:
    """What was deleted of a kind, and how long the longest transaction took."""

    name: str
    count: int = 0
    longest: float = 0.0  # seconds


def old(kind: Kind) -> int:
    """How many rows of that kind would be deleted now."""
    if not kind.days:
        return 0
    before = kind.before
    return kind.may_go(kind.model._default_manager.filter(**{f"{kind.moment}__lt": before}), before).count()


def prune(kind: Kind, *, go_on: Callable[[], bool] = lambda: True) -> Pruned:
    """Delete what is old of that kind, for as long as `go_on()`. Rows that came meanwhile are for the next time.

    After each transaction it rests for as long as that took, so that others get their turn (SQLite has one writer).
    """
    done = Pruned(kind.name)
    if not kind.days:
        return done
    size = SMALLEST
    for keys in _windows(kind):
        while keys:
            if not go_on():
                return done
            some, keys = keys[:size], keys[size:]
            began = time.monotonic()
            with transaction.atomic():
                kind.before_delete()
                kind.model._default_manager.filter(pk__in=some).only("pk").delete()
            took = time.monotonic() - began
            done.count += len(some)
            done.longest = max(done.longest, took)
            size = min(LARGEST, size * 2) if took < AIM / 2 else max(SMALLEST, size // 2) if took > AIM * 2 else size
            time.sleep(min(took, 1.0))
    return done


def _windows(kind: Kind) -> Iterator[list[Any]]:
    """The keys of what may go, some at a time, in the order of their keys; reads only."""
    before, rows = kind.before, kind.model._default_manager.order_by("pk")
    last = None
    while True:
        seen = list((rows if last is None else rows.filter(pk__gt=last)).values_list("pk", kind.moment)[:WINDOW])
        keys = [pk for pk, at in seen if at is not None and at < before]
        if keys:
            yield list(kind.may_go(rows.filter(pk__in=keys), before).values_list("pk", flat=True))
        if len(seen) < WINDOW or (kind.in_order and not keys):
            return
        last = seen[-1][0]
