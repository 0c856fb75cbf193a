"""Everything dies at once while events come in: none is lost, none is doubled, and it drains without a hand."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.chaos.checker import check
from tests.chaos.nemesis import LONG, Nemesis, chance
from tests.chaos.sender import Sender
from tests.chaos.town import PATIENCE, Town

pytestmark = [pytest.mark.server_only, pytest.mark.timeout(900)]

EVENTS, SPAN = (2000, 100.0) if LONG else (300, 14.0)
CUT = 60.0 if LONG else 9.0  # seconds during which connections are cut
AFTERWARDS = 60.0 if LONG else PATIENCE  # seconds until all is done, counted from the last fault


def test_while_everything_is_killed_every_event_is_kept_and_acted_on_once(
    town: Town, sender: Callable[[], Sender]
) -> None:
    luck, client, nemesis = chance("storm"), sender(), Nemesis()
    nemesis.every(2.0, SPAN, "a worker is killed", lambda: town.kill_one("worker", luck))
    for _ in range(2):
        nemesis.at(luck.uniform(1, SPAN), "Redis is killed", lambda: kill_redis(town))
    nemesis.at(luck.uniform(1, SPAN), "Redis is flushed", lambda: town.redis.client.flushall())
    nemesis.at(luck.uniform(1, SPAN), "PostgreSQL restarts at once", town.postgres.restart_at_once)
    nemesis.at(luck.uniform(1, SPAN), "the web server is killed", lambda: town.kill_one("web", luck))
    town.hire("worker")
    with nemesis:
        client.send_all(EVENTS, a_second=EVENTS / SPAN, seconds=0.3)
    town.drain(AFTERWARDS)
    assert len(client.accepted) == EVENTS
    check(town, client)


def test_while_connections_to_the_database_are_cut_senders_are_told_to_come_again_and_nothing_is_lost(
    town: Town, sender: Callable[[], Sender]
) -> None:
    client, nemesis = sender(), Nemesis()
    nemesis.every(3.0, CUT + 3, "connections are cut", lambda: town.postgres.kill_connections("attune"))
    with nemesis:
        client.send_all(int(CUT * 20), a_second=20, seconds=0.3)
    town.drain(AFTERWARDS)
    assert town.all_are_alive()
    check(town, client)


def kill_redis(town: Town) -> None:
    town.redis.send(signal.SIGKILL)
    town.redis.start()
