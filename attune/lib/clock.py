"""The database's clock, which decides about leases, since those of hosts differ."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import ExpressionWrapper
from django.db.models.fields import DateTimeField
from django.db.models.functions import Now


def from_now(seconds: float) -> ExpressionWrapper:
    """That many seconds from now by the database's clock."""
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())
