"""A timer's fires, read back: what they should be is plain, one for each second."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import pairwise

from tests.chaos.town import PATIENCE, Town
from tests.live import wait


def start(town: Town) -> str:
    """A rule of its own that a timer fires each second; its ref."""
    name = f"tick{time.time_ns()}"
    town.live.every_second(name)
    return f"core.{name}"


def stop(town: Town, rule: str) -> None:
    town.live.call("POST", f"/api/v1/rules/{rule}/disable")
    town.drain()


def fires(town: Town, rule: str) -> list[float]:
    """The seconds that it has fired for, in their order."""
    return sorted(last for _, last, passed_over in rows(town, rule) if not passed_over)


def rows(town: Town, rule: str) -> list[tuple[float, float, str]]:
    """Its rows in their order: the first and the last second that each stands for, and whether it was passed over."""
    found = town.rows(
        """SELECT coalesce(payload->>'first_scheduled_at', payload->>'scheduled_at'), payload->>'scheduled_at',
            passed_over FROM rules_event WHERE rule_ref = %s""",
        rule,
    )
    moments = [(datetime.fromisoformat(first), datetime.fromisoformat(last), word) for first, last, word in found]
    return sorted((first.timestamp(), last.timestamp(), word) for first, last, word in moments)


def each_second_has_one_row(town: Town, rule: str) -> bool:
    return all(first == before + 1 for (_, before, _), (first, _, _) in pairwise(rows(town, rule)))


def each_second_once(fired: list[float]) -> bool:
    return fired == [fired[0] + step for step in range(len(fired))]


def kill_the_host(town: Town) -> None:
    """SIGKILL the host that has the timers, wait for the other to take them, and hire one in its place."""
    hosted = "SELECT host FROM sensors_sensorprocess WHERE host != '' AND state = 'running'"
    [(host,)] = wait(lambda: town.rows(hosted), "a host to have the timers", PATIENCE)
    [victim] = [member for member in town.of("sensors") if f":{member.pid}:" in host]
    town.members.remove(victim)
    victim.kill()
    wait(lambda: town.rows(f"{hosted} AND host != %s", host), "the other to take over", PATIENCE)
    town.hire("sensors")
