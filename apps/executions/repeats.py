"""The same request sent again: the execution that was made under its key, and no second one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.executions.errors import KeyInUse
from apps.executions.models import Execution, RequestKey

KEY_LIFE = timedelta(days=1)
MOST_FORGOTTEN = 1000  # keys that are forgotten in one step


class _Raced(Exception):
    """Somebody else used the key between our look and our write."""


def once(make: Callable[[], Execution], *, by: str, key: str, digest: str) -> tuple[Execution, bool]:
    """The execution that `make` makes, and True; or the one that `by` made under this key within a day, and False.

    `digest` stands for all that was asked. Raises KeyInUse when the key was used for something else.
    """
    for _ in range(5):
        try:
            with transaction.atomic():
                return _once(make, by, key, digest)
        except _Raced:
            continue
    raise KeyInUse(f"The key {key!r} is being used by many at once; send this again.")


def _once(make: Callable[[], Execution], by: str, key: str, digest: str) -> tuple[Execution, bool]:
    now = timezone.now()
    known = RequestKey.objects.select_related("execution").filter(by=by, key=key).first()
    if known and known.expires_at > now:
        if known.digest != digest:
            raise KeyInUse(
                f"The key {key!r} was used for another request ({known.execution.action_ref}, "
                f"execution {known.execution_id}); choose a new key for each request."
            )
        return known.execution, False
    if known:
        known.delete()
    execution = make()
    try:
        with transaction.atomic():
            RequestKey.objects.create(by=by, key=key, digest=digest, execution=execution, expires_at=now + KEY_LIFE)
    except IntegrityError:
        raise _Raced from None
    return execution, True


def forget() -> int:
    """Delete keys whose day is over. Returns how many."""
    over = RequestKey.objects.filter(expires_at__lt=timezone.now()).order_by("expires_at")
    ids = list(over.values_list("pk", flat=True)[:MOST_FORGOTTEN])
    RequestKey.objects.filter(pk__in=ids).delete()
    return len(ids)
