"""Who does what only one of all processes has to do: whoever holds the lease, by the database's clock."""

from __future__ import annotations

import time

from django.db.models import Q
from django.db.models.functions import Now

from apps.executions.models import Lease
from attune.lib.clock import from_now

CHORES = "chores"


class Leadership:
    """One process's part in it: it asks for the lease again and again, and holds it or does not."""

    def __init__(self, holder: str, *, seconds: float, name: str = CHORES) -> None:
        self.name, self.holder, self.seconds = name, holder, seconds
        self._until = 0.0  # by the monotonic clock: the lease is ours at least until then

    def seek(self) -> bool:
        """Renew the lease, or take it if nobody has it; whether it is ours now. Call it well within the lease."""
        asked = time.monotonic()
        free = Q(holder=self.holder) | Q(expires_at=None) | Q(expires_at__lte=Now())
        mine = Lease.objects.filter(free, name=self.name)
        changes = {"holder": self.holder, "expires_at": from_now(self.seconds)}
        taken = mine.update(**changes)
        if not taken and Lease.objects.get_or_create(name=self.name)[1]:
            taken = mine.update(**changes)
        self._until = asked + self.seconds if taken else 0.0
        return self.holds()

    def holds(self) -> bool:
        """Whether the lease is certainly ours at this moment."""
        return time.monotonic() < self._until

    def give_up(self) -> None:
        """Let another process take it at once."""
        self._until = 0.0
        Lease.objects.filter(name=self.name, holder=self.holder).update(holder="", expires_at=None)


def leader() -> str:
    """The name of the worker that holds the lease; empty when nobody does."""
    return Lease.objects.filter(name=CHORES, expires_at__gt=Now()).values_list("holder", flat=True).first() or ""
