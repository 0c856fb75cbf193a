"""What is old goes, kind by kind, and nothing that is not over; one process of all sees to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.access.models import ApiToken, AuditEntry, SignInFailures
from apps.access.tokens import issue
from apps.executions import logs
from apps.executions import retention as of_executions
from apps.executions.leading import Leadership, leader
from apps.executions.models import Execution, Lease, Status, Worker
from apps.rules.models import Debounce, Enforcement, Event, EventKey, Pause
from apps.sensors.models import WebhookDelivery
from attune.lib import retention
from attune.retention import Retention, kinds, prune_rows
from tests.live import Live, wait

pytestmark = pytest.mark.django_db


def ago(days: float) -> Any:
    return timezone.now() - timedelta(days=days)


def make_event(days: float, **more: Any) -> Event:
    event = Event.objects.create(trigger_ref="adhoc.happened", processed_at=ago(days), **more)
    Event.objects.filter(pk=event.pk).update(created=ago(days))
    return event


def make_execution(days: float, status: str = Status.COMPLETED, **more: Any) -> Execution:
    over = {"finished_at": ago(days)} if status == Status.COMPLETED else {}
    execution = Execution.objects.create(action_ref="demo.act", pack_ref="demo", status=status, **over, **more)
    Execution.objects.filter(pk=execution.pk).update(created=ago(days))
    return execution


def make_match(event: Event, execution: Execution | None, rule: str = "adhoc.rule") -> Enforcement:
    verdict = "matched" if execution else "error"
    return Enforcement.objects.create(
        event=event, execution=execution, rule_ref=rule, trigger_ref=event.trigger_ref, verdict=verdict, action_ref="a"
    )


def left(model: Any) -> set[int]:
    return set(model.objects.values_list("pk", flat=True))


def counts() -> dict[str, int]:
    return {done.name: done.count for done in prune_rows() if done.count}


# What goes, and what stays -------------------------------------------------------------------------------------------
def test_an_event_that_a_pause_or_a_debounce_holds_stays_until_it_is_let_go(
    make_rule: Callable[..., Any], make_action: Callable[..., Any]
) -> None:
    pause = Pause.objects.create(reason="r", paused_by="anna")
    held, waiting = make_event(31, held_by=pause.pk), make_event(31)
    quiet = Debounce.objects.create(
        rule=make_rule(make_action("true")),
        event_id=waiting.pk,
        first_id=waiting.pk,
        superseded_id=None,
        due_at=timezone.now(),
    )
    assert counts() == {} and left(Event) == {held.pk, waiting.pk}
    quiet.delete()
    assert counts() == {"events": 1} and left(Event) == {held.pk}
    Pause.objects.update(active=None, held=Pause.Held.PROCESS)
    assert counts() == {}
    Pause.objects.update(held=Pause.Held.SKIP)
    assert counts() == {"events": 1}


def test_events_and_executions_go_when_they_are_old_and_over() -> None:
    old, young = make_event(31), make_event(29)
    old_run, young_run = make_execution(31), make_execution(29)
    make_match(old, old_run)
    kept = make_match(young, young_run)
    assert counts() == {"events": 1, "executions": 1}
    assert left(Event) == {young.pk} and left(Execution) == {young_run.pk} and left(Enforcement) == {kept.pk}


@pytest.mark.parametrize("status", [Status.REQUESTED, Status.SCHEDULED, Status.RUNNING, Status.CANCELING])
def test_neither_what_is_not_over_nor_its_event_goes_however_old(status: str) -> None:
    event, by_rerun = make_event(400), make_event(400)
    running = make_execution(400, status)
    make_match(event, running)
    make_match(by_rerun, None)
    first = make_execution(400, event_id=by_rerun.pk)
    again = make_execution(1, status, event_id=by_rerun.pk, original=first)
    parent = make_execution(400)
    child = make_execution(1, status, parent=parent)
    assert counts() == {}
    assert left(Event) == {event.pk, by_rerun.pk}
    assert left(Execution) == {running.pk, first.pk, again.pk, parent.pk, child.pk}


def test_an_event_nobody_decided_on_stays() -> None:
    event = make_event(400)
    Event.objects.update(processed_at=None)
    assert counts() == {}
    assert left(Event) == {event.pk}


def test_an_event_that_no_rule_matched_goes_sooner() -> None:
    missed, failed, fresh = make_event(8), make_event(8), make_event(6)
    make_match(failed, None)
    assert counts() == {"events that no rule matched": 1}
    assert left(Event) == {failed.pk, fresh.pk} and missed.pk not in left(Event)


def test_what_waited_long_is_kept_from_its_end_on() -> None:
    execution = make_execution(90)
    Execution.objects.update(finished_at=ago(1))
    assert counts() == {}
    assert left(Execution) == {execution.pk}


def test_pointers_to_what_is_gone_are_let_go() -> None:
    event, run = make_event(40), make_execution(40)
    make_match(event, run)
    replay = make_event(1, replay_of=event)
    rerun = make_execution(1, original=run)
    kept = make_match(replay, rerun)
    assert counts() == {"events": 1, "executions": 1}
    replay.refresh_from_db()
    rerun.refresh_from_db()
    assert replay.replay_of is None and rerun.original is None and left(Enforcement) == {kept.pk}


def test_deliveries_audit_entries_workers_tokens_sessions_and_keys_go_in_their_time(people: Callable[..., Any]) -> None:
    user = people("viewer")
    AuditEntry.objects.all().delete()
    for days in (400, 300):
        AuditEntry.objects.create(actor="a", action="b", target=str(days))
        AuditEntry.objects.filter(target=str(days)).update(at=ago(days))
    for days in (15, 13):
        WebhookDelivery.objects.create(status=days, trigger_ref="a.b")
        WebhookDelivery.objects.filter(status=days).update(received_at=ago(days))
    for days in (8, 6, 100):
        Worker.objects.create(name=f"{days}", host="h", pid=1, heartbeat_at=ago(days))
    make_execution(1, Status.RUNNING, worker="100")
    for days in (8, 6):
        issue(user, ApiToken.Kind.ACCESS, name=f"{days}", lifetime=-timedelta(days=days))
        SignInFailures.objects.create(who=f"{days}", last_at=ago(days))
        Session.objects.create(session_key=f"{days}", session_data="", expire_date=ago(days))
    issue(user, ApiToken.Kind.PERSONAL, name="for ever")
    event = make_event(1)
    for days in (8, 0.5):
        EventKey.objects.create(trigger_ref="a.b", key=str(days), event=event, expires_at=ago(days))
    counts()
    assert set(AuditEntry.objects.values_list("target", flat=True)) == {"300"}
    assert set(WebhookDelivery.objects.values_list("status", flat=True)) == {13}
    assert set(Worker.objects.values_list("name", flat=True)) == {"6", "100"}
    assert set(ApiToken.objects.values_list("name", flat=True)) == {"6", "for ever"}
    assert set(SignInFailures.objects.values_list("who", flat=True)) == {"6"}
    assert set(Session.objects.values_list("session_key", flat=True)) == {"6"}
    assert set(EventKey.objects.values_list("key", flat=True)) == {"0.5"}


def test_zero_days_keep_for_ever(settings: Any) -> None:
    for name in [name for name in dir(configured) if name.startswith("ATTUNE_KEEP_")]:
        setattr(settings, name, 0)
    make_match(make_event(10_000), make_execution(10_000))
    assert all(kind.days == 0 for kind in kinds())
    assert counts() == {} and Event.objects.exists() and Execution.objects.exists()


def test_fewer_than_no_days_are_refused_at_the_start() -> None:
    env = os.environ | {"ATTUNE_KEEP_EVENTS": "-1"}
    told = subprocess.run([sys.executable, "manage.py", "check"], env=env, capture_output=True, text=True)
    assert told.returncode and ImproperlyConfigured.__name__ in told.stderr and "0 for ever" in told.stderr


# How it is done ------------------------------------------------------------------------------------------------------
def test_it_goes_in_small_steps_and_reads_nothing_big() -> None:
    Execution.objects.bulk_create(
        Execution(action_ref="a.b", pack_ref="a", status=Status.COMPLETED, finished_at=ago(40), stdout="x" * 1000)
        for _ in range(1200)
    )
    Execution.objects.update(created=ago(40))
    young = make_execution(1)
    with CaptureQueriesContext(connection) as captured:
        [done] = [one for one in prune_rows() if one.count]
    assert done.count == 1200 and left(Execution) == {young.pk}
    deletions = [query["sql"] for query in captured if query["sql"].startswith('DELETE FROM "executions_execution"')]
    assert len(deletions) >= 1200 / retention.LARGEST
    assert not any("stdout" in query["sql"] for query in captured)


def test_it_stops_between_two_steps_when_it_is_told_to() -> None:
    for _ in range(3):
        make_match(make_event(40), make_execution(40))
    asked: list[int] = []
    prune_rows(lambda: len(asked) < 1 and not asked.append(1))  # type: ignore[func-returns-value]
    assert not Event.objects.exists() and Execution.objects.count() == 3


def test_the_command_says_first_what_it_would_do(settings: Any, tmp_path: Any) -> None:
    settings.ATTUNE_LOG_DIR = settings.ATTUNE_TMP_DIR = tmp_path
    make_match(make_event(40), make_execution(40))
    old_file(logs.path_of(10**9, "stdout"))
    said = command("--dry-run")
    assert "Would delete 1 events (kept 30 days)." in said and "Would delete 1 executions (kept 30 days)." in said
    assert "Would remove 1 files" in said
    assert Event.objects.count() == Execution.objects.count() == 1 and logs.path_of(10**9, "stdout").exists()
    said = command()
    assert "Deleted 1 events" in said and "Removed 1 files" in said and "longest transaction" in said
    assert not Event.objects.exists() and not Execution.objects.exists()
    entry = AuditEntry.objects.get(action="retention.prune")
    assert entry.actor == "command" and entry.after == {"events": 1, "executions": 1, "files": 1}
    assert "Deleted 0 events" in command()


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue()


# Files ---------------------------------------------------------------------------------------------------------------
def old_file(path: Any) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (time.time() - 7200,) * 2)
    return path


def test_files_without_a_row_go_and_no_others(settings: Any, tmp_path: Any) -> None:
    settings.ATTUNE_LOG_DIR, settings.ATTUNE_TMP_DIR = tmp_path / "logs", tmp_path / "tmp"
    kept, running = make_execution(1), make_execution(1, Status.RUNNING)
    of_kept = old_file(logs.path_of(kept.pk, "stdout"))
    foreign = old_file(logs.folder() / "0" / "notes.txt")
    fresh = logs.path_of(kept.pk + 1000, "stderr")
    fresh.parent.mkdir(parents=True)
    fresh.write_text("just written")
    gone = [old_file(logs.path_of(kept.pk + 5000 + number, "stdout")) for number in range(3)]
    folders = {}
    for execution in (kept, running):
        folders[execution.pk] = settings.ATTUNE_TMP_DIR / f"execution-{execution.pk}-1"
        old_file(folders[execution.pk] / "parameters.json")
        os.utime(folders[execution.pk], (time.time() - 7200,) * 2)
    assert of_executions.remove_orphans() == 4
    assert of_kept.exists() and foreign.exists() and fresh.exists()
    assert not any(path.exists() for path in gone) and not gone[0].parent.exists()
    assert folders[running.pk].exists() and not folders[kept.pk].exists()


def test_an_execution_goes_with_its_log_files(settings: Any, tmp_path: Any) -> None:
    settings.ATTUNE_LOG_DIR = settings.ATTUNE_TMP_DIR = tmp_path
    execution = make_execution(40)
    files = [old_file(logs.path_of(execution.pk, stream)) for stream in logs.STREAMS]
    Retention(lambda: True)()
    assert not Execution.objects.exists() and not any(file.exists() for file in files)


# Who does it ---------------------------------------------------------------------------------------------------------
def test_of_two_processes_only_one_holds_the_lease_and_the_other_takes_it_when_it_runs_out() -> None:
    first, second = Leadership("first", seconds=15), Leadership("second", seconds=15)
    assert first.seek() and not second.seek() and first.seek()
    assert first.holds() and not second.holds() and leader() == "first"
    Lease.objects.update(expires_at=ago(1))
    assert second.seek() and not first.seek() and not first.holds() and leader() == "second"
    second.give_up()
    assert leader() == "" and first.seek()


def test_a_process_that_could_not_renew_in_time_does_no_longer_believe_that_it_leads() -> None:
    part = Leadership("slow", seconds=0.05)
    assert part.seek()
    time.sleep(0.06)
    assert not part.holds()


def test_a_process_that_does_not_lead_deletes_no_rows_until_it_does() -> None:
    make_execution(40)
    leads = False
    chore = Retention(lambda: leads)
    chore()
    assert Execution.objects.exists()
    leads = True
    chore()
    assert not Execution.objects.exists()


@pytest.mark.server_only
@pytest.mark.django_db(transaction=True)
def test_when_the_leading_process_dies_another_one_takes_over_within_the_lease(live: Live) -> None:
    live.env["ATTUNE_LEASE"] = "3"
    live.manage("prepare")
    for command in ("web", "worker", "worker"):
        live.start(command)

    def leading() -> list[str]:
        return [row["name"] for row in live.call("GET", "/api/v1/workers")["items"] if row["leader"]]

    [name] = wait(leading, "one to lead") and leading()
    dead = next(process for process in live.processes if f":{process.pid}:" in name)
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    live.processes.remove(dead)
    wait(lambda: leading() and leading() != [name], "the other one to lead", 30)
    assert len(leading()) == 1
    assert set(live.kill(signal.SIGTERM)) == {0}
