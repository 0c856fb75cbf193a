"""Between instances and the columns of their rows, for the hot path: Django's own ways, without their detours.

What is stored is the same; `tests/lib/test_columns.py` compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection
from django.db.models import (
    AutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    DateTimeField,
    Field,
    ForeignKey,
    IntegerField,
    Model,
    PositiveIntegerField,
    TextField,
)
from django.utils import timezone

M = TypeVar("M", bound=Model)

# Fields whose values the databases take as Python has them, if they are of these types.
_AS_IT_IS: dict[type, Any] = {CharField: str, TextField: str, BooleanField: bool, ForeignKey: int}
_NUMBERS = frozenset({IntegerField, BigIntegerField, PositiveIntegerField})


def made(model: type[M], row: Mapping[str, Any]) -> M:
    """An instance of a row given by field name (or attname), as `model(**row)` would be, at half the cost.

    Raises KeyError for what is no column.
    """
    places, constants, makers = _blank(model)
    values = list(constants)
    for place, make in makers:
        values[place] = make()
    for name, value in row.items():
        values[places[name]] = value.pk if isinstance(value, Model) else value
    instance = model(*values)
    for name, value in row.items():
        if isinstance(value, Model):
            setattr(instance, name, value)
    return instance


@lru_cache(maxsize=64)
def _blank(model: type[Model]) -> tuple[dict[str, int], tuple[Any, ...], tuple[tuple[int, Callable[[], Any]], ...]]:
    """Where each column of a new instance stands, by both of its names; the defaults; and those that are made anew."""
    places: dict[str, int] = {}
    constants: list[Any] = []
    makers = []
    for place, field in enumerate(model._meta.concrete_fields):
        places |= {field.name: place, field.attname: place}
        is_made = field.has_default() and callable(field.default)  # a list or an object of its own
        constants.append(None if is_made else field.get_default())
        makers += [(place, field.get_default)] if is_made else []
    return places, tuple(constants), tuple(makers)


def as_stored(fields: Sequence[Any], values: Iterable[Any]) -> list[Any]:
    """The values of these columns as this database wants them. A field is asked itself where that is not plain."""
    ops = connection.ops
    found = []
    for field, value in zip(fields, values, strict=True):
        kind = type(field)
        if value is None or isinstance(value, _AS_IT_IS.get(kind, ())):
            found.append(value)
        elif kind is DateTimeField and isinstance(value, datetime):
            found.append(ops.adapt_datetimefield_value(value))
        elif kind in _NUMBERS and isinstance(value, int):
            found.append(ops.adapt_integerfield_value(value, kind.__name__))
        else:
            found.append(field.get_db_prep_save(value, connection))
    return found


def as_json(instance: Model) -> str:
    """A new row as one JSON object of column and value, for PostgreSQL's `jsonb_populate_record`."""
    stamp(instance)
    return json.dumps({column: getattr(instance, name) for column, name in _names(type(instance))}, default=str)


def stamp(instance: Model) -> None:
    """Give the moments that are set by themselves, where they are not given."""
    for name, always in _stamps(type(instance)):
        if always or getattr(instance, name) is None:
            setattr(instance, name, timezone.now())


@lru_cache(maxsize=64)
def _stamps(model: type[Model]) -> tuple[tuple[str, bool], ...]:
    moments = [field for field in columns_of(model) if isinstance(field, DateTimeField)]
    return tuple((field.attname, field.auto_now) for field in moments if field.auto_now or field.auto_now_add)


@lru_cache(maxsize=64)
def _names(model: type[Model]) -> tuple[tuple[str, str], ...]:
    return tuple((field.column, field.attname) for field in model._meta.concrete_fields)


@lru_cache(maxsize=64)
def columns_of(model: type[Model]) -> tuple[Field, ...]:
    """Every column but the number."""
    return tuple(field for field in model._meta.concrete_fields if not isinstance(field, AutoField))


@lru_cache(maxsize=256)
def named(model: type[Model], names: tuple[str, ...]) -> tuple[Any, ...]:
    """The fields of these names, in their order."""
    return tuple(model._meta.get_field(name) for name in names)
