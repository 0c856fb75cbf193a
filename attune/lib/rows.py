"""Rows written and found on the hot path, with statements composed once: the ORM composes each anew.

The same SQL for PostgreSQL and SQLite. Values go through the model's own fields, so what is stored is the same.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar

from django.db import connection, transaction
from django.db.models import Model

from attune.lib.columns import as_stored, columns_of, made, named, stamp

M = TypeVar("M", bound=Model)


def insert(model: type[M], rows: Iterable[Mapping[str, Any]]) -> list[M]:
    """Insert rows given by field name (or attname); what is not given takes its default. Returns instances."""
    instances = [made(model, row) for row in rows]
    insert_made(instances)
    return instances


def insert_made(instances: Sequence[Model]) -> list[int]:
    """Insert new instances of one model, all with or all without numbers of their own; their numbers."""
    if not instances:
        return []
    numbered = instances[0].pk is not None
    values: list[Any] = []
    for instance in instances:
        values += [instance.pk] if numbered else []
        stamp(instance)
        fields = columns_of(type(instance))
        values += as_stored(fields, [getattr(instance, field.attname) for field in fields])
    with connection.cursor() as cursor:
        cursor.execute(_insertion(type(instances[0]), len(instances), numbered), values)
        numbers = [row[0] for row in cursor.fetchall()]
    if not numbered:
        numbers.sort()  # one statement hands them out in order
    for instance, number in zip(instances, numbers, strict=True):
        instance.pk = number
        instance._state.adding, instance._state.db = False, connection.alias
    return numbers


def next_number(model: type[Model]) -> str:
    """SQL for the number of the model's next row, which no other row will ever have."""
    table, key = model._meta.db_table, model._meta.pk.column  # type: ignore[union-attr]
    if connection.vendor == "postgresql":
        return f"nextval('\"{table}_{key}_seq\"')"
    with connection.cursor() as cursor:
        number = _count_up(cursor, table)
        if number is None:
            with transaction.atomic():  # the first one ever: only one of us may write it
                number = _count_up(cursor, table)
                if number is None:
                    number = 1
                    cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, 1)", [table])
    return str(number)


def _count_up(cursor: Any, table: str) -> int | None:
    cursor.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = %s RETURNING seq", [table])
    row = cursor.fetchone()
    return row and int(row[0])


def update(model: type[Model], changes: Mapping[str, Any], where: str, *parameters: Any) -> bool:
    """Change the rows that meet `where` (SQL with %s); False if there is none."""
    names = tuple(changes)
    values = as_stored(named(model, names), changes.values())
    with connection.cursor() as cursor:
        cursor.execute(_updating(model, names, where), [*values, *map(adapted, parameters)])
        return cursor.rowcount > 0


def adapted(value: Any) -> Any:
    """A parameter of raw SQL as this database wants it: SQLite keeps moments as text."""
    if hasattr(value, "tzinfo") and hasattr(value, "hour"):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def moment(value: Any) -> datetime:
    """A moment that raw SQL gave back: SQLite gives text."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value


@lru_cache(maxsize=256)
def _insertion(model: type[Model], count: int, numbered: bool) -> str:
    fields = (*([model._meta.pk] if numbered else []), *columns_of(model))
    columns = ", ".join(f'"{field.column}"' for field in fields)
    places = "(" + ", ".join(["%s"] * len(fields)) + ")"
    everything = ", ".join([places] * count)
    key = model._meta.pk.column  # type: ignore[union-attr]
    return f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES {everything} RETURNING "{key}"'


@lru_cache(maxsize=256)
def _updating(model: type[Model], names: tuple[str, ...], where: str) -> str:
    columns = ", ".join(f'"{model._meta.get_field(name).column}" = %s' for name in names)  # type: ignore[union-attr]
    return f'UPDATE "{model._meta.db_table}" SET {columns} WHERE {where}'


class Kept(Generic[M]):
    """Definitions, which change seldom, kept in memory for as long as a cheap look says they are the same.

    `look` is SQL that gives a row's key first and then its stamps: whatever changes when the row or one it was loaded
    with does. `load` fetches instances by their keys when they are new or changed. What is handed out is shared:
    read only.
    """

    def __init__(self, look: str, load: Callable[[list[int]], Iterable[M]], *, limit: int = 20_000) -> None:
        self._look, self._load, self._limit = look, load, limit
        self._known: OrderedDict[int, tuple[tuple[Any, ...], M]] = OrderedDict()
        self._lock = threading.Lock()

    def all(self, *parameters: Any) -> list[M]:
        """The rows that the look finds, in its order."""
        with connection.cursor() as cursor:
            cursor.execute(self._look, parameters)
            seen = {row[0]: tuple(row[1:]) for row in cursor.fetchall()}
        return self.of(seen)

    def fresh(self, key: int, *stamps: Any) -> M | None:
        """The row of that key, whose stamps the caller has seen already."""
        return next(iter(self.of({key: stamps})), None)

    def of(self, seen: dict[int, tuple[Any, ...]]) -> list[M]:
        """The rows of those keys, whose stamps the caller has seen already."""
        known = {key: self._known.get(key) for key in seen}
        missing = [key for key, kept in known.items() if kept is None or kept[0] != seen[key]]
        if not missing:
            return [kept[1] for kept in known.values() if kept]
        loaded = {instance.pk: instance for instance in self._load(missing)}
        with self._lock:
            for key, instance in loaded.items():
                self._known[key] = (seen[key], instance)
            while len(self._known) > self._limit:
                self._known.popitem(last=False)
        now = loaded | {key: kept[1] for key, kept in known.items() if kept and key not in missing}
        return [now[key] for key in seen if key in now]

    def one(self, *parameters: Any) -> M | None:
        """The first row that the look finds, or None."""
        return next(iter(self.all(*parameters)), None)
