"""The broker only hints: flushed, full, frozen or dead, with hints that come five times or for what is long over."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.chaos.checker import check
from tests.chaos.messages import QUEUES, hint_for, push, waiting
from tests.chaos.nemesis import LONG, chance
from tests.chaos.sender import Sender
from tests.chaos.town import Town
from tests.live import wait

pytestmark = [pytest.mark.server_only, pytest.mark.timeout(900)]

EVENTS = 200 if LONG else 24


def full(town: Town) -> None:
    town.redis.client.config_set("maxmemory-policy", "noeviction")
    town.redis.client.config_set("maxmemory", 1)


FATES: dict[str, Callable[[Town], object]] = {
    "flushed": lambda town: town.redis.client.flushall(),
    "full": full,
    "frozen": lambda town: town.redis.send(signal.SIGSTOP),
    "dead": lambda town: town.redis.send(signal.SIGKILL),
}


@pytest.mark.parametrize("fate", FATES)
def test_a_broker_that_is_lost_costs_time_and_no_work(town: Town, sender: Callable[[], Sender], fate: str) -> None:
    client = sender()
    client.send_all(EVENTS // 2, a_second=100)
    FATES[fate](town)
    for number in range(EVENTS // 2, EVENTS):
        client.send(number, "crowded" if number % 2 else "happened")
    town.drain()
    town.redis.heal()
    for number in range(EVENTS, EVENTS + 5):
        client.send(number)
    town.drain()
    assert set(client.answers) == {201}  # no sender noticed
    assert town.all_are_alive()
    check(town, client)


def test_hints_that_come_five_times_or_too_late_change_nothing(town: Town, sender: Callable[[], Sender]) -> None:
    luck, client = chance("duplicates"), sender()
    client.send_all(EVENTS, a_second=100, seconds=0.05)
    for _ in range(2):  # while they are at work, and when all are over
        events = [number for (number,) in town.rows("SELECT id FROM rules_event ORDER BY id")]
        runs = [number for (number,) in town.rows("SELECT id FROM executions_execution ORDER BY id")]
        hints = [("process_event", number) for number in [*events[-200:], max(events) + 1_000_000]]
        hints += [("run_execution", number) for number in [*runs[-200:], max(runs) + 1_000_000]]
        stale = [hint for hint in hints for _ in range(5)]
        luck.shuffle(stale)
        for actor, number in stale:
            push(town, "chaos", QUEUES[actor], hint_for(actor, number))
        town.drain()
        wait(lambda: not waiting(town, "chaos"), "every hint to be heard")
    check(town, client)
