"""The main job, whole, as a newcomer meets it: one command, a rule, a kill in the middle, nothing lost or doubled."""

from __future__ import annotations

import signal
import socket
import sys
import time

import pytest

from tests.live import children_of, running, wait

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


@pytest.mark.embedded_only
def test_one_command_runs_it_all_and_a_kill_in_the_middle_loses_and_doubles_nothing(live):
    said = live.start("up")
    assert f"http://127.0.0.1:{live.port}/admin/" in said and "Administrator" in said
    live.every_second()
    wait(lambda: len(live.executions()) >= 4, "the first runs")
    children = children_of(live.processes[0].pid)
    assert len(children) >= 2  # the watchdog and the timers' sensor
    live.kill(signal.SIGKILL)
    wait(lambda: not any(running(pid) for pid in children), "the children to be dead", 20)
    time.sleep(3)
    said = live.start("up")
    assert "Administrator" not in said
    before = len(live.executions())
    wait(lambda: len(live.executions()) >= before + 5, "runs after the restart")
    live.call("POST", "/api/v1/rules/core.tick/disable")
    waiting = {"requested", "scheduled", "running"}
    wait(lambda: not waiting & {e["status"] for e in live.executions()}, "the end")
    ended = [e for e in live.executions() if e["status"] != "completed"]
    assert all(e["status"] == "abandoned" for e in ended)  # at most what ran in the moment of the kill
    events = [event["payload"]["scheduled_at"] for event in live.events()]
    seconds = sorted(int(time.mktime(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))) for at in events)
    assert seconds == list(range(seconds[0], seconds[-1] + 1))  # every second once, the time of the kill included
    verdicts = [verdict_on(live, event) for event in live.events()]
    late = [verdict for verdict in verdicts if verdict["verdict"] == "not_matched"]  # came when the rule was disabled
    assert len(late) < len(verdicts) and all("disabled" in verdict["reason"] for verdict in late)
    ran = [verdict["execution"] for verdict in verdicts if verdict["verdict"] == "matched"]
    assert sorted(ran) == sorted(execution["id"] for execution in live.executions())
    assert len(ran) + len(late) == len(verdicts)


def verdict_on(live, event):
    """The one verdict on an event that only one rule looks at."""
    [verdict] = live.call("GET", f"/api/v1/events/{event['id']}/verdicts")["items"]
    return verdict


@pytest.mark.embedded_only
def test_ctrl_c_ends_everything_also_what_does_not_want_to_end(live, tmp_path):
    pack = tmp_path / "stubborn"
    (pack / "actions").mkdir(parents=True)
    (pack / "pack.yaml").write_text("ref: stubborn\nlabel: S\ndescription: x\nversion: 1.0.0\n")
    (pack / "actions" / "stay.yaml").write_text("ref: stubborn.stay\nentry_point: stay.sh\nparameter_delivery: stdin\n")
    (pack / "actions" / "stay.sh").write_text("trap '' TERM INT\nwhile :; do sleep 1; done\n")
    live.start("up")
    live.manage("load_pack", str(pack))
    asked = live.call(
        "POST", "/api/v1/executions/execute", {"action_ref": "stubborn.stay", "parameters": {}, "env_vars": {}}
    )
    wait(lambda: live.call("GET", f"/api/v1/executions/{asked['id']}")["data"]["status"] == "running", "it to run")
    children = children_of(live.processes[0].pid)
    began = time.monotonic()
    assert live.kill(signal.SIGINT) == [0]
    assert time.monotonic() - began < 20  # under 10 on a machine of its own
    assert not any(running(pid) for pid in children)
    live.start("up")
    assert live.call("GET", f"/api/v1/executions/{asked['id']}")["data"]["status"] == "abandoned"


@pytest.mark.embedded_only
def test_a_second_start_on_the_same_data_is_refused_and_hurts_nothing(live):
    live.start("up")
    with pytest.raises(AssertionError, match="already running"):
        live.start("up")
    live.call("GET", "/api/v1/packs")


@pytest.mark.server_only
def test_web_worker_and_sensors_are_processes_of_their_own_and_may_die_one_by_one(live):
    live.manage("prepare")
    for command in ("web", "worker", "worker", "sensors"):
        live.start(command)
    live.every_second()
    wait(lambda: len([e for e in live.executions() if e["status"] == "completed"]) >= 3, "the first runs")
    live.processes.pop(1).kill()  # one worker dies, the other goes on
    before = len(live.executions())
    wait(lambda: len([e for e in live.executions() if e["status"] == "completed"]) >= before + 3, "runs without it")
    live.processes.pop(2).kill()  # the sensor host dies; another one takes over
    live.start("sensors")
    before = len(live.executions())
    wait(lambda: len(live.executions()) >= before + 3, "the timer to be taken over", 60)
    assert set(live.kill(signal.SIGTERM)) == {0}


@pytest.mark.embedded_only
def test_a_port_that_is_taken_is_told_with_the_remedy(live):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", live.port))
        taken.listen()
        with pytest.raises(AssertionError, match=r"ended with [1-9]:[\s\S]*ATTUNE_PORT"):
            live.start("up")
