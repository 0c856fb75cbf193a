"""Redis forgets, repeats, hangs and dies under a running installation: work goes on, each piece once."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from attune.turns import STAMP, stamp
from tests.live import Live, wait
from tests.servers import OwnRedis

pytestmark = [
    pytest.mark.server_only,
    pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server for a Redis of its own"),
]

RULES = ("first", "second")
HELD_UP = 4.0  # seconds; a sender waits two at most, the rest is for a busy machine


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.send(signal.SIGCONT)
    server.send(signal.SIGKILL)


@pytest.fixture
def hurt(live: Live, own_redis: OwnRedis) -> Live:
    """An installation on that Redis: its web server runs, two rules want every event, and no worker has begun."""
    live.env["REDIS_URL"] = f"redis://127.0.0.1:{own_redis.port}/0"
    live.manage("prepare")
    live.start("web")
    live.call("POST", "/api/v1/packs", {"ref": "adhoc", "label": "Ad hoc", "version": "1.0.0"})
    live.call("POST", "/api/v1/triggers", {"ref": "adhoc.happened", "label": "It happened"})
    for name in RULES:
        rule = {"ref": f"adhoc.{name}", "label": name, "trigger_ref": "adhoc.happened", "action_ref": "core.noop"}
        live.call("POST", "/api/v1/rules", rule)
    return live


def send_events(live: Live, count: int) -> list[float]:
    """Send that many events; how long each took."""
    took = []
    for number in range(count):
        began = time.monotonic()
        live.call("POST", "/api/v1/events", {"trigger_ref": "adhoc.happened", "payload": {"n": number}}, expect=201)
        took.append(time.monotonic() - began)
    return took


def rows(live: Live, sql: str) -> list[tuple]:
    with psycopg.connect(live.env["DATABASE_URL"]) as connection:
        return connection.execute(sql).fetchall()


def all_done(live: Live, events: int) -> Callable[[], bool]:
    ended = "SELECT count(*) FROM executions_execution WHERE status = 'completed'"
    return lambda: rows(live, ended) == [(events * len(RULES),)]


def each_once(live: Live, events: int) -> bool:
    """Every event met both rules, each pair has one enforcement, and each enforcement an execution of its own."""
    counts = "count(*), count(DISTINCT (event_id, rule_id)), count(DISTINCT execution_id)"
    [found] = rows(live, f"SELECT {counts} FROM rules_enforcement WHERE verdict = 'matched'")
    [runs] = rows(live, "SELECT count(*), max(attempt) FROM executions_execution")
    expected = events * len(RULES)
    return found == (expected, expected, expected) and runs == (expected, 1)


def test_hints_that_are_lost_or_come_many_times_change_nothing_under_two_workers(
    hurt: Live, own_redis: OwnRedis
) -> None:
    send_events(hurt, 200)
    queue = f"{hurt.env['ATTUNE_BROKER_NAMESPACE']}:executions"
    hints = [kept[STAMP:] for kept in own_redis.client.zrange(queue, 0, -1)]
    assert len(hints) == 200 * len(RULES)
    own_redis.client.flushdb()
    for number in range(4):  # of 280 executions no worker is told, of 120 four times
        own_redis.client.zadd(queue, {stamp(hint): number for hint in hints[:120]})
    own_redis.client.zadd(queue, {stamp(b"no message of ours"): 2})
    hurt.start("worker")
    hurt.start("worker")
    wait(all_done(hurt, 200), "all 200 events to be acted upon", 120)
    assert each_once(hurt, 200)
    assert hurt.kill(signal.SIGTERM) == [0, 0, 0]


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "hanging"])
def test_without_redis_events_are_taken_quickly_and_work_goes_on_and_nothing_need_be_restarted_when_it_is_back(
    hurt: Live, own_redis: OwnRedis, fate: signal.Signals
) -> None:
    hurt.start("worker")
    send_events(hurt, 3)
    wait(all_done(hurt, 3), "the first events")
    own_redis.send(fate)
    took = send_events(hurt, 10)
    assert max(took) < HELD_UP
    assert sum(took) < 3 * HELD_UP  # only the first sender finds out by waiting
    wait(all_done(hurt, 13), "the sweep to find the events", 120)
    assert hurt.call("GET", "/health/ready")["status"] == "degraded"
    assert hurt.call("GET", "/health/detailed")["broker"] == "disconnected"
    if fate == signal.SIGKILL:
        own_redis.start()
    else:
        own_redis.send(signal.SIGCONT)
    wait(lambda: hurt.call("GET", "/health/detailed")["broker"] == "connected", "the web server to reach Redis")
    queue = f"{hurt.env['ATTUNE_BROKER_NAMESPACE']}:executions"
    own_redis.client.zadd(queue, {stamp(b"no message of ours"): number for number in range(3)})
    wait(lambda: own_redis.client.zcard(queue) == 0, "the worker to listen again")
    send_events(hurt, 5)
    wait(all_done(hurt, 18), "the last events")
    assert each_once(hurt, 18)


def test_a_worker_ends_in_peace_while_redis_is_dead(hurt: Live, own_redis: OwnRedis) -> None:
    hurt.start("worker")
    own_redis.send(signal.SIGKILL)
    time.sleep(1)
    assert hurt.kill(signal.SIGTERM) == [0, 0]
