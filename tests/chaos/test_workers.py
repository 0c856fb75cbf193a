"""Workers that freeze, programs that flee, cancels that come at the wrong moment: one end each, and nobody lives on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.checker import FINAL, check, dead_since
from tests.chaos.nemesis import LONG, chance
from tests.chaos.sender import Sender
from tests.chaos.town import LEASE, PATIENCE, Town
from tests.live import wait

pytestmark = [pytest.mark.server_only, pytest.mark.timeout(900)]

RACES = 1000 if LONG else 100
SILENT = 1.5  # seconds without a line of the ledger; a program that lives writes one each 0.2 s


def test_a_worker_that_was_frozen_longer_than_its_lease_cannot_write_when_it_comes_to(
    town: Town, sender: Callable[[], Sender]
) -> None:
    execution = town.execute("fork")
    wait(lambda: town.ledger.started(execution), "it to start")
    [frozen] = [member for member in town.of("worker") if f":{member.pid}:" in worker_of(town, execution)]
    frozen.send(signal.SIGSTOP)
    wait(lambda: town.status(execution) == "abandoned", "the other worker to give it up", PATIENCE)
    assert town.ledger.last_sign_of(execution) < given_up_at(town, execution)
    client = sender()
    client.send_all(10, a_second=50)  # the other one works on
    frozen.send(signal.SIGCONT)
    wait(lambda: "was lost by its worker" in frozen.log.read_text(), "it to see that it was late", PATIENCE)
    assert town.status(execution) == "abandoned"
    client.send_all(10, a_second=50)
    assert town.all_are_alive()
    check(town, client)


def test_a_cancel_that_meets_the_end_gives_one_end_in_every_race(town: Town) -> None:
    luck = chance("races")

    def race(pause: float) -> int:
        execution = town.execute("work", seconds=round(luck.uniform(0, 0.2), 3))
        time.sleep(pause)
        town.live.post(f"/api/v1/executions/{execution}/cancel", b"", {"Authorization": f"Bearer {town.live.token}"})
        return execution

    with ThreadPoolExecutor(8) as pool:
        executions = list(pool.map(race, [luck.uniform(0, 0.5) for _ in range(RACES)]))
    town.drain()
    ends = {town.status(execution) for execution in executions}
    assert ends <= {"completed", "cancelled"}
    assert len(ends) == 2, f"all were {ends}: the race was none"
    check(town)


@pytest.mark.parametrize("end", ["cancel", "timeout", "worker killed"])
def test_a_child_that_fled_its_session_dies_with_its_execution(town: Town, end: str) -> None:
    execution = town.execute("fork", timeout=3 if end == "timeout" else 60)
    wait(lambda: town.ledger.started(execution), "it to start")
    wait(lambda: len(town.ledger.of(execution)[0].seen) > 3, "the child to be at work")
    if end == "cancel":
        town.live.call("POST", f"/api/v1/executions/{execution}/cancel")
    elif end == "worker killed":
        [victim] = [member for member in town.of("worker") if f":{member.pid}:" in worker_of(town, execution)]
        victim.kill()
        killed = time.time()
    wait(lambda: town.status(execution) in FINAL, "its end", PATIENCE)
    expected = {"cancel": "cancelled", "timeout": "timeout", "worker killed": "abandoned"}
    assert town.status(execution) == expected[end]
    wait(lambda: dead_since(town, execution) > SILENT, "the child to fall silent")
    if end == "worker killed":
        assert town.ledger.last_sign_of(execution) < killed + LEASE + 2
    else:
        assert town.ledger.last_sign_of(execution) < given_up_at(town, execution)
    check(town)


def worker_of(town: Town, execution: int) -> str:
    return town.rows("SELECT worker FROM executions_execution WHERE id = %s", execution)[0][0]


def given_up_at(town: Town, execution: int) -> float:
    sql = "SELECT extract(epoch FROM finished_at) FROM executions_execution WHERE id = %s"
    return float(town.rows(sql, execution)[0][0])
