"""A process dies at each named point (`attune.lib.crash`): what it had in hand has one right end."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest

from tests.chaos.checker import check
from tests.chaos.messages import hint_for, push
from tests.chaos.sender import Sender
from tests.chaos.timers import each_second_once, fires, start, stop
from tests.chaos.town import PATIENCE, Member, Town
from tests.live import ROOT, wait
from tests.packs.test_install_crashes import POINTS as IN_AN_INSTALL

pytestmark = [pytest.mark.server_only, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class End:
    """How an execution whose worker died there ends, and how often its program was begun."""

    status: str
    starts: int
    action: str = "work"
    reruns: int = 0


IN_A_RUN = {
    "before-claim": End("completed", 1),
    "after-claim": End("abandoned", 0),
    "before-spawn": End("abandoned", 0),
    "after-spawn": End("completed", 1),  # this one and the next two are adopted from the launcher
    "after-exit": End("completed", 1),
    "before-result": End("completed", 1),
    "amid-result": End("failed", 1, action="retried", reruns=1),
    "after-result": End("failed", 1, action="retried", reruns=1),
}
IN_A_DECISION = ("amid-rules:3", "before-decision", "after-decision")
IN_THE_WEB = {"before-event": "happened", "after-event": "happened", "after-hint": "happened"}
IN_THE_WEB |= {"after-event-hint": "crowded"}
IN_AN_ADOPTION = ("before-adoption", "after-adoption")
IN_A_SETTLEMENT = ("before-settling", "after-settling")
IN_A_SENSOR_HOST = ("before-line:2", "after-line:2")
NEVER = "3600"  # seconds; a worker that does not look around, so that it does what the test tells it and no more


def test_every_crash_point_is_tried() -> None:
    named = {
        point
        for folder in ("apps", "attune")
        for path in (ROOT / folder).rglob("*.py")
        for point in re.findall(r'crash\.point\("([\w-]+)"\)', path.read_text())
    }
    tried = [
        *IN_A_RUN,
        *IN_A_DECISION,
        *IN_THE_WEB,
        *IN_AN_ADOPTION,
        *IN_A_SETTLEMENT,
        *IN_A_SENSOR_HOST,
        *IN_AN_INSTALL,
    ]
    assert named == {point.partition(":")[0] for point in tried}


@pytest.fixture(scope="module")
def crashed(_town: Town) -> dict[str, int]:
    """A worker died at each point of a run and of a decision, all side by side; what each had in hand, now over."""
    town = _town
    town.staff(web=1, worker=0)
    sender = Sender(lambda: town.ports, town.live.authorized(), name="crash")
    in_hand: dict[str, int] = {}
    dying: dict[str, Member] = {}
    for point in [*IN_A_RUN, *IN_A_DECISION]:
        queue = f"crash-{point}"
        if point in IN_A_RUN:
            action = IN_A_RUN[point].action
            in_hand[point] = town.execute(action, fail=action == "retried")
            push(town, queue, "executions", hint_for("run_execution", in_hand[point]))
        else:
            in_hand[point] = sender.send(len(in_hand), "crowded")
            push(town, queue, "events", hint_for("process_event", in_hand[point]))
        env = {"ATTUNE_BROKER_NAMESPACE": queue, "ATTUNE_SWEEP": NEVER, "ATTUNE_WORKERS": "1"}
        dying[point] = town.begin("worker", CRASH_AT=point, **env)
    for point, member in dying.items():
        assert death_of(member) == -signal.SIGKILL, point
    put_off(town, "1 hour")
    for point in IN_AN_ADOPTION:  # these die at the first of several ends that launchers wrote down
        wait(lambda: len(list(town.data.glob("spool/*/*.json"))) > 1, "launchers to write down ends", PATIENCE)
        assert death_of(town.begin("worker", CRASH_AT=point, ATTUNE_BROKER_NAMESPACE=point)) == -signal.SIGKILL
    settling = [town.begin("worker", CRASH_AT=at, ATTUNE_BROKER_NAMESPACE=at) for at in IN_A_SETTLEMENT]
    assert [death_of(member) for member in settling] == [-signal.SIGKILL] * 2
    put_off(town, "-1 hour")
    town.staff(web=1, worker=2)
    check(town, sender)
    return in_hand


@pytest.mark.parametrize("point", IN_A_RUN)
def test_an_execution_whose_worker_dies_there_has_one_right_end(
    crashed: dict[str, int], town: Town, point: str
) -> None:
    execution, expected = crashed[point], IN_A_RUN[point]
    assert town.status(execution) == expected.status
    assert sum(len(attempt.starts) for attempt in town.ledger.of(execution)) == expected.starts
    again = town.rows("SELECT id FROM executions_execution WHERE original_id = %s", execution)
    assert len(again) == expected.reruns


@pytest.mark.parametrize("point", IN_A_DECISION)
def test_an_event_whose_worker_dies_there_is_decided_on_once(crashed: dict[str, int], town: Town, point: str) -> None:
    runs = "SELECT status, attempt FROM executions_execution WHERE event_id = %s"
    assert town.rows(runs, crashed[point]) == [("completed", 1)]


def test_an_event_whose_web_server_dies_at_any_point_is_kept_once(town: Town, sender: Callable[[], Sender]) -> None:
    client = sender()
    dying = [town.begin("web", CRASH_AT=point) for point in IN_THE_WEB]
    for number, (member, trigger) in enumerate(zip(dying, IN_THE_WEB.values(), strict=True)):
        town.until_ready(member)
        client.ports = lambda port=member.port: [port]  # type: ignore[misc]
        assert client.post(number, trigger) == 0  # no answer
        assert death_of(member) == -signal.SIGKILL
        client.ports = lambda: town.ports
        client.send(number, trigger)
    check(town, client)


def test_hosts_of_sensors_that_die_with_a_line_in_hand_fire_every_second_once(town: Town) -> None:
    rule = start(town)
    for point in IN_A_SENSOR_HOST:
        assert death_of(town.begin("sensors", CRASH_AT=point)) == -signal.SIGKILL
    town.hire("sensors")
    before = len(fires(town, rule))
    wait(lambda: len(fires(town, rule)) > before + 3, "another host to take over", PATIENCE)
    stop(town, rule)
    assert each_second_once(fires(town, rule))
    check(town)


def put_off(town: Town, time: str) -> None:
    """Hide what waits from the sweeps of those that shall die while they settle what ran."""
    with psycopg.connect(town.live.env["DATABASE_URL"]) as connection:
        waiting = "UPDATE executions_execution SET nudged_at = nudged_at + %s::interval WHERE finished_at IS NULL"
        connection.execute(waiting, [time])
        undecided = "UPDATE rules_event SET created = created + %s::interval WHERE processed_at IS NULL"
        connection.execute(undecided, [time])


def death_of(member: Member) -> int:
    return member.process.wait(timeout=PATIENCE)
