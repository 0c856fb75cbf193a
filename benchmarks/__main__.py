"""`make bench`: everything, and one table at the end. `python -m benchmarks PART … [embedded|server]`: some of it.

The parts are throughput, latency, python, start; rules, history, waiting, sensors: what much of it costs; packs; floor:
what the least such chain reaches. A number makes more or less of it (0.01: a hundredth). `--peers` measures Node-RED
from npm beside it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

from benchmarks import floor, peers, processor, scale
from benchmarks.installation import ROOT, Installation, installation
from benchmarks.load import chain_rate, start_latencies, yardstick
from benchmarks.memory import held
from benchmarks.packs import packs
from benchmarks.scripts import script_rate
from benchmarks.table import Figure, Table

ROUNDS = 3
PARTS = ["throughput", "latency", "python", "start"]
OTHERS = scale.PARTS | {"packs": packs}
FLOOR = "floor"
COMMANDS = {
    "/bin/true (native)": ("bench.true", {}, ["/bin/true"], b"", 1500),
    "bash + jq (core.echo)": (
        "core.echo",
        {"message": "{{ 'event ' ~ payload.n }}"},
        ["bash", str(ROOT / "packs/core/actions/echo.sh")],
        b'{"message":"event 1","uppercase":false}\n',
        600,
    ),
}
GOALS = {
    "server": {"/bin/true (native)": 0.16, "bash + jq (core.echo)": 0.90},
    "embedded": {"/bin/true (native)": 0.14, "bash + jq (core.echo)": 0.85},
}
MOST_PROCESSOR = 4.0  # milliseconds for an event whose action costs next to nothing itself
TABLE = Table()


def main(arguments: list[str]) -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as with users, what is compiled once is kept
    modes = [mode for mode in ("embedded", "server") if mode in arguments] or ["embedded", "server"]
    known = [*PARTS, *OTHERS, FLOOR]
    parts = [part for part in known if part in arguments] or known
    if "python" in parts:
        python_starts()
    for mode in modes:
        event_by_event(mode, [part for part in parts if part in PARTS])
        for part in [part for part in parts if part in OTHERS]:
            with installation(mode) as attune:
                print(f"== {part}, {mode} mode", flush=True)
                _start(attune, sensors=part == "sensors")
                attune.log_in()
                OTHERS[part](attune, TABLE, size=_size(arguments))
                attune.stop()
    if FLOOR in parts and "server" in modes:
        print("== the least that such a chain can cost", flush=True)
        floor.compare(
            TABLE, {name: (argv, document, events) for name, (_, _, argv, document, events) in COMMANDS.items()}
        )
    if "--peers" in arguments:
        print("== Node-RED", flush=True)
        peers.compare(TABLE)
    print(f"\n{TABLE}")


def event_by_event(mode: str, parts: list[str]) -> None:
    """The parts that look at single events, and at starting: one after the other on one installation."""
    if not parts or (mode == "server" and parts == ["start"]):
        return
    with installation(mode) as attune:
        print(f"== {mode} mode", flush=True)
        if parts != ["start"]:
            _start(attune)
            attune.log_in()
            if "latency" in parts:
                latency(attune)
            if "throughput" in parts:
                throughput(attune)
            if "python" in parts:
                python_chain(attune)
            attune.stop()
        if "start" in parts and mode == "embedded":
            second_start(attune)


def _start(attune: Installation, *, sensors: bool = False) -> None:
    server = ("web", "worker", "sensors") if sensors else ("web", "worker")
    for command in ("up",) if attune.mode == "embedded" else server:
        attune.start(command)


def _size(arguments: list[str]) -> float:
    return next((float(word) for word in arguments if word.replace(".", "", 1).isdigit()), 1.0)


def throughput(attune: Installation) -> None:
    """POST to stored result against the bare command, in turns, the median of three."""
    for name, (action, parameters, argv, document, events) in COMMANDS.items():
        path = attune.webhook_to(action, parameters)
        chain_rate(attune, path, events=40)
        ratios, costs, rates = [], [], [0.0]

        def chain(path: str = path, events: int = events, rates: list[float] = rates) -> None:
            rates[0] = chain_rate(attune, path, events=events)

        for _ in range(ROUNDS):
            bare = yardstick(argv, document, seconds=3)
            costs.append(1000 * processor.spent(attune, chain) / events)
            ratios.append(rates[0] / bare)
            print(f"   {name}: {rates[0]:.0f}/s of {bare:.0f}/s bare, {costs[-1]:.1f} ms an event", flush=True)
        TABLE.add(Figure(attune.mode, name, statistics.median(ratios), least=GOALS[attune.mode][name]))
        most = MOST_PROCESSOR if action == "bench.true" else None
        cost = statistics.median(costs)
        TABLE.add(Figure(attune.mode, f"{name}: processor time per event", cost, " ms", most=most))


def python_starts() -> None:
    """The launcher alone: how many runs of a small script a second, two at a time, cold and warm in turns."""
    ratios = []
    for _ in range(ROUNDS):
        cold, warm = (script_rate(warm=warm, seconds=4) for warm in (False, True))
        ratios.append(warm / cold)
        print(f"   small.py by the launcher: {warm:.0f}/s warm, {cold:.0f}/s cold = {warm / cold:.1f}", flush=True)
    TABLE.add(Figure("launcher", "Python, warm against cold starts", statistics.median(ratios), least=3))


def python_chain(attune: Installation) -> None:
    """POST to stored result with the same script cold and warm, in turns, the median of three."""
    paths = {way: attune.webhook_to(f"bench.python_{way}", {}) for way in ("cold", "warm")}
    rates: dict[str, list[float]] = {way: [] for way in paths}
    for path in paths.values():
        chain_rate(attune, path, events=40)
    for _ in range(ROUNDS):
        for way, path in paths.items():
            rates[way].append(chain_rate(attune, path, events=200 if way == "cold" else 600))
        print(f"   small.py, all inclusive: {rates['warm'][-1]:.0f}/s warm, {rates['cold'][-1]:.0f}/s cold", flush=True)
    ratio = statistics.median(warm / cold for cold, warm in zip(rates["cold"], rates["warm"], strict=True))
    TABLE.add(Figure(attune.mode, "Python, POST to stored result, warm against cold", ratio))


def latency(attune: Installation) -> None:
    """POST answered to the program's own first act, on an idle system."""
    path = attune.webhook_to("bench.started", {})
    start_latencies(attune, path, events=5, pause=0.2)
    found = start_latencies(attune, path, events=150, pause=0.15)
    p50, p99 = statistics.median(found), found[int(len(found) * 0.99)]
    TABLE.add(Figure(attune.mode, "idle, POST to start: median", p50, " ms", most=15))
    TABLE.add(Figure(attune.mode, "idle, POST to start: 99th of 100", p99, " ms", most=50))


def second_start(attune: Installation) -> None:
    """Seconds to ready on a second start, and the idle memory of the whole tree, with the timers' sensor at work."""
    seconds = attune.start("up")
    attune.log_in()
    attune.call(
        "POST",
        "/api/v1/rules",
        {
            "ref": "core.bench_tick",
            "pack_ref": "core",
            "label": "tick",
            "trigger_ref": "core.intervaltimer",
            "trigger_params": {"unit": "seconds", "interval": 5},
            "action_ref": "core.noop",
            "action_params": {},
        },
    )
    time.sleep(20)
    sizes = held(attune.processes[0].pid)
    total = sum(size for _, size in sizes.values())
    attune.stop()
    TABLE.add(Figure(attune.mode, "second start: ready after", seconds, " s", most=5))
    TABLE.add(Figure(attune.mode, "idle memory of all its processes", total, " MiB", most=130))
    print("   " + json.dumps({f"{name} {pid}": round(size, 1) for pid, (name, size) in sizes.items()}))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))} failed with {error.returncode}")
