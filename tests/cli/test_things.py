"""Rules, triggers, events, keys, sensors, workers: looked at, made, switched and taken away."""

from __future__ import annotations

import json

import pytest

from tests.conftest import until

pytestmark = pytest.mark.embedded_only


@pytest.fixture
def home(attune, server):
    """An ad-hoc pack with a trigger."""
    if not attune.json("pack", "list", "--search", "home"):
        server.call("POST", "/api/v1/packs", {"ref": "home", "label": "Home"})
        schema = {"name": "string", "age": "integer"}
        server.call("POST", "/api/v1/triggers", {"ref": "home.door", "label": "Door", "out_schema": schema})
    for rule in attune.json("rule", "list", "--pack", "home"):
        attune("rule", "delete", rule["ref"])
    return attune


def greet(command, *more, ref="home.greet"):
    command(
        "rule", "create", ref, "--trigger", "home.door", "--criteria", '{"var": "payload.age", ">": 17}',
        "--action", "core.echo", "--param", "message=Hello {{ payload.name }}", "--param", "uppercase=true", *more,
    )  # fmt: skip


def test_a_rule_is_made_tried_fired_explained_and_taken_away(home):
    greet(home)
    rule = home.json("rule", "show", "home.greet")
    assert rule["action_params"] == {"message": "Hello {{ payload.name }}", "uppercase": True}
    assert rule["criteria"] == {"var": "payload.age", ">": 17}

    assert "payload.age" in home("rule", "test", "home.greet", "--payload", '{"name": "Ada", "age": 20}').out
    said = home("rule", "test", "home.greet", "--payload", '{"name": "Bo", "age": 3}', code=1)
    assert "payload.age is 3" in said.err

    event = str(home.json("trigger", "fire", "home.door", "name=Ada", "age=20")["id"])
    shown = until(lambda: (found := home.json("event", "show", event))["verdicts"] and found)
    assert (shown["payload"], shown["verdicts"][0]["verdict"]) == ({"name": "Ada", "age": 20}, "matched")
    home("execution", "watch", str(shown["verdicts"][0]["execution"]))
    assert home("execution", "result", str(shown["verdicts"][0]["execution"])).out == "HELLO ADA\n"
    assert home.json("rule", "test", "home.greet", "--event", event)["matched"] is True

    assert "home.greet" in home("event", "show", event).out
    assert home.json("event", "replay", event)["replay_of"] == int(event)
    assert [row["id"] for row in home.json("event", "list", "--trigger", "home.door", "-n", "1")] > [int(event)]

    home("rule", "disable", "home.greet")
    assert home.json("rule", "list", "--pack", "home", "--disabled")[0]["ref"] == "home.greet"
    assert home.json("rule", "list", "--pack", "home", "--enabled") == []
    home("rule", "enable", "home.greet")
    home("rule", "delete", "home.greet", "--yes")
    home("rule", "show", "home.greet", code=3)


def test_a_rule_is_made_from_a_file_and_options_win(home, tmp_path):
    file = tmp_path / "rule.yaml"
    file.write_text("ref: home.file\ntrigger: home.door\naction: core.echo\naction_params: {message: hi}\n")
    home("rule", "create", "-f", str(file), "--param", "uppercase=yes", "--disabled")
    rule = home.json("rule", "show", "home.file")
    assert (rule["enabled"], rule["action_params"]) == (False, {"message": "hi", "uppercase": True})
    home("rule", "create", "home.other", "-f", "-", stdin=json.dumps({"trigger": "home.door", "action": "core.noop"}))
    assert home.json("rule", "test", "-f", str(file), "--payload", "{}")["action_params"]["message"] == "hi"


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ("ref: [", 2, "neither as YAML nor as JSON"),
        ("- a", 2, "should hold a mapping"),
        ("ref: home.x\ntrigger: home.door\naction: core.nope", 1, "core.nope"),
        ("ref: home.x\ntrigger: home.door\naction: core.echo\naction_params: {nope: 1}", 1, "nope"),
        ("ref: home.x\ntrigger: home.door\naction: core.echo\ncriteria: {var: payload.a, '~': 1}", 1, "criteria"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(home, given, code, told):
    assert told in home("rule", "create", "-f", "-", stdin=given, code=code).err


def test_an_event_that_does_not_fit_is_refused_and_the_same_one_is_not_kept_twice(home):
    assert "age should be a whole number" in home("trigger", "fire", "home.door", "age=old", code=2).err
    assert "age" in home("trigger", "fire", "home.door", "--payload", '{"age": "old"}', code=1).err
    first = home.json("trigger", "fire", "home.door", "name=Ada", "--dedup-key", "once")
    assert home.json("trigger", "fire", "home.door", "name=Ada", "--dedup-key", "once")["id"] == first["id"]
    assert "sent before" in home("trigger", "fire", "home.door", "name=Ada", "--dedup-key", "once").err


def test_a_trigger_is_switched(home):
    home("trigger", "disable", "home.door")
    assert "disabled" in home("trigger", "fire", "home.door", code=1).err
    home("trigger", "enable", "home.door")
    assert "integer" in home("trigger", "show", "home.door").out


def test_a_key_is_kept_read_changed_and_deleted_and_its_value_is_shown_only_when_asked_for(attune):
    said = attune("key", "set", "slack.token", stdin="s3cret")
    assert said.out == "" and "s3cret" not in said.err
    assert attune("key", "get", "slack.token").out == "s3cret\n"
    for shown in (attune("key", "show", "slack.token"), attune("key", "list"), attune("key", "list", "-o", "json")):
        assert "s3cret" not in shown.out
    attune("key", "set", "slack.token", "--json", stdin='{"user": "ada", "n": [1]}')
    assert attune.json("key", "get", "slack.token") == {"user": "ada", "n": [1]}
    attune("key", "delete", "slack.token")
    assert "There is no key slack.token." in attune("key", "get", "slack.token", code=3).err


def test_a_key_of_a_pack_comes_from_a_file(attune, tmp_path):
    (tmp_path / "token").write_text("ä\nb")
    kept = attune.json("key", "set", "token", "--pack", "core", "--file", str(tmp_path / "token"), "--name", "Token")
    assert (kept["ref"], kept["owner"], kept["value"]) == ("pack.core.token", "core", None)
    assert attune("key", "get", "core.token").out == "ä\nb\n"
    assert attune.json("key", "set", "token", "--pack", "core", stdin="new")["id"] == kept["id"]
    assert "not JSON" in attune("key", "set", "token", "--json", stdin="{", code=2).err


def test_a_sensor_is_looked_at_and_restarted(attune):
    assert "core.intervaltimer" in attune("sensor", "show", "core.timer_sensor").out
    assert [row["ref"] for row in attune.json("sensor", "list", "--pack", "core")] == ["core.timer_sensor"]
    attune("sensor", "restart", "core.timer_sensor")
    attune("sensor", "logs", "core.timer_sensor")


def test_a_worker_is_drained_by_its_name(attune):
    [worker] = attune.json("worker", "list")
    said = attune("worker", "drain", worker["name"], "--reason", "tea")
    assert f"Worker {worker['name']} takes nothing new" in said.err
    assert attune.json("worker", "list")[0]["cordon_reason"] == "tea"
    attune("worker", "undrain", str(worker["id"]))
    assert attune.json("worker", "list")[0]["cordoned"] is False


def test_the_versions_of_both_ends_are_told(attune):
    assert attune.json("version", "--server") == {"client": "0.1.0", "server": "0.1.0"}
