"""The audit log only grows: the database refuses anything else, and what was done to it all the same is found."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import Error, connection, transaction
from django.utils import timezone

from apps.access import audit, audit_seals
from apps.access.models import AuditEntry, AuditSeal
from apps.access.retention import kinds
from attune.lib.retention import prune

pytestmark = pytest.mark.django_db
AT_ONCE = timedelta(0)


@pytest.fixture
def sealed() -> list[AuditEntry]:
    """Six entries below two seals."""
    entries = []
    for number in range(6):
        details: dict[str, Any] = {"n": number, "text": "ü☃", "float": 1.5, "list": [{"b": 1, "a": None}]}
        entries.append(audit.record("anna", "rule.update", f"a.b{number}", after=details))
        if number in (2, 5):
            assert audit_seals.seal_new(settled=AT_ONCE) == 3
    return entries


def faults() -> list[str]:
    return audit_seals.verify().faults


def test_a_log_that_nobody_touched_is_sound(sealed: list[AuditEntry], capsys: Any) -> None:
    verdict = audit_seals.verify()
    assert (verdict.faults, verdict.entries, verdict.seals) == ([], 6, 2)
    call_command("verify_audit", last=verdict.last)
    assert "6 entries below 2 seals" in capsys.readouterr().out
    assert audit_seals.seal_new(settled=AT_ONCE) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "bob"},
        {"after": {"n": 7}},
        {"at": timezone.now() - timedelta(days=3)},
        {"outcome": "denied"},
        {"http_status": 200},
        {"identity": 4},
    ],
)
def test_a_changed_entry_is_named(sealed: list[AuditEntry], change: dict[str, Any]) -> None:
    AuditEntry.objects.filter(pk=sealed[4].pk).update(**change)
    assert faults() == [f"entry {sealed[4].pk} was changed"]
    with pytest.raises(CommandError, match=f"entry {sealed[4].pk} was changed"):
        call_command("verify_audit")


def test_an_entry_that_is_gone_and_one_that_was_put_in_are_named(sealed: list[AuditEntry]) -> None:
    AuditEntry.objects.filter(pk=sealed[1].pk).delete()
    assert faults() == [f"entry {sealed[1].pk} is missing"]
    copy = sealed[4]
    AuditEntry.objects.filter(pk=copy.pk).delete()
    copy.pk = sealed[1].pk
    copy.save(force_insert=True)
    assert len(faults()) == 2


def test_seals_that_are_gone_or_changed_are_found(sealed: list[AuditEntry]) -> None:
    last = audit_seals.verify().last
    first, second = AuditSeal.objects.order_by("first_id")
    AuditSeal.objects.filter(pk=second.pk).update(marks={})
    assert "was changed, or made with a key" in faults()[0]
    AuditSeal.objects.filter(pk=second.pk).update(marks=second.marks)
    assert faults() == []
    first.delete()
    assert "are missing" in faults()[0]
    second.delete()
    assert faults() == []  # an end that was cut off is only seen by whoever noted the last seal
    with pytest.raises(CommandError, match="end of the log was cut off"):
        call_command("verify_audit", last=last)


def test_who_can_write_the_database_but_has_no_key_cannot_seal_again(sealed: list[AuditEntry], settings: Any) -> None:
    known = settings.ATTUNE_ENCRYPTION_KEY
    AuditEntry.objects.filter(pk=sealed[0].pk).update(actor="bob")
    AuditSeal.objects.all().delete()
    settings.ATTUNE_ENCRYPTION_KEY = "the intruder's own"
    audit_seals.seal_new(settled=AT_ONCE)
    assert faults() == []
    settings.ATTUNE_ENCRYPTION_KEY = known
    assert "was changed, or made with a key that is no longer known" in faults()[0]


def test_entries_wait_until_no_other_can_come_in_between() -> None:
    audit.record("anna", "rule.update", "a.b")
    assert audit_seals.seal_new() == 0
    AuditEntry.objects.update(at=timezone.now() - timedelta(minutes=3))
    assert audit_seals.seal_new() == 1


def test_retention_takes_the_oldest_away_and_the_rest_stays_sound(sealed: list[AuditEntry], settings: Any) -> None:
    AuditSeal.objects.all().delete()
    old = [entry.pk for entry in sealed[:3]]
    AuditEntry.objects.filter(pk__in=old).update(at=timezone.now() - timedelta(days=settings.ATTUNE_KEEP_AUDIT + 1))
    assert audit_seals._seal_some(timezone.now() - timedelta(days=1)) == 3
    assert audit_seals.seal_new(settled=AT_ONCE) == 3
    for kind in kinds()[:2]:
        prune(kind)
    assert (AuditEntry.objects.count(), AuditSeal.objects.count()) == (3, 1)
    assert faults() == []
    AuditEntry.objects.filter(pk=sealed[3].pk).delete()
    assert faults() == [f"entry {sealed[3].pk} is missing"]


def test_with_a_new_key_the_seals_are_signed_anew_and_what_was_wrong_stays_wrong(
    sealed: list[AuditEntry], settings: Any
) -> None:
    AuditEntry.objects.filter(pk=sealed[5].pk).update(actor="bob")
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = [settings.ATTUNE_ENCRYPTION_KEY]
    settings.ATTUNE_ENCRYPTION_KEY = "a new one"
    assert audit_seals.sign_anew() == 2
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = []
    assert faults() == [f"entry {sealed[5].pk} was changed"]


class Editor:
    """As much of a schema editor as the migration needs; SQLite's own wants to be outside of a transaction."""

    connection = connection

    def execute(self, statement: str, params: Any = ()) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, params)


@pytest.fixture
def guarded() -> None:
    """The tables as migrations make them: tests' own are made from the models."""
    migration = import_module("apps.access.migrations.0002_audit_log_only_grows")
    migration.guard(None, Editor())


def refused(statement: str, *arguments: Any) -> str:
    with pytest.raises(Error) as found, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, arguments)
    return str(found.value)


def test_the_database_refuses_to_change_an_entry(guarded: None) -> None:
    entry = audit.record("anna", "rule.update", "a.b")
    said = refused("UPDATE access_auditentry SET actor = 'bob' WHERE id = %s", entry.pk)
    assert "only ever added to" in said
    assert AuditEntry.objects.get().actor == "anna"


@pytest.mark.server_only
def test_postgresql_refuses_to_delete_entries_but_for_retention(guarded: None, settings: Any) -> None:
    entry = audit.record("anna", "rule.update", "a.b")
    assert "DELETE is refused" in refused("DELETE FROM access_auditentry WHERE id = %s", entry.pk)
    assert "TRUNCATE is refused" in refused("TRUNCATE access_auditentry")
    settings.ATTUNE_KEEP_AUDIT = 1
    with transaction.atomic():
        kinds()[0].before_delete()
        assert AuditEntry.objects.filter(pk=entry.pk).delete()[0] == 1
