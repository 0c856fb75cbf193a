"""A deployment under load, and hosts of sensors that die in turn: nobody outside notices."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psycopg
import pytest

from tests.chaos.checker import check
from tests.chaos.nemesis import LONG, Nemesis
from tests.chaos.sender import Sender
from tests.chaos.timers import each_second_once, fires, kill_the_host, start, stop
from tests.chaos.town import PATIENCE, Town
from tests.live import wait

pytestmark = [pytest.mark.server_only, pytest.mark.timeout(900)]

PACE = 50.0  # events a second
SPAN = 60.0 if LONG else 10.0
DEATHS = 6 if LONG else 2

# What migrations do to tables that are in use, and in one transaction; `{}` is one of the tables that grow.
MIGRATION = """
    ALTER TABLE {0} ADD COLUMN chaos_new varchar(10) DEFAULT '' NOT NULL;
    CREATE INDEX chaos_new_{0} ON {0} (chaos_new, id);
    ALTER TABLE {0} ALTER COLUMN chaos_new DROP DEFAULT, ALTER COLUMN chaos_new DROP NOT NULL;"""
GROWING = ("rules_event", "rules_enforcement", "executions_execution")


def test_a_migration_and_a_rolling_restart_under_load_fail_no_request_and_no_run(
    town: Town, sender: Callable[[], Sender]
) -> None:
    town.staff(web=2, worker=2)
    client, nemesis, codes = sender(), Nemesis(), []

    def replace(role: str) -> None:
        old = town.of(role)[0]
        codes.append(town.dismiss(old, signal.SIGTERM))
        town.hire(role)

    nemesis.at(0.1 * SPAN / 5, "the tables are migrated", lambda: migrate(town))
    for turn, role in enumerate(("web", "worker", "web", "worker")):
        nemesis.at((turn + 0.5) * SPAN / 5, f"{role} restarts", lambda role=role: replace(role))
    with nemesis:
        client.send_all(int(PACE * SPAN), a_second=PACE, seconds=0.1)
    town.drain()
    assert codes == [0, 0, 0, 0]
    names = tuple(client.accepted.values())
    ends = dict(
        town.rows(
            "SELECT status, count(*) FROM executions_execution WHERE event_id = ANY(%s) GROUP BY status", list(names)
        )
    )
    assert ends == {"completed": len(names)}
    assert set(client.answers) <= {0, 201}, client.answers  # 0: the connection was refused, and the other port tried
    check(town, client)


def migrate(town: Town) -> None:
    """The tables change while they are written to; then `prepare` is run, as before the new processes start."""
    with psycopg.connect(town.live.env["DATABASE_URL"]) as connection:
        for table in GROWING:
            connection.execute(MIGRATION.format(table))
    town.live.manage("prepare")


def test_two_hosts_of_sensors_that_are_killed_in_turn_fire_every_second_once(town: Town) -> None:
    town.staff(web=1, worker=2, sensors=2)
    rule = start(town)
    wait(lambda: len(fires(town, rule)) >= 2, "the timer to fire")
    for _ in range(DEATHS):
        before = len(fires(town, rule))
        kill_the_host(town)
        wait(lambda n=before: len(fires(town, rule)) > n + 1, "the timer to go on", PATIENCE)  # type: ignore[misc]
    stop(town, rule)
    assert each_second_once(fires(town, rule))
    check(town)
