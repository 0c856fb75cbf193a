"""Seals on the audit log: what was changed, taken away or put in behind our back afterwards is found.

Every minute or so the new entries get a seal: a mark for each entry, made with a key that is not in the database, and
the seal before it in the chain. Writing an entry costs nothing more. The newest entries, and seals that are cut off
from the end, are not covered by that: note the last seal, which `manage.py verify_audit` tells, somewhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from apps.access.models import AuditEntry, AuditSeal
from attune.lib.signing import signature

SETTLED = timedelta(minutes=2)  # numbers are given before the commit, so younger entries may still come in between
MOST = 1000  # entries of one seal
_MARK = 22  # characters of an entry's mark, of the 64 of its seal's


@dataclass
class Verdict:
    """What a look at all seals found: how much is sound, what is wrong, and the last seal."""

    entries: int = 0
    seals: int = 0
    faults: list[str] = field(default_factory=list)
    last: str = ""


def seal_new(*, settled: timedelta = SETTLED) -> int:
    """Seal what has no seal yet. Returns how many entries; done twice at once, one of the two gives way."""
    count = 0
    while sealed := _seal_some(timezone.now() - settled):
        count += sealed
        if sealed < MOST:
            break
    return count


@transaction.atomic
def _seal_some(before: datetime) -> int:
    former = AuditSeal.objects.select_for_update().order_by("-last_id").first()
    columns = [column.attname for column in AuditEntry._meta.concrete_fields]
    rows = AuditEntry.objects.filter(id__gt=former.last_id if former else 0).order_by("id")[:MOST]
    entries: list[dict[str, Any]] = []
    for entry in rows.values(*columns):
        if entry["at"] >= before:
            break
        entries.append(entry)
    if not entries:
        return 0
    seal = AuditSeal(
        first_id=former.last_id + 1 if former else 1,
        last_id=entries[-1]["id"],
        first_at=entries[0]["at"],
        last_at=entries[-1]["at"],
        columns=columns,
        marks={str(entry["id"]): _mark(entry, columns, _secrets()[0]) for entry in entries},
        before=former.seal if former else "",
        before_at=former.last_at if former else None,
    )
    seal.seal = _seal_of(seal, _secrets()[0])
    seal.save(force_insert=True)
    return len(entries)


def verify() -> Verdict:
    """Compare the whole log with its seals. What retention takes away, the oldest entries, may be missing."""
    verdict, former = Verdict(), None
    days = settings.ATTUNE_KEEP_AUDIT
    gone_until = timezone.now() - timedelta(days=days) if days else datetime.min.replace(tzinfo=UTC)
    for seal in AuditSeal.objects.order_by("first_id").iterator(chunk_size=50):
        verdict.seals += 1
        name = f"the seal of the entries {seal.first_id} to {seal.last_id}"
        secret = next((each for each in _secrets() if constant_time_compare(_seal_of(seal, each), seal.seal)), None)
        if secret is None:
            verdict.faults.append(f"{name} was changed, or made with a key that is no longer known")
        if former is None and seal.before and (seal.before_at is None or seal.before_at >= gone_until):
            verdict.faults.append(f"seals before {name} are missing")
        if former is not None and (seal.before != former.seal or seal.first_id != former.last_id + 1):
            verdict.faults.append(f"between the entries {former.last_id} and {seal.first_id} seals are missing")
        if secret is not None:
            verdict.entries += len(seal.marks)
            verdict.faults += _faults_in(seal, secret, gone_until)
        former = seal
    if former is not None:
        verdict.last = f"{former.last_id}:{former.seal}"
    return verdict


def is_there(last: str) -> bool:
    """Whether a last seal, as `verify` told it, is one of the seals still."""
    number, _, text = last.partition(":")
    return number.isdigit() and AuditSeal.objects.filter(last_id=int(number), seal=text).exists()


def _faults_in(seal: AuditSeal, secret: str, gone_until: datetime) -> Iterator[str]:
    rows = AuditEntry.objects.filter(id__gte=seal.first_id, id__lte=seal.last_id).order_by("id")
    there = {row["id"]: row for row in rows.values(*seal.columns)}
    for number, mark in seal.marks.items():
        row = there.pop(int(number), None)
        if row is None:
            if seal.first_at >= gone_until:
                yield f"entry {number} is missing"
        elif not constant_time_compare(_mark(row, seal.columns, secret), mark):
            yield f"entry {number} was changed"
    for number in there:
        yield f"entry {number} was put in later"


def sign_anew() -> int:
    """Sign every seal that is sound with the present key, so that former ones can go. Returns how many."""
    count, before = 0, None
    present = _secrets()[0]
    with transaction.atomic():
        for seal in AuditSeal.objects.select_for_update().order_by("first_id"):
            secret = next((each for each in _secrets() if constant_time_compare(_seal_of(seal, each), seal.seal)), None)
            former, chained = seal.seal, before is None or before[0] == seal.before
            if secret is None or not chained:  # stays as it is, for `verify` to tell
                before = None
                continue
            rows = AuditEntry.objects.filter(id__gte=seal.first_id, id__lte=seal.last_id)
            there = {row["id"]: row for row in rows.values(*seal.columns)}
            for number, mark in seal.marks.items():
                row = there.get(int(number))
                if row is not None and constant_time_compare(_mark(row, seal.columns, secret), mark):
                    seal.marks[number] = _mark(row, seal.columns, present)
            seal.before = before[1] if before else seal.before
            seal.seal = _seal_of(seal, present)
            seal.save()
            before = (former, seal.seal)
            count += 1
    return count


def _secrets() -> tuple[str, ...]:
    return settings.ATTUNE_ENCRYPTION_KEY, *settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS


def _mark(entry: dict[str, Any], columns: Sequence[str], secret: str) -> str:
    return _hmac("attune.audit-entry", [entry[column] for column in columns], secret)[:_MARK]


def _seal_of(seal: AuditSeal, secret: str) -> str:
    facts = [seal.first_id, seal.last_id, seal.first_at, seal.last_at, seal.columns, seal.marks, seal.before]
    return _hmac("attune.audit-seal", [*facts, seal.before_at], secret)


def _hmac(salt: str, facts: list[Any], secret: str) -> str:
    text = json.dumps(facts, sort_keys=True, default=_plain)
    return signature(salt, text, secret=secret)


def _plain(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
