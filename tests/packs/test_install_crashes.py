"""An installation whose process is killed at any step is done by the next one; until then the old version is whole."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, wait
from tests.packs.test_installing import greeter

POINTS = ("install-claimed", "install-fetched", "install-placed", "install-built", "install-loaded", "install-done")


@pytest.fixture
def installed(live: Live, tmp_path: Path) -> Path:
    """An installation with greeter 1.0.0, and the folder of 1.1.0."""
    live.env |= {"ATTUNE_LEASE": "3", "ATTUNE_SWEEP": "1"}
    live.start_all()
    install(live, greeter(tmp_path / "one"))
    return greeter(tmp_path / "two", "1.1.0", says="good day")


def install(live: Live, source: Path, **options: Any) -> dict[str, Any]:
    return live.call("POST", "/api/v1/packs/install", {"source": str(source), **options})["data"]


def says(live: Live) -> str:
    asked = live.call("POST", "/api/v1/executions/execute", {"action_ref": "greeter.greet", "parameters": {}})
    over = wait(
        lambda: (
            (found := live.call("GET", f"/api/v1/executions/{asked['id']}")["data"])["status"] == "completed" and found
        ),
        "the greeting",
    )
    return over["result"]["stdout"].strip()


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_step_leaves_the_old_version_whole_and_the_new_one_comes_after_it(
    live: Live, installed: Path, point: str
) -> None:
    live.kill()
    live.env["CRASH_AT"] = point
    live.start_all()
    with suppress(OSError):  # the worker may be part of the server, and die before the answer is out
        install(live, installed, wait=False)
    worker = live.processes[0 if len(live.processes) == 1 else 1]
    worker.wait(timeout=60)
    live.kill()
    live.env.pop("CRASH_AT")
    live.start_all()
    pack = live.call("GET", "/api/v1/packs/greeter")["data"]
    assert (pack["version"], says(live)) in (("1.0.0", "hello"), ("1.1.0", "good day"))
    over = wait(
        lambda: (
            (found := live.call("GET", "/api/v1/packs/greeter/install/latest")["data"])["finished_at"]
            and found["pack_version"] == "1.1.0"
            and found
        ),
        "the end of the installation",
    )
    assert (over["status"], over["attempt"]) == ("completed", 2), over
    assert live.call("GET", "/api/v1/packs/greeter")["data"]["version"] == "1.1.0" and says(live) == "good day"
    versions = live.call("GET", "/api/v1/packs/greeter/versions")["items"]
    assert [(row["version"], row["is_current"]) for row in versions] == [("1.1.0", True), ("1.0.0", False)]
