"""How guessing is slowed down: who fails too often waits, twice as long each time, a minute at most.

A name has a count, and so has an address. Whoever came in from an address before has a count of their own there that
others cannot raise, so that nobody keeps them out by guessing at their name from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils.timezone import now

from apps.access.errors import TooManyAttempts
from apps.access.models import SignInFailures

FREE = {"name": 5, "place": 5, "address": 50, "tokens": 50}  # failures until the first wait, which is a second
LONGEST = 60  # seconds of a wait
FORGET = timedelta(minutes=15)  # after so long without a failure the count begins anew


@dataclass(frozen=True)
class Attempt:
    """One try to come in from an address: with a name and its password, or with a token."""

    origin: str
    name: str | None = None

    def refuse_early(self) -> None:
        """Raises: TooManyAttempts while a wait is not over; it is not made longer by asking."""
        _refuse(self._counts().values())

    def failed(self) -> None:
        """Count it. Of many that come at once only those count, and get an answer, that would have one by one.

        Raises: TooManyAttempts if a wait has begun since this attempt was let in.
        """
        with transaction.atomic():
            kinds = {_digest(kind, self): kind for kind in self._counting(self._counts())}
            new = [SignInFailures(who=who, last_at=now()) for who in sorted(kinds)]
            SignInFailures.objects.bulk_create(new, ignore_conflicts=True)
            rows = list(SignInFailures.objects.select_for_update().filter(who__in=kinds).order_by("who"))
            _refuse(rows)
            for row in rows:
                _count(row, FREE[kinds[row.who]])

    def succeeded(self) -> None:
        """Forget what this name failed, and know it at this address from now on.

        Raises: TooManyAttempts if a wait has begun since: a right guess among many sent at once is not told apart.
        """
        counts = self._counts()
        _refuse(counts.values())
        if self.name is None:
            return
        if "name" in counts:
            counts["name"].delete()
        known = SignInFailures(who=_digest("place", self), last_at=now())
        SignInFailures.objects.bulk_create(
            [known], update_conflicts=True, unique_fields=["who"], update_fields=["failures", "last_at", "wait_until"]
        )

    def _counts(self) -> dict[str, SignInFailures]:
        """The rows that count for this attempt, by kind; where the name is known at the address, that one alone."""
        kinds = {_digest(kind, self): kind for kind in self._kinds}
        found = {kinds[row.who]: row for row in SignInFailures.objects.filter(who__in=kinds)}
        return {"place": found["place"]} if "place" in found else found

    @property
    def _kinds(self) -> tuple[str, ...]:
        return ("tokens",) if self.name is None else ("name", "place", "address")

    def _counting(self, counts: Collection[str]) -> tuple[str, ...]:
        if "place" in counts:
            return ("place",)
        return tuple(kind for kind in self._kinds if kind != "place")


def _digest(kind: str, attempt: Attempt) -> str:
    """What a row is found by. Names are not kept as they are: some are passwords in the wrong field."""
    name = _same(attempt.name or "") if kind in ("name", "place") else ""
    parts = [kind, name, attempt.origin if kind != "name" else ""]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _same(name: str) -> str:
    """One text for all that a directory takes for one name, so that each spelling has no count of its own."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _refuse(rows: Collection[SignInFailures]) -> None:
    waits = [(row.wait_until - now()).total_seconds() for row in rows if row.wait_until]
    if waits and max(waits) > 0:
        raise TooManyAttempts(retry_after=math.ceil(max(waits)))


def _count(row: SignInFailures, free: int) -> None:
    moment = now()
    row.failures = (row.failures if row.last_at > moment - FORGET else 0) + 1
    row.last_at = moment
    if row.failures >= free:
        row.wait_until = moment + timedelta(seconds=min(2 ** min(row.failures - free, 10), LONGEST))
    row.save()
