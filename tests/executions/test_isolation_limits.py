"""Limits of a run: set for each process, told in words when they are hit, and never above the installation's."""

from __future__ import annotations

import os
import sys

import pytest
from django.conf import settings

from apps.executions.models import Status
from apps.packs.loading import load_pack
from tests.conftest import write_pack

pytestmark = [
    pytest.mark.embedded_only,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of one program are for Linux"),
]


def test_every_program_inherits_the_installations_limits_and_leaves_no_core(make_action, run):
    lines = run(
        make_action("cat /proc/self/limits; grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj")
    ).stdout
    found = {line[:26].strip(): line[26:].split()[:2] for line in lines.splitlines() if line.startswith("Max")}
    memory = str(settings.ATTUNE_LIMITS["memory_mb"] * 2**20)
    assert found["Max data size"] == [memory, memory]
    assert found["Max open files"] == ["4096", "4096"]
    assert found["Max core file size"] == ["0", "0"]
    assert found["Max cpu time"] == ["unlimited", "unlimited"]
    *_, privileges, oom = lines.splitlines()
    assert privileges.split() == ["NoNewPrivs:", "1"]
    assert int(oom) >= 300


@pytest.mark.parametrize("runner", ["cold", "warm"])
def test_an_action_has_the_limits_of_its_own_however_it_starts(make_action, run, runner):
    script = "import resource as r\nfor n in (r.RLIMIT_CPU, r.RLIMIT_DATA, r.RLIMIT_NOFILE): print(*r.getrlimit(n))"
    own = {"cpu_seconds": 9, "memory_mb": 512, "open_files": 10_000}
    execution = run(make_action(script, runner_type="python", runner=runner, limits=own))
    assert execution.status == Status.COMPLETED, execution.error
    assert execution.stdout.splitlines() == ["9 14", f"{512 * 2**20} {512 * 2**20}", "4096 4096"]


def test_processor_time_may_be_limited_for_all(make_action, run, settings):
    settings.ATTUNE_LIMITS = settings.ATTUNE_LIMITS | {"cpu_seconds": 77}
    assert run(make_action("ulimit -S -t")).stdout == "77\n"


@pytest.mark.parametrize(
    ("script", "limit", "says"),
    [
        ("while True: pass", {"cpu_seconds": 1}, "It hit its limit of 1 s of processor time (`cpu_seconds`)."),
        ("x = b'x' * 2**28", {"memory_mb": 128}, "MemoryError. It seems to have hit its limit of 128 MB of memory"),
        ("open('big', 'wb').write(b'x' * 2**22)", {"file_size_mb": 2}, "limit of 2 MB in one file (`file_size_mb`)."),
        ("x = [open('/dev/null') for _ in range(99)]", {"open_files": 30}, "hit its limit of 30 open files"),
    ],
)
def test_a_run_that_hits_a_limit_fails_and_says_which(make_action, run, script, limit, says):
    action = make_action(f"import os; os.chdir(os.environ['TMPDIR'])\n{script}", runner_type="python", limits=limit)
    execution = run(action)
    assert execution.status == Status.FAILED and says in execution.error, execution.error


def test_a_shell_whose_child_runs_out_of_processor_time_says_so(make_action, run):
    execution = run(make_action("(while :; do :; done)", limits={"cpu_seconds": 1}))
    assert "It hit its limit of 1 s of processor time" in execution.error


if os.getuid():  # the system counts no processes of root: for root the account's own test shows it

    def test_a_fork_bomb_ends_at_its_limit(make_action, run):
        bomb = "import os, time\nfor _ in range(500):\n    if not os.fork(): time.sleep(60)"
        execution = run(make_action(bomb, runner_type="python", limits={"processes": 100}))
        assert "limit of 100 processes" in execution.error


def test_limits_are_checked_when_the_pack_is_loaded_with_file_and_line(tmp_path, known_runtimes):
    folder = write_pack(
        tmp_path / "demo",
        "demo",
        {
            "actions/a.yaml": "ref: demo.a\nentry_point: a\nlimits:\n  memory_mb: 9\n  memory: 3\n  open_files: no\n",
            "actions/a": "true",
        },
    )
    report = "\n".join(map(str, load_pack(folder).faults))
    assert "actions/a.yaml:5: 'memory' is no limit; there are cpu_seconds, memory_mb" in report
    assert "actions/a.yaml:6: `open_files` must be a whole number of at least 1, not 'no'" in report
