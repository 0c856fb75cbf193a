"""The figures of a scrape: true, cheap however much is stored, and for those only who may see them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from apps.executions import services as executions
from apps.executions.models import Execution, Status, Worker
from apps.packs import services as packs
from apps.packs.models import Action, Pack, Sensor, Trigger
from apps.rules.models import Event, Rule
from apps.rules.services import emit_event
from apps.sensors.models import SensorProcess
from attune import figures, tallying
from attune.lib import tallies
from attune.models import Tally

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parent.parent.parent


def scrape(client: Client | None = None, **headers: str) -> dict[str, float]:
    """Every sample by its name and labels, as `attune_workers{state="alive"}`."""
    figures.probe.rest()  # what is kept for some seconds is asked for anew
    answer = (client or Client()).get("/metrics", **headers)
    assert answer.status_code == 200, answer.content
    found = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


# What they say -------------------------------------------------------------------------------------------------------
def test_events_verdicts_and_ends_are_counted_and_durations_summed(
    flow: Callable[..., Any], make_action: Callable[..., Action], make_rule: Callable[..., Rule]
) -> None:
    action = make_action("cat; exit 3", name="fails")
    make_rule(action, criteria={"var": "payload.n", ">": 1})
    with flow():
        for number in (1, 2, 3):
            emit_event("adhoc.happened", payload={"n": number}, source="webhook")
    found = scrape()
    assert found['attune_events_total{kind="custom",source="webhook"}'] == 3
    assert found['attune_verdicts_total{verdict="matched"}'] == 2
    assert found['attune_verdicts_total{verdict="not_matched"}'] == 1
    assert found['attune_executions_finished_total{status="failed"}'] == 2
    assert found["attune_execution_seconds_count"] == found['attune_execution_seconds_bucket{le="+Inf"}'] == 2
    stored = sum(Execution.objects.values_list("duration_ms", flat=True)) / 1000  # type: ignore[arg-type]
    assert found["attune_execution_seconds_sum"] == pytest.approx(stored)


def test_an_event_that_was_sent_before_is_not_counted_twice(make_trigger: Callable[..., Trigger]) -> None:
    make_trigger()
    for _ in range(2):
        emit_event("adhoc.happened", payload={}, dedup_key="once")
    assert scrape()['attune_events_total{kind="custom",source="other"}'] == 1


def test_what_waits_is_counted_and_the_oldest_tells_its_age() -> None:
    now = timezone.now()
    for status, minutes, due in (("requested", 5, None), ("scheduled", 3, None), ("scheduled", 60, 30)):
        run = Execution.objects.create(action_ref="a.b", pack_ref="a", status=status)
        run_after = now + timedelta(minutes=due) if due else None
        Execution.objects.filter(pk=run.pk).update(created=now - timedelta(minutes=minutes), run_after=run_after)
    Execution.objects.create(action_ref="a.b", pack_ref="a", status=Status.COMPLETED)
    event = Event.objects.create(trigger_ref="a.c")
    Event.objects.filter(pk=event.pk).update(created=now - timedelta(minutes=2))
    Event.objects.create(trigger_ref="a.c", processed_at=now)
    found = scrape()
    assert found['attune_executions{status="requested"}'] == 1
    assert found['attune_executions{status="scheduled"}'] == 2
    assert found['attune_executions{status="running"}'] == 0
    assert 300 <= found["attune_oldest_waiting_seconds"] < 400  # not the retry, which is not due
    assert found["attune_events_undecided"] == 1
    assert 120 <= found["attune_oldest_undecided_seconds"] < 220


def test_a_cancel_while_it_waits_and_an_abandoned_run_are_ends_too() -> None:
    waiting = Execution.objects.create(action_ref="a.b", pack_ref="a")
    executions.cancel_execution(waiting, actor="test")
    Execution.objects.create(action_ref="a.b", pack_ref="a", status="running", worker="gone", started_at=timezone.now())
    assert executions.settle_lost() == 1
    found = scrape()
    assert found['attune_executions_finished_total{status="cancelled"}'] == 1
    assert found['attune_executions_finished_total{status="abandoned"}'] == 1


def test_sensors_and_workers_are_told_by_state() -> None:
    pack = Pack.objects.create(ref="demo", label="Demo")
    for name, state in (("one", "running"), ("two", "backoff")):
        sensor = Sensor.objects.create(pack=pack, ref=f"demo.{name}", entry_point="s.sh", trigger_refs=["demo.t"])
        SensorProcess.objects.create(sensor=sensor, state=state, restarts=4, failures=2, events=9)
    now = timezone.now()
    Worker.objects.create(name="a", host="a", pid=1, threads=8, heartbeat_at=now)
    Worker.objects.create(name="b", host="b", pid=1, threads=8, heartbeat_at=now - timedelta(minutes=5))
    Worker.objects.create(name="c", host="c", pid=1, threads=8, heartbeat_at=now, stopped_at=now)
    found = scrape()
    assert (found['attune_sensors{state="running"}'], found['attune_sensors{state="stopped"}']) == (1, 0)
    assert found['attune_sensor_restarts_total{sensor="demo.two"}'] == 4
    assert (found['attune_sensor_up{sensor="demo.one"}'], found['attune_sensor_up{sensor="demo.two"}']) == (1, 0)
    assert (found['attune_workers{state="alive"}'], found['attune_workers{state="silent"}']) == (1, 1)
    assert found["attune_worker_threads"] == 8


def test_answers_of_webhooks_are_counted(make_trigger: Callable[..., Trigger]) -> None:
    trigger = make_trigger()
    packs.enable_webhook(trigger, actor="test")
    for key in (trigger.webhook_key, trigger.webhook_key, "wh_" + "0" * 32):
        Client().post(f"/api/v1/webhooks/{key}", b"{}", content_type="application/json")
    found = scrape()
    assert found['attune_webhook_deliveries_total{status="202"}'] == 2
    assert found['attune_webhook_deliveries_total{status="404"}'] == 1


def test_database_broker_and_version_are_told() -> None:
    found = scrape()
    assert found["attune_database_up"] == found["attune_broker_up"] == 1
    assert found['attune_broker_messages{queue="executions"}'] == 0
    assert found["attune_disk_free_bytes"] > 0
    assert any(name.startswith("attune_info{") for name in found)


# How counters are kept -----------------------------------------------------------------------------------------------
def test_counters_of_several_processes_add_up() -> None:
    for _ in range(2):  # as two processes would
        tallies.count("verdicts", "matched", by=3)
        tallies.count("events", "cron", "sensor")
        tallying.write_down()
    assert tallying.read() == {("verdicts", "matched"): 6, ("events", "cron,sensor"): 2}
    assert Tally.objects.count() == 2
    assert scrape()['attune_verdicts_total{verdict="matched"}'] == 6


def test_what_could_not_be_written_down_is_not_lost() -> None:
    tallies.count("verdicts", "matched")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE attune_tally RENAME TO attune_tally_gone")
    try:
        with pytest.raises(DatabaseError):
            tallying.write_down()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE attune_tally_gone RENAME TO attune_tally")
    tallies.count("verdicts", "matched")
    tallying.write_down()
    assert tallying.read() == {("verdicts", "matched"): 2}


def test_counting_nothing_writes_nothing(django_assert_num_queries: Callable[[int], Any]) -> None:
    tallies.take()
    with django_assert_num_queries(0):
        tallying.write_down()


def test_a_duration_is_in_the_bucket_that_it_does_not_exceed() -> None:
    tallies.take()
    for seconds in (0.05, 0.051, 3600, 3601):
        tallies.observe("t", seconds)
    counted = tallies.take()
    assert [counted[("t_bucket", bound)] for bound in ("0.05", "0.1", "3600", "+Inf")] == [1, 1, 1, 1]


# What they cost ------------------------------------------------------------------------------------------------------
def test_no_query_of_a_scrape_reads_a_whole_table() -> None:
    """Each statement is explained while the tables hold rows enough for the planner to care."""
    runs = [Execution(action_ref="a.b", pack_ref="a", status=Status.COMPLETED) for _ in range(3000)]
    Execution.objects.bulk_create(runs)
    Event.objects.bulk_create([Event(trigger_ref="a.c", processed_at=timezone.now()) for _ in range(3000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as captured:
        figures.gather()
    asked = [query["sql"] for query in captured if query["sql"].lstrip().startswith("SELECT")]
    assert len(asked) < 20
    for sql in asked:
        plan = explained(sql)
        for table in ("executions_execution", "rules_event"):
            whole = rf"Seq Scan on {table}|SCAN {table}(?! USING (COVERING )?INDEX event_unprocessed)"
            assert not re.search(whole, plan), f"{sql}\n{plan}"


def explained(sql: str) -> str:
    prefix = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    if connection.vendor == "sqlite":  # Django shows moments without their quotes
        sql = re.sub(r"(?<!')\b(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?)(?!')", r"'\1'", sql)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"{prefix} {sql}")
        plan = "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())
        if connection.vendor == "postgresql":
            cursor.execute("RESET enable_seqscan")
    return plan


# Who may see them ----------------------------------------------------------------------------------------------------
def test_from_this_machine_they_are_open_and_through_a_proxy_on_it_they_are_not(client: Client) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", HTTP_X_FORWARDED_FOR="10.0.0.7").status_code == 401
    assert client.get("/metrics", REMOTE_ADDR="10.0.0.7").status_code == 401
    assert client.post("/metrics").status_code == 405


def test_with_a_token_set_it_is_asked_for_everywhere(client: Client, settings: Any) -> None:
    settings.ATTUNE_METRICS_TOKEN = "scrape-me-not"
    refused = client.get("/metrics")
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, 'Bearer realm="attune"')
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer wrong").status_code == 401
    there = client.get("/metrics", HTTP_AUTHORIZATION="Bearer scrape-me-not", REMOTE_ADDR="10.0.0.7")
    assert there.status_code == 200
    assert there["Content-Type"].startswith("text/plain; version=0.0.4")


def test_a_viewer_may_see_them_and_whoever_has_no_role_may_not(
    api: Callable[..., APIClient], client: Client, people: Callable[[str], Any], django_user_model: Any
) -> None:
    elsewhere = {"REMOTE_ADDR": "10.0.0.7"}
    assert api("viewer").get("/metrics", **elsewhere).status_code == 200
    client.force_login(people("viewer"))
    assert client.get("/metrics", **elsewhere).status_code == 200
    client.force_login(django_user_model.objects.create_user("nobody"))
    assert client.get("/metrics", **elsewhere).status_code == 401


def test_every_name_is_explained_and_none_that_there_is_not(client: Client) -> None:
    page = (ROOT / "docs/operations.md").read_text().split("\n## Monitoring\n", 1)[1]
    names = set(re.findall(r"^# TYPE (attune_\w+) ", client.get("/metrics").content.decode(), re.M))
    documented = set(re.findall(r"^\| `(attune_\w+)", page, re.M))
    assert documented == names
