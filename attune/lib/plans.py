"""Several writes that stand or fall together: on PostgreSQL in one round trip, on SQLite in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Model

from attune.lib.columns import as_json, as_stored, made, named
from attune.lib.rows import insert_made, update

MOST = 100  # writes of one statement; beyond, they are made one after the other


class Step:
    """One row to be inserted; its number is known once the plan is done, and other rows of the plan may refer to it."""

    def __init__(self, instance: Model) -> None:
        self.instance = instance

    @property
    def pk(self) -> Any:
        return self.instance.pk


@dataclass(frozen=True)
class Guard:
    """A change of one row; if no row meets `where` (SQL with %s), nothing of the plan happens."""

    model: type[Model]
    changes: Mapping[str, Any]
    where: str
    parameters: tuple[Any, ...]


class Plan:
    """Rows to insert, after the change that guards them if there is one."""

    def __init__(self, guard: Guard | None = None) -> None:
        self._guard = guard
        self._steps: list[tuple[Step, dict[str, Step]]] = []

    def insert(self, model: type[Model], row: Mapping[str, Any]) -> Step:
        """Add a row, given by field name; a foreign key, or a number, may be another step of this plan."""
        links = {name: value for name, value in row.items() if isinstance(value, Step)}
        return self.add(made(model, {name: value for name, value in row.items() if name not in links}), links)

    def add(self, instance: Model, links: Mapping[str, Step] | None = None) -> Step:
        """Add a row that is made already, perhaps with its number."""
        step = Step(instance)
        self._steps.append((step, dict(links or {})))
        return step

    def carry_out(self) -> bool:
        """Do it all; False if the guard met no row, and then nothing was done."""
        if connection.vendor == "postgresql" and 0 < len(self._steps) <= MOST:
            return self._in_one_statement()
        with transaction.atomic():
            guard = self._guard
            if guard and not update(guard.model, guard.changes, guard.where, *guard.parameters):
                return False
            for step, links in self._steps:
                for name, other in links.items():
                    _link(step.instance, name, other.instance)
                [step.instance.pk] = insert_made([step.instance])
        return True

    def _in_one_statement(self) -> bool:
        guard, values, opening = self._guard, [], None
        if guard:
            names = tuple(guard.changes)
            values = [*as_stored(named(guard.model, names), guard.changes.values()), *guard.parameters]
            opening = (guard.model, names, guard.where)
        places = {id(step): place for place, (step, _) in enumerate(self._steps)}
        shape = []
        for step, links in self._steps:
            linked = {_attname(step.instance, name): places[id(other)] for name, other in links.items()}
            shape.append((type(step.instance), step.instance.pk is not None, tuple(linked.items())))
            values.append(as_json(step.instance))
        with connection.cursor() as cursor:
            cursor.execute(_statement(opening, tuple(shape)), values)
            numbers = cursor.fetchone()
        if numbers is None or numbers[0] is None:
            return False
        for (step, links), number in zip(self._steps, numbers, strict=True):
            step.instance.pk = number
            step.instance._state.adding, step.instance._state.db = False, connection.alias
            for name, other in links.items():
                _link(step.instance, name, other.instance)
        return True


def _link(instance: Model, name: str, other: Model) -> None:
    """Point a foreign key, or a plain number, at another row."""
    is_key = instance._meta.get_field(name).is_relation
    setattr(instance, name, other if is_key else other.pk)


def _attname(instance: Model, name: str) -> str:
    return instance._meta.get_field(name).attname  # type: ignore


@lru_cache(maxsize=512)
def _statement(
    guard: tuple[type[Model], tuple[str, ...], str] | None,
    shape: tuple[tuple[type[Model], bool, tuple[tuple[str, int], ...]], ...],
) -> str:
    """`WITH guard AS (UPDATE …), s0 AS (INSERT … FROM row, guard), s1 AS (… (SELECT id FROM s0) …) SELECT …`."""
    parts, source = [], ""
    if guard:
        guarded, names, where = guard
        sets = ", ".join(f'"{guarded._meta.get_field(name).column}" = %s' for name in names)  # type: ignore[union-attr]
        parts = [f'guard AS (UPDATE "{guarded._meta.db_table}" SET {sets} WHERE {where} RETURNING 1)']
        source = ", guard"
    for place, (model, numbered, links) in enumerate(shape):
        table, linked = model._meta.db_table, dict(links)
        fields = [field for field in model._meta.concrete_fields if numbered or not field.primary_key]
        columns = ", ".join(f'"{field.column}"' for field in fields)
        chosen = ", ".join(
            f"(SELECT id FROM s{linked[field.attname]})" if field.attname in linked else f'r."{field.column}"'
            for field in fields
        )
        record = f'jsonb_populate_record(NULL::"{table}", %s::jsonb) r'
        key = model._meta.pk.column  # type: ignore[union-attr]
        row = f'INSERT INTO "{table}" ({columns}) SELECT {chosen} FROM {record}{source} RETURNING "{key}" AS id'
        parts.append(f"s{place} AS ({row})")
    numbers = ", ".join(f"(SELECT id FROM s{place})" for place in range(len(shape)))
    return f"WITH {', '.join(parts)} SELECT {numbers}"
