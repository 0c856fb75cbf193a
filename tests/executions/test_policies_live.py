"""Policies in a whole installation: several worker processes, one of them killed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import write_pack
from tests.live import Live, wait

PARAMETERS = {"host": {"type": "string"}, "seconds": {"type": "string", "default": "0.05"}}


@pytest.fixture
def ledger(live: Live, tmp_path: Path) -> Path:
    """An installation with an action that notes its start and end, limited to one at a time for each host."""
    ledger = tmp_path / "ledger"
    script = f"""
        read -r line; who=$(echo "$line" | jq -r .host)
        echo "START $who $ATTUNE_EXEC_ID" >> {ledger}
        sleep "$(echo "$line" | jq -r .seconds)"
        echo "END $who $ATTUNE_EXEC_ID" >> {ledger}"""
    action = {"ref": "demo.act", "entry_point": "act.sh", "parameter_delivery": "stdin", "parameters": PARAMETERS}
    policy = {"name": "one_per_host", "action_ref": "demo.act", "concurrency": {"limit": 1, "group_by": ["host"]}}
    files: dict[str, Any] = {"actions/act.yaml": action, "actions/act.sh": script, "policies/p.yaml": policy}
    write_pack(tmp_path / "demo", "demo", files)
    live.env |= {"ATTUNE_LEASE": "4", "ATTUNE_SWEEP": "1"}
    live.manage("prepare")
    live.manage("load_pack", str(tmp_path / "demo"))
    return ledger


def ask(live: Live, **parameters: str) -> int:
    body = {"action_ref": "demo.act", "parameters": parameters}
    return live.call("POST", "/api/v1/executions/execute", body)["id"]


def lines(ledger: Path, word: str = "") -> list[list[str]]:
    found = [line.split() for line in ledger.read_text().splitlines()] if ledger.exists() else []
    return [line for line in found if word in line[0]]


@pytest.mark.server_only
def test_two_worker_processes_never_have_two_open_for_one_value(live: Live, ledger: Path) -> None:
    for command in ("web", "worker", "worker"):
        live.start(command)
    asked = {str(ask(live, host=f"host{number % 4}")) for number in range(40)}
    wait(lambda: len(lines(ledger, "END")) == 40, "the ends of all", seconds=120)
    opened: dict[str, str] = {}
    for word, host, number in lines(ledger):
        if word == "START":
            assert host not in opened, f"{number} began on {host} while {opened[host]} was open"
            opened[host] = number
        else:
            assert opened.pop(host) == number
    assert {number for _, _, number in lines(ledger, "START")} == asked
    wait(lambda: len(live.executions(status="completed")) == 40, "their rows")
    assert len({row["id"] for row in live.executions()}) == 40
    names = {live.call("GET", f"/api/v1/executions/{number}")["data"]["worker_name"] for number in asked}
    assert len(names) == 2


@pytest.mark.server_only
def test_the_place_of_a_killed_worker_is_free_after_its_lease(live: Live, ledger: Path) -> None:
    live.start("web")
    live.start("worker")
    doomed = live.processes[-1]
    first = ask(live, host="a", seconds="600")
    wait(lambda: lines(ledger, "START"), "the first to start")
    live.start("worker")
    second = ask(live, host="a")
    held = f"Waits for policy demo.one_per_host: 1 of 1 running (execution {first})."  # once a worker has looked at it
    wait(lambda: live.call("GET", f"/api/v1/executions/{second}")["data"]["waits_for"] == held, "the second to be held")
    doomed.send_signal(signal.SIGKILL)
    doomed.wait()
    live.processes.remove(doomed)
    wait(lambda: lines(ledger, "END"), "the second to run")
    assert lines(ledger, "END") == [["END", "a", str(second)]]
    wait(
        lambda: live.call("GET", f"/api/v1/executions/{first}")["data"]["status"] == "abandoned", "the first to be over"
    )


@pytest.mark.embedded_only
def test_what_waits_for_a_policy_goes_on_after_a_restart(live: Live, ledger: Path) -> None:
    live.start("up")
    first = ask(live, host="a", seconds="600")
    wait(lambda: lines(ledger, "START"), "the first to start")
    second = ask(live, host="a")
    wait(lambda: live.call("GET", f"/api/v1/executions/{second}")["data"]["waits_for"], "the second to wait")
    live.kill()
    live.start("up")
    wait(lambda: lines(ledger, "END") == [["END", "a", str(second)]], "the second to run")
    ended = "the end of the first, which had the place as long as its program might run"
    wait(lambda: live.call("GET", f"/api/v1/executions/{first}")["data"]["status"] == "abandoned", ended)
