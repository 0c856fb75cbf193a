"""Who is next: people before rules, rules in turn, and actions that choose their workers by label."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as configured
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.access.principals import Principal
from apps.executions import backlog, lanes, lifecycle, recovery, services
from apps.executions.models import Execution, Status, Worker
from apps.executions.waiting import why_waiting
from apps.packs.loading import load_pack
from attune import broker
from attune.housekeeping import worker_chores
from attune.lib import labels
from attune.needs import needs_you
from attune.redis_turns import RedisTurns
from attune.turns import MemoryTurns, Turns
from tests.conftest import until, write_pack
from tests.live import Live, wait

EVERYBODY = Principal("command", "command")  # whom nothing limits


# Turns ---------------------------------------------------------------------------------------------------------------
@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.server_only)])
def turns(request: Any) -> Iterator[Turns]:
    if request.param == "memory":
        yield MemoryTurns()
        return
    client, namespace = redis.Redis.from_url(configured.REDIS_URL), f"turns-{uuid.uuid4().hex}"
    yield RedisTurns(client, namespace=namespace)
    for key in client.scan_iter(f"{namespace}:*"):
        client.delete(key)


def taken(turns: Turns, most: int, *from_lanes: str) -> str:
    return " ".join(hint.data.decode() for hint in turns.pop(from_lanes or ("lane",), most))


def test_each_flow_takes_its_turn_and_is_in_order_by_itself(turns: Turns) -> None:
    for number in range(6):
        turns.push("lane", "flood", b"f%d" % number)
    assert taken(turns, 2) == "f0 f1"
    for number in range(2):
        turns.push("lane", "other", b"o%d" % number)
    assert taken(turns, 9) == "f2 o0 f3 o1 f4 f5"
    turns.push("lane", "flood", b"f6")
    turns.push("lane", "other", b"o2")
    assert taken(turns, 9) == "f6 o2"


def test_the_first_lane_comes_first_but_none_is_left_out(turns: Turns) -> None:
    for number in range(20):
        turns.push("people", "user", b"p%d" % number)
        turns.push("rules", "rule", b"r%d" % number)
    assert taken(turns, 3, "people", "rules") == "p0 p1 p2 r0"
    turns.clear("people")
    assert taken(turns, 3, "people", "rules") == "r1 r2 r3"
    assert turns.depth("people") == 0 and turns.depth("rules") == 16


def test_what_is_put_back_keeps_its_place(turns: Turns) -> None:
    for number in range(5):
        turns.push("lane", "rule", b"r%d" % number)
    popped = turns.pop(("lane",), 3)
    turns.push("lane", "other", b"o")
    turns.put_back(popped)
    assert taken(turns, 9) == "r0 r1 r2 r3 o r4"


def test_who_waits_for_a_hint_gets_the_next_of_its_lanes(turns: Turns) -> None:
    assert turns.wait(("one", "two"), 0.05) == []
    turns.push("two", "rule", b"late")
    [hint] = turns.wait(("one", "two"), 5)
    assert (hint.lane, hint.data) == ("two", b"late")
    assert turns.depth("two") == 0


# Fair share ----------------------------------------------------------------------------------------------------------
def request_many(action: Any, count: int, **origin: Any) -> list[Execution]:
    return [services.request_execution(action, parameters={}, **origin) for _ in range(count)]


def started_before(execution: Execution) -> int:
    execution.refresh_from_db()
    return Execution.objects.filter(started_at__lt=execution.started_at).count()


def test_a_person_and_a_second_rule_do_not_wait_behind_the_flood_of_a_first(
    flow: Callable[..., Any], make_action: Callable[..., Any], people: Callable[..., Any]
) -> None:
    action, person = make_action("sleep 0.02"), people("operator")
    with flow():
        broker.current().hold(lanes.QUEUE, True)
        request_many(action, 150, rule_ref="demo.flood")
        [second] = request_many(action, 1, rule_ref="demo.second")
        [asked] = request_many(action, 1, requested_by=person)
        broker.current().hold(lanes.QUEUE, False)
    # Six begin at once, and nine more may be popped together with them; the rest of the flood may not come first.
    assert started_before(asked) < 6
    assert started_before(second) < 20


def test_the_sweep_finds_what_people_wait_for_and_every_rule_however_long_the_first_ones_backlog(
    make_action: Callable[..., Any], people: Callable[..., Any]
) -> None:
    action = make_action("true")
    flood = [row(action, rule_ref="demo.flood") for _ in range(backlog.BATCH + 20)]
    Execution.objects.bulk_create(flood)
    second, asked = row(action, rule_ref="demo.second"), row(action, requested_by=people("operator"))
    Execution.objects.bulk_create([second, asked])
    assert [execution.pk for execution in recovery.due(lanes.PEOPLE)] == [asked.pk]
    found = [execution.pk for execution in recovery.due(lanes.QUEUE)]
    assert len(found) == backlog.BATCH and found.index(second.pk) == 1
    assert second.pk not in [execution.pk for execution in recovery.due(lanes.QUEUE)]  # it was told


def row(action: Any, **more: Any) -> Execution:
    long_ago = timezone.now() - timedelta(hours=1)
    return Execution(action=action, action_ref=action.ref, pack_ref="demo", nudged_at=long_ago, **more)


# Labels --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "read"),
    [("", {}), ("zone=dmz", {"zone": "dmz"}), (" zone=dmz , gpu=yes,", {"zone": "dmz", "gpu": "yes"})],
)
def test_labels_are_read_from_text(text: str, read: dict[str, str]) -> None:
    assert labels.read(text) == read
    assert labels.read(labels.write(read)) == read


@pytest.mark.parametrize("text", ["zone", "zone=", "=dmz", "zone=a b", "zone=dmz,zone=lan", "zone=a=b"])
def test_what_is_no_label_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as zone=dmz|keep one"):
        labels.read(text)


def test_all_labels_of_a_selector_must_match() -> None:
    own = {"zone": "dmz", "gpu": "yes"}
    assert labels.meets(own, "") and labels.meets(own, "zone=dmz") and labels.meets(own, "gpu=yes,zone=dmz")
    assert not labels.meets(own, "zone=lan") and not labels.meets(own, "disk=fast,zone=dmz")


def test_a_selector_that_is_no_mapping_of_labels_is_a_fault_of_its_file(tmp_path: Path, known_runtimes: None) -> None:
    for selector, said in (("zone=dmz", "must be a mapping"), ({"zone": ["a"]}, "is no label")):
        action = {"ref": "demo.act", "entry_point": "act.sh", "worker_selector": selector}
        report = load_pack(
            write_pack(tmp_path / "demo", "demo", {"actions/act.yaml": action, "actions/act.sh": "true"})
        )
        assert said in " ".join(map(str, report.faults))


@pytest.fixture
def heed(workers: Any, settings: Any) -> Iterator[Callable[..., None]]:
    """`heed("zone=dmz")`: this process is a worker with these labels, and looks what that opens to it."""
    chore: Any = next(iter(worker_chores(broker.current())))

    def with_labels(text: str) -> None:
        settings.ATTUNE_WORKER_LABELS = labels.read(text)
        chore()

    yield with_labels
    with_labels("")


def test_an_action_with_a_selector_runs_only_on_a_worker_that_meets_it(
    make_action: Callable[..., Any], heed: Callable[..., None]
) -> None:
    action = make_action("echo here", worker_selector={"zone": "dmz", "gpu": "yes"})
    heed("zone=dmz")
    execution = services.request_execution(action, parameters={})
    assert execution.worker_selector == "gpu=yes,zone=dmz"
    plain = services.request_execution(make_action("true", name="plain"), parameters={})
    until(lambda: _status(plain) == Status.COMPLETED)
    assert lifecycle.claim(execution.pk, worker="here") is None
    assert why_waiting(execution) == "Waits for a worker with gpu=yes, zone=dmz; none is alive."
    heed("zone=dmz,gpu=yes,disk=fast")
    until(lambda: _status(execution) == Status.COMPLETED)


def test_what_waits_for_a_worker_says_what_is_amiss(make_action: Callable[..., Any]) -> None:
    execution = services.request_execution(make_action("true", worker_selector={"zone": "dmz"}), parameters={})
    assert why_waiting(execution) == "Waits for a worker with zone=dmz; none is alive."
    other = Worker.objects.create(name="a", host="a", pid=1, heartbeat_at=timezone.now())
    assert why_waiting(execution) == "Waits for a worker with zone=dmz; none is alive."
    other.labels = {"zone": "dmz", "gpu": "yes"}
    other.save()
    assert why_waiting(execution) == "Waits for a worker with zone=dmz to be free."
    other.draining_since = timezone.now()
    other.save()
    assert why_waiting(execution) == "Waits for a worker with zone=dmz; each that is alive is draining."
    execution.status = Status.COMPLETED
    assert why_waiting(execution) == ""


def test_the_home_page_tells_of_what_no_worker_takes(make_action: Callable[..., Any]) -> None:
    services.request_execution(make_action("true", name="plain"), parameters={})
    services.request_execution(make_action("true", worker_selector={"zone": "dmz"}), parameters={})
    told = {need["what"]: need["why"] for need in needs_you(EVERYBODY)}
    assert "Waits for a worker; none is alive." in told["Nothing runs actions"]
    assert "Waits for a worker with zone=dmz; none is alive." in told["Nothing runs what asks for zone=dmz"]
    Worker.objects.create(name="a", host="a", pid=1, labels={"zone": "dmz"}, heartbeat_at=timezone.now())
    assert not any("Nothing runs" in need["what"] for need in needs_you(EVERYBODY))


def test_a_hint_that_was_lost_is_made_good_by_a_worker_that_meets_the_selector(
    make_action: Callable[..., Any], heed: Callable[..., None]
) -> None:
    action = make_action("true", worker_selector={"zone": "dmz"})
    lost = row(action, worker_selector="zone=dmz")
    lost.save()
    heed("")
    assert services.wake_due() == 0
    heed("zone=dmz")
    assert services.wake_due() == 1
    until(lambda: _status(lost) == Status.COMPLETED)


def test_a_retry_asks_for_the_same_worker(make_action: Callable[..., Any], heed: Callable[..., None]) -> None:
    action = make_action("exit 1", worker_selector={"zone": "dmz"}, max_retries=1)
    heed("zone=dmz")
    first = services.request_execution(action, parameters={})
    retry = until(lambda: Execution.objects.filter(original=first).first())
    assert retry.worker_selector == "zone=dmz"
    until(lambda: services.wake_due() or _status(retry) == Status.FAILED)
    until(lambda: _status(retry) == Status.FAILED)


def test_a_claim_is_one_statement_with_and_without_a_selector(make_action: Callable[..., Any]) -> None:
    plain, picky = make_action("true", name="plain"), make_action("true", worker_selector={"zone": "dmz"})
    for action, selector in ((plain, ""), (picky, "zone=dmz")):
        execution = services.request_execution(action, parameters={})
        lifecycle.claim(services.request_execution(action, parameters={}).pk, worker="w", selector=selector)
        with CaptureQueriesContext(connection) as captured:
            assert lifecycle.claim(execution.pk, worker="w", selector=selector)
        assert len(captured) == 1


# Real processes ------------------------------------------------------------------------------------------------------
def write_actions(folder: Path, gate: Path) -> str:
    hang = f"while [ ! -e {gate} ]; do sleep 0.1; done"
    files: dict[str, Any] = {"actions/hang.sh": hang, "actions/quick.sh": "true"}
    for name, entry, more in (
        ("hang", "hang.sh", {}),
        ("quick", "quick.sh", {}),
        ("picky", "quick.sh", {"worker_selector": {"zone": "dmz"}}),
    ):
        files[f"actions/{name}.yaml"] = {"ref": f"fair.{name}", "entry_point": entry, **more}
    return str(write_pack(folder / "fair", "fair", files))


def test_a_person_is_served_while_a_rules_long_runs_hold_every_place(live: Live, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    live.env["ATTUNE_WORKERS"] = "2"
    _start(live, "worker")
    live.manage("load_pack", write_actions(tmp_path, gate))
    live.call("POST", "/api/v1/packs", {"ref": "adhoc", "label": "Ad hoc", "version": "1.0.0"})
    live.call("POST", "/api/v1/triggers", {"ref": "adhoc.happened", "label": "It happened"})
    rule = {"ref": "adhoc.flood", "label": "Flood", "trigger_ref": "adhoc.happened", "action_ref": "fair.hang"}
    live.call("POST", "/api/v1/rules", rule)
    for _ in range(50):
        live.call("POST", "/api/v1/events", {"trigger_ref": "adhoc.happened", "payload": {}})
    wait(lambda: len(live.executions(status="running")) == 2, "the flood to hold every place")
    for _ in range(3):
        asked = live.call("POST", "/api/v1/executions/execute", {"action_ref": "fair.quick", "parameters": {}})["id"]
        wait(lambda pk=asked: _get(live, pk)["status"] == "completed", "the person's run", 30)  # type: ignore[misc]
    assert len(live.executions(rule_ref="adhoc.flood", status="running")) == 2
    gate.touch()
    wait(lambda: len(live.executions(rule_ref="adhoc.flood", status="completed")) == 50, "the flood to end", 60)


@pytest.mark.server_only
def test_of_several_workers_only_those_with_the_label_run_what_asks_for_it(live: Live, tmp_path: Path) -> None:
    _start(live, "worker")
    live.manage("load_pack", write_actions(tmp_path, tmp_path / "gate"))
    waiting = [_ask(live, "fair.picky") for _ in range(5)]
    plain = _ask(live, "fair.quick")
    wait(lambda: _get(live, plain)["status"] == "completed", "the plain one")
    shown = _get(live, waiting[0])
    assert shown["waits_for"] == "Waits for a worker with zone=dmz; none is alive."
    assert shown["worker_selector"] == {"zone": "dmz"}
    live.env["ATTUNE_WORKER_LABELS"] = "zone=dmz,gpu=yes"
    live.start("worker")
    [labelled] = [row for row in live.call("GET", "/api/v1/workers")["items"] if row["labels"]]
    assert labelled["labels"] == {"zone": "dmz", "gpu": "yes"}
    later = [_ask(live, "fair.picky") for _ in range(15)]
    wait(lambda: all(_get(live, pk)["status"] == "completed" for pk in waiting + later), "all to run there", 60)
    assert {_get(live, pk)["worker_name"] for pk in waiting + later} == {labelled["name"]}


@pytest.mark.embedded_only
def test_a_label_that_is_none_is_told_at_the_start(live: Live) -> None:
    live.env["ATTUNE_WORKER_LABELS"] = "dmz"
    with pytest.raises(AssertionError, match="such as zone=dmz"):
        live.start("up")


def _start(live: Live, *more: str) -> None:
    if os.environ.get("ATTUNE_MODE") != "server":
        live.start("up")
        return
    live.manage("prepare")
    for command in ("web", *more):
        live.start(command)


def _ask(live: Live, action: str) -> int:
    return live.call("POST", "/api/v1/executions/execute", {"action_ref": action, "parameters": {}})["id"]


def _get(live: Live, pk: int) -> dict[str, Any]:
    return live.call("GET", f"/api/v1/executions/{pk}")["data"]


def _status(execution: Execution) -> str:
    return Execution.objects.values_list("status", flat=True).get(pk=execution.pk)
