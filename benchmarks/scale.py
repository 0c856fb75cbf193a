"""What much of it costs: many rules, a long history, much that waits, many sensors. Each against little of it."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import pages, processor
from benchmarks.history import make_history, make_others, make_rules, make_waiting
from benchmarks.installation import Installation
from benchmarks.load import chain_rate, yardstick
from benchmarks.table import Figure, Table

ROUNDS = 5
EVENTS = 500
MANY_RULES, OTHER_RULES = 1000, 10_000
HISTORY, WAITING = 1_000_000, 100_000
SENSORS = 50
BARE = ["/bin/true"]


def rules(attune: Installation, table: Table, *, size: float) -> None:
    """Processor time of an event with one rule and with many on its trigger, and with many on other triggers."""
    one, many = attune.webhook_to("bench.true", {}), attune.webhook_to("bench.true", {}, criteria=_kind(0))
    count = max(20, int(MANY_RULES * size))
    make_rules(attune, many, count)
    for path in (one, many):
        chain_rate(attune, path, events=count, kinds=count)  # so that each rule was read once
    cost = _in_turns(lambda: _cost(attune, one, kinds=count)[0], lambda: _cost(attune, many, kinds=count)[0])
    what = f"{count} rules on the trigger, one matches, against one rule: processor time per event"
    table.add(Figure(attune.mode, what, cost, most=1.3))
    others = int(OTHER_RULES * size)
    before = _chain(attune, one)
    make_others(attune, others)
    _compare(attune, table, f"{others} rules on other triggers, against none", before, _chain(attune, one))


def history(attune: Installation, table: Table, *, size: float) -> None:
    """Throughput and pages with a long history, against an empty one."""
    path, rows = attune.webhook_to("bench.true", {}), int(HISTORY * size)
    before, first = _chain(attune, path), pages.times(attune)
    began = time.monotonic()
    make_history(attune, rows)
    print(
        f"   {rows} events, enforcements, executions, deliveries made in {time.monotonic() - began:.0f} s", flush=True
    )
    after, then = _chain(attune, path), pages.times(attune)
    _compare(attune, table, f"{rows} rows of history, against none", before, after)
    for name, taken in then.items():
        mark = "  (over 100 ms)" if taken > 100 else ""
        print(f"   {name}: {taken:.0f} ms, {taken / first[name]:.1f} times the same when empty{mark}", flush=True)
    slowest = max(then.keys() - pages.WALKED, key=then.__getitem__)
    what = f"{rows} rows of history: the slowest of {len(then) - len(pages.WALKED)} pages ({slowest})"
    table.add(Figure(attune.mode, what, then[slowest], " ms", most=100))


def waiting(attune: Installation, table: Table, *, size: float) -> None:
    """Throughput and idle cost while many executions wait for their time."""
    path, rows = attune.webhook_to("bench.true", {}), int(WAITING * size)
    before, idle = _chain(attune, path), _idle(attune)
    make_waiting(attune, rows)
    after, busy = _chain(attune, path), _idle(attune)
    _compare(attune, table, f"{rows} executions wait, against none", before, after)
    told = f"{rows} executions wait, against none: processor time when nothing happens"
    table.add(Figure(attune.mode, told, 100 * (busy - idle), " % of a processor"))


def sensors(attune: Installation, table: Table, *, size: float) -> None:
    """Processor time of a host of sensors that have nothing to say, against the host alone."""
    count = max(2, int(SENSORS * size))
    idle = _idle(attune)
    attune.manage("load_pack", str(_sensor_pack(attune.folder / "quiet", count)))
    for number in range(count):
        name = f"bench_quiet.s{number}"
        body = {"ref": name, "pack_ref": "bench_quiet", "label": name, "trigger_ref": name, "action_ref": "bench.true"}
        attune.call("POST", "/api/v1/rules", body)
    running = "select count(*) from sensors_sensorprocess where state = 'running'"
    deadline = time.monotonic() + 300
    while attune.query(running)[0][0] < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"Only {attune.query(running)[0][0]} of {count} sensors came up.")
        time.sleep(0.5)
    time.sleep(10)
    busy = _idle(attune)
    what = f"{count} idle sensors, against none: processor time when nothing happens"
    table.add(Figure(attune.mode, what, 100 * (busy - idle), " % of a processor", most=1))


PARTS: dict[str, Callable[..., None]] = {"rules": rules, "history": history, "waiting": waiting, "sensors": sensors}


def _kind(number: int) -> dict[str, Any]:
    return {"var": "payload.k", "==": number}


def _in_turns(one: Callable[[], float], other: Callable[[], float]) -> float:
    """How many times the one the other is: measured in turns, the least of each."""
    found = []
    for _ in range(ROUNDS):
        found.append((one(), other()))
        print(f"   {found[-1][1] * 1000:.2f} ms against {found[-1][0] * 1000:.2f} ms", flush=True)
    return min(second for _, second in found) / min(first for first, _ in found)


def _cost(attune: Installation, path: str, *, kinds: int = 1) -> tuple[float, float]:
    """Processor seconds of an event, all inclusive, and events a second."""
    rates: list[float] = []
    cost = processor.spent(attune, lambda: rates.append(chain_rate(attune, path, events=EVENTS, kinds=kinds)))
    return cost / EVENTS, rates[0]


@dataclass(frozen=True)
class Chain:
    """The way from POST to stored result: events a second as a share of bare commands, processor seconds an event."""

    speed: float
    cost: float


def _chain(attune: Installation, path: str) -> Chain:
    """Measured some times: the median speed, each beside the bare command's, and the least cost.

    Others who use the machine at the same time can only add to what an event costs.
    """
    chain_rate(attune, path, events=EVENTS)
    speeds, costs = [], []
    for _ in range(ROUNDS):
        bare = yardstick(BARE, b"", seconds=2)
        cost, rate = _cost(attune, path)
        speeds.append(rate / bare)
        costs.append(cost)
        print(
            f"   {rate:.0f}/s of {bare:.0f}/s bare = {speeds[-1]:.3f}; {costs[-1] * 1000:.2f} ms an event", flush=True
        )
    return Chain(statistics.median(speeds), min(costs))


def _compare(attune: Installation, table: Table, what: str, before: Chain, after: Chain) -> None:
    table.add(Figure(attune.mode, f"{what}: throughput", after.speed / before.speed, least=0.9))
    table.add(Figure(attune.mode, f"{what}: processor time per event", after.cost / before.cost, most=1.1))


def _idle(attune: Installation, seconds: float = 20) -> float:
    """Share of one processor that the installation uses while nothing happens."""
    return processor.spent(attune, lambda: time.sleep(seconds)) / seconds


def _sensor_pack(folder: Path, count: int) -> Path:
    """A pack with sensors that wait for ever, each with a trigger of its own."""
    files = {"pack.yaml": {"ref": "bench_quiet", "label": "Quiet", "description": "Silent", "version": "1.0.0"}}
    for number in range(count):
        ref = {"ref": f"bench_quiet.s{number}", "label": f"Quiet {number}", "description": "Says nothing"}
        sensor = {"runner_type": "shell", "entry_point": "quiet.sh", "trigger_types": [ref["ref"]]}
        files |= {f"sensors/s{number}.yaml": ref | sensor, f"triggers/s{number}.yaml": ref | {"type": "custom"}}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))  # YAML, too
    (folder / "sensors" / "quiet.sh").write_text("exec sleep infinity\n")
    return folder
