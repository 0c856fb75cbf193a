"""Find one's way in tables of millions of rows that only grow: what values there are, and where a time begins.

Both are done in a few steps down an index, on PostgreSQL and SQLite alike.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet

from attune.lib.rows import adapted

MOST_VALUES = 5000  # different ones of a column that are looked at
SELDOM = 5000  # rows
MARGIN = 1000  # rows


def different(model: type[Model], column: str, *, most: int = MOST_VALUES) -> list[str]:
    """The different texts, but the empty one, in a column that an index begins with; at most so many, in order.

    One step down the index for each, however many rows there are.
    """
    table, name = model._meta.db_table, model._meta.get_field(column).column  # type: ignore[union-attr]
    following = f'SELECT MIN("{name}") FROM "{table}" WHERE NOT ("{name}" = \'\')'
    statement = f"""
        WITH RECURSIVE seen(value) AS (
            {following} UNION ALL
            SELECT ({following} AND "{name}" > seen.value) FROM seen WHERE seen.value IS NOT NULL)
        SELECT value FROM seen WHERE value IS NOT NULL LIMIT {int(most)}"""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [row[0] for row in cursor.fetchall()]


def beginning_with(rows: QuerySet[Any], column: str, text: str) -> QuerySet[Any]:
    """The rows whose column, which an index begins with, begins with that text.

    If they are seldom they are found by the index, else on the way back from the latest: one of both takes long.
    """
    values = [value for value in different(rows.model, column) if value.startswith(text)]
    if not values:
        return rows.none()
    listed = {f"{column}__in": values}
    seldom = rows.model._base_manager.filter(**listed).order_by().values_list("pk", flat=True)[:SELDOM]
    return rows.filter(**(listed if len(seldom) < SELDOM else {f"{column}__startswith": text}))


def since(rows: QuerySet[Any], column: str, moment: datetime) -> QuerySet[Any]:
    """The rows of that moment or later. Numbers grow with time, so that where they begin is found by halving.

    Of rows that were written at the same time a few may stand on the wrong side of each other, so a margin is kept,
    and within it the column itself decides.
    """
    first = _first(rows.model, column, moment)
    rows = rows.filter(**{f"{column}__gte": moment})
    return rows if first is None else rows.filter(pk__gte=first - MARGIN)


def _first(model: type[Model], column: str, moment: datetime) -> int | None:
    """The lowest number from which on all rows are of that moment or later, near enough; None if there are no rows."""
    table, key = model._meta.db_table, model._meta.pk.column  # type: ignore[union-attr]
    name = model._meta.get_field(column).column  # type: ignore[union-attr]
    following = f'(SELECT "{name}" FROM "{table}" WHERE "{key}" >= (low + high) / 2 ORDER BY "{key}" LIMIT 1)'
    statement = f"""
        WITH RECURSIVE halves(low, high) AS (
            SELECT (SELECT MIN("{key}") FROM "{table}"), (SELECT MAX("{key}") FROM "{table}") UNION ALL
            SELECT CASE WHEN {following} < %s THEN (low + high) / 2 + 1 ELSE low END,
                CASE WHEN {following} < %s THEN high ELSE (low + high) / 2 END
            FROM halves WHERE low < high)
        SELECT low FROM halves WHERE low >= high"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [adapted(moment)] * 2)
        row = cursor.fetchone()
    return row[0] if row else None
