"""What becomes of runs whose worker is killed or frozen: adopted, begun again, or abandoned; never two at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, running, wait

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

LEASE = 4.0


@pytest.fixture
def hurt(live: Live, tmp_path: Path) -> Live:
    """An installation with a short lease and three actions that write to a ledger; `hurt.ledger` is its file."""
    live.env |= {"ATTUNE_LEASE": str(LEASE), "ATTUNE_SWEEP": "1"}
    live.ledger = tmp_path / "ledger"  # type: ignore[attr-defined]
    folder = tmp_path / "hurt"
    (folder / "actions").mkdir(parents=True)
    (folder / "pack.yaml").write_text("ref: hurt\nlabel: Hurt\ndescription: x\nversion: 1.0.0\n")
    scripts = {
        "short": 'sleep 2; echo \'{"said": "all of it"}\'',
        "long": f"setsid bash -c 'while :; do echo stray >> {tmp_path}/stray; sleep 0.2; done' & sleep 60",
        "killer": "kill -9 $PPID; sleep 60",
    }
    for name, script in scripts.items():
        for idempotent in ("true", "false"):
            ref = name if idempotent == "false" else f"{name}_again"
            (folder / "actions" / f"{ref}.yaml").write_text(
                f"ref: hurt.{ref}\nentry_point: {ref}.sh\nparameter_delivery: stdin\nidempotent: {idempotent}\n"
                f"output_format: {'json' if name == 'short' else 'text'}\n"
            )
            (folder / "actions" / f"{ref}.sh").write_text(
                f'echo "START $ATTUNE_EXEC_ID $ATTUNE_IDEMPOTENCY_KEY" >> {live.ledger}\n'  # type: ignore[attr-defined]
                f'echo "it began" >&2\n{script}\necho "END $ATTUNE_EXEC_ID" >> {live.ledger}\n'  # type: ignore[attr-defined]
            )
    if live.env.get("ATTUNE_MODE") == "server":
        live.manage("prepare")
        live.start("web")
        live.start("worker")
    else:
        live.start("up")
    live.manage("load_pack", str(folder))
    return live


def ask(live: Live, name: str) -> int:
    body = {"action_ref": f"hurt.{name}", "parameters": {}, "env_vars": {}}
    return live.call("POST", "/api/v1/executions/execute", body)["id"]


def state(live: Live, pk: int) -> dict[str, Any]:
    return live.call("GET", f"/api/v1/executions/{pk}")["data"]


def starts(live: Live, pk: int) -> list[str]:
    """The idempotency keys of all starts of that execution."""
    lines = live.ledger.read_text().splitlines() if live.ledger.exists() else []  # type: ignore[attr-defined]
    return [line.split()[2] for line in lines if line.startswith(f"START {pk} ")]


def ended(live: Live, pk: int) -> Any:
    return lambda: state(live, pk)["status"] in ("completed", "failed", "abandoned", "timeout", "cancelled")


def lose_the_worker(live: Live) -> None:
    """Kill the process that runs the actions, and start another one."""
    worker = live.processes.pop()
    worker.kill()
    worker.wait()
    live.start("worker" if live.env.get("ATTUNE_MODE") == "server" else "up")


@pytest.mark.embedded_only
def test_a_run_that_ends_without_its_worker_is_adopted_with_all_that_it_printed(hurt: Live) -> None:
    pk = ask(hurt, "short")
    wait(lambda: starts(hurt, pk), "it to start")
    lose_the_worker(hurt)
    wait(ended(hurt, pk), "its end")
    found = state(hurt, pk)
    assert (found["status"], found["result"]["data"]) == ("completed", {"said": "all of it"})
    assert found["result"]["stderr"] == "it began\n" and len(starts(hurt, pk)) == 1
    assert found["result"]["duration_ms"] >= 2000


@pytest.mark.embedded_only
def test_a_run_that_outlives_its_workers_lease_is_ended_with_all_it_started_and_abandoned(hurt: Live) -> None:
    pk = ask(hurt, "long")
    stray = hurt.ledger.with_name("stray")  # type: ignore[attr-defined]
    wait(stray.exists, "its stray child")
    lose_the_worker(hurt)
    wait(ended(hurt, pk), "its end")
    found = state(hurt, pk)
    assert found["status"] == "abandoned" and len(starts(hurt, pk)) == 1
    assert "Worker " in found["result"]["error"] and "Its last line was: it began" in found["result"]["error"]
    size = stray.stat().st_size
    time.sleep(1)
    assert stray.stat().st_size == size


def test_an_idempotent_run_that_was_lost_is_begun_again_under_the_same_key_and_never_twice_at_once(hurt: Live) -> None:
    pk = ask(hurt, "long_again")
    wait(lambda: starts(hurt, pk), "it to start")
    lose_the_worker(hurt)
    wait(lambda: len(starts(hurt, pk)) == 2, "its second start")
    assert len(set(starts(hurt, pk))) == 1
    assert len(alive_shells(hurt)) == 1
    hurt.call("POST", f"/api/v1/executions/{pk}/cancel")
    wait(ended(hurt, pk), "its end")
    assert state(hurt, pk)["status"] == "cancelled"


@pytest.mark.server_only
def test_a_frozen_worker_loses_its_run_before_another_takes_it_and_what_it_says_late_is_not_heard(hurt: Live) -> None:
    pk = ask(hurt, "long_again")
    wait(lambda: starts(hurt, pk), "it to start")
    first = alive_shells(hurt)
    frozen = hurt.processes[-1]
    frozen.send_signal(signal.SIGSTOP)
    hurt.start("worker")
    wait(lambda: len(starts(hurt, pk)) == 2, "its second start")
    assert not any(running(pid) for pid in first)
    frozen.send_signal(signal.SIGCONT)
    time.sleep(2)
    assert state(hurt, pk)["status"] == "running" and len(alive_shells(hurt)) == 1
    after = ask(hurt, "short")
    wait(ended(hurt, after), "the end of another one")
    hurt.call("POST", f"/api/v1/executions/{pk}/cancel")
    wait(ended(hurt, pk), "its end")
    assert state(hurt, pk)["status"] == "cancelled" and len(starts(hurt, pk)) == 2


@pytest.mark.embedded_only
def test_an_action_that_kills_what_runs_it_is_poisoned_after_three_attempts_and_harms_no_other(hurt: Live) -> None:
    killer = ask(hurt, "killer_again")
    wait(ended(hurt, killer), "its end")
    found = state(hurt, killer)
    assert found["status"] == "abandoned" and found["result"]["error"].startswith("Poisoned: 3 attempts")
    assert len(starts(hurt, killer)) == 3
    once = ask(hurt, "killer")
    wait(ended(hurt, once), "its end")
    assert state(hurt, once)["status"] == "abandoned" and len(starts(hurt, once)) == 1
    other = ask(hurt, "short")
    wait(ended(hurt, other), "the end of another one")
    assert state(hurt, other)["status"] == "completed"


def alive_shells(live: Live) -> list[int]:
    """The processes that run one of the long actions."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        pid = int(entry.parent.name)
        mine = str(live.ledger.parent).encode()  # type: ignore[attr-defined]
        if any(word.startswith(mine) and b"long" in word for word in words) and running(pid) and pid != os.getpid():
            found.append(pid)
    return found
