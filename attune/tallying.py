"""Add what this process has counted to the counters of the whole installation, and read those."""

from __future__ import annotations

from django.db import DatabaseError, connection

from attune.lib import tallies
from attune.models import Tally

EVERY = 5.0  # seconds; so much is not counted of a process that is killed


def write_down() -> None:
    """One statement for all counters that have grown. Raises DatabaseError; then they wait for the next time."""
    taken = tallies.take()
    if not taken:
        return
    rows = sorted(taken.items())  # in one order everywhere, so that no two processes wait for each other
    places = ", ".join(["(%s, %s, %s)"] * len(rows))
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO attune_tally (name, labels, value) VALUES {places} "
                "ON CONFLICT (name, labels) DO UPDATE SET value = attune_tally.value + excluded.value",
                [part for (name, labels), value in rows for part in (name, labels, value)],
            )
    except DatabaseError:
        tallies.put_back(taken)
        raise


def read() -> dict[tuple[str, str], float]:
    """Every counter by name and labels."""
    return {(name, labels): value for name, labels, value in Tally.objects.values_list("name", "labels", "value")}
