"""core.echo, core.noop and core.sleep, run as the worker runs them: parameters as one JSON line on stdin."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.content.conftest import CORE, RunAction


@pytest.mark.parametrize(
    ("parameters", "printed"),
    [
        ({"message": "Hello, World!"}, "Hello, World!\n"),
        ({}, "\n"),
        ("", "\n"),
        ({"message": None}, "\n"),
        (
            {"message": "grün 😀 \"quoted\" 'single' $(id) `id` \\n %s"},
            "grün 😀 \"quoted\" 'single' $(id) `id` \\n %s\n",
        ),
        ({"message": "two\nlines\n"}, "two\nlines\n\n"),
        ({"message": "-n"}, "-n\n"),
        ({"message": "loud é", "uppercase": True}, "LOUD é\n"),
        ({"message": "x" * 300_000}, "x" * 300_000 + "\n"),
    ],
)
def test_echo_prints_its_message_to_the_letter(run_action: RunAction, parameters: object, printed: str) -> None:
    outcome = run_action("echo", parameters)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, printed, "")


@pytest.mark.parametrize("action", ["echo", "noop", "sleep"])
@pytest.mark.parametrize("parameters", ["not json\n", "[1, 2]\n", '{"message": \n', '"text"\n'])
def test_input_that_is_not_an_object_is_refused_by_name(run_action: RunAction, action: str, parameters: str) -> None:
    outcome = run_action(action, parameters)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith(f"{action}: the parameters ")
    assert outcome.stdout == ""


@pytest.mark.parametrize("action", ["echo", "noop", "sleep", "http_request"])
def test_without_jq_the_error_says_what_is_missing(run_action: RunAction, action: str) -> None:
    script = CORE / "actions" / f"{action}.sh"
    outcome = subprocess.run(
        ["/bin/bash", str(script)], input="{}", capture_output=True, text=True, env={"PATH": "/nowhere"}, check=False
    )
    assert outcome.returncode != 0
    assert f"{action}: jq is not installed" in outcome.stderr


def test_noop_does_nothing(run_action: RunAction) -> None:
    outcome = run_action("noop", {})
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_noop_ends_with_the_exit_code_it_is_given(run_action: RunAction) -> None:
    outcome = run_action("noop", {"message": "first\nsecond", "exit_code": 42})
    assert (outcome.returncode, outcome.stdout) == (42, "first\nsecond\n")
    assert outcome.stderr == "noop: ended with exit code 42, as asked\n"


@pytest.mark.parametrize("code", [256, -1, 1.5, "3", True, []])
def test_noop_refuses_what_is_no_exit_code(run_action: RunAction, code: object) -> None:
    outcome = run_action("noop", {"exit_code": code})
    assert outcome.returncode == 1
    assert f"exit_code {json.dumps(code)} must be a whole number from 0 to 255" in outcome.stderr


def test_sleep_waits_and_says_so(run_action: RunAction) -> None:
    started = time.monotonic()
    outcome = run_action("sleep", {"seconds": 0.3, "message": "Sleeping..."})
    assert time.monotonic() - started >= 0.3
    assert (outcome.returncode, outcome.stdout) == (0, "Sleeping...\nSlept for 0.3 seconds.\n")


@pytest.mark.parametrize("seconds", [-1, 3601, "2", True])
def test_sleep_refuses_what_is_no_time(run_action: RunAction, seconds: object) -> None:
    outcome = run_action("sleep", {"seconds": seconds})
    assert outcome.returncode == 1
    assert f"seconds {json.dumps(seconds)} must be a number from 0 to 3600" in outcome.stderr


def test_sleep_ends_at_once_when_it_is_told_to() -> None:
    with subprocess.Popen(
        ["bash", str(CORE / "actions" / "sleep.sh")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write('{"seconds": 600, "message": "asleep"}\n')
        process.stdin.close()
        assert process.stdout.readline() == "asleep\n"
        _until_napping(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
        assert process.stdout.read() == ""
    with pytest.raises(ProcessLookupError):
        _until_gone(process.pid)


def _until_napping(group: int) -> None:
    """Wait until the group's `sleep` runs: from then on the script listens for signals."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        listing = subprocess.run(["ps", "-eo", "pgid=,args="], capture_output=True, text=True, check=True).stdout
        if any(line.split()[0] == str(group) and "sleep 600" in line for line in listing.splitlines()):
            return
        time.sleep(0.05)
    raise AssertionError("sleep never began")


def _until_gone(group: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        os.killpg(group, 0)
        time.sleep(0.05)
