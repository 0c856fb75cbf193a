"""The shipped packs as files: their descriptions agree with their programs, and their own tests pass."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.content.conftest import CORE, PACKS

SHIPPED = [CORE, *sorted(path for path in (PACKS / "examples").iterdir() if path.is_dir())]
COMPONENTS = [
    path for pack in SHIPPED for kind in ("actions", "sensors") for path in sorted(pack.glob(f"{kind}/*.yaml"))
]
TRIGGERS = [path for pack in SHIPPED for path in sorted(pack.glob("triggers/*.yaml"))]


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKS))


@pytest.mark.parametrize("pack", SHIPPED, ids=name_of)
def test_a_pack_is_complete(pack: Path) -> None:
    manifest = read(pack / "pack.yaml")
    assert manifest["ref"] == pack.name
    assert {"label", "description", "version", "license"} <= manifest.keys()
    assert (pack / "README.md").is_file()
    for runner in manifest["testing"]["runners"].values():
        assert (pack / runner["entry_point"]).is_file()


@pytest.mark.parametrize("path", [*COMPONENTS, *TRIGGERS], ids=name_of)
def test_a_component_is_named_after_its_file_and_has_its_program(path: Path) -> None:
    component = read(path)
    assert component["ref"] == f"{path.parents[1].name}.{path.stem}"
    assert component["label"]
    assert component["description"]
    if "entry_point" in component:
        assert (path.parent / component["entry_point"]).is_file()
    for trigger in component.get("trigger_types", []):
        pack, _, name = trigger.partition(".")
        assert (path.parents[2] / pack / "triggers" / f"{name}.yaml").is_file()


@pytest.mark.parametrize("path", COMPONENTS, ids=name_of)
def test_secret_parameters_never_travel_by_environment(path: Path) -> None:
    component = read(path)
    if path.parent.name == "actions":
        assert component["parameter_delivery"] == "stdin"
        assert component["parameter_format"] == "json"


def test_secrets_of_http_request_are_marked() -> None:
    properties = read(CORE / "actions" / "http_request.yaml")["parameters"]["properties"]
    assert {name for name, spec in properties.items() if spec.get("secret")} == {"password", "token", "api_key_value"}


@pytest.mark.parametrize("path", sorted(CORE.glob("*/*.yaml")), ids=name_of)
def test_examples_of_the_core_pack_meet_their_own_schema(path: Path) -> None:
    component = read(path)
    schema = component.get("parameters") or component.get("parameters_schema") or {}
    for example in component.get("examples", []):
        if "payload" in example:
            jsonschema.validate(example["payload"], component["payload_schema"])
        else:
            jsonschema.validate(example["parameters"], _without_any(schema))


def test_what_the_timers_fire_meets_the_payload_schemas() -> None:
    from timer_rules import TimerRules

    configs = {
        "intervaltimer": {"unit": "seconds", "interval": 1},
        "crontimer": {"expression": "* * * * *", "timezone": "Europe/Paris"},
        "datetimetimer": {"fire_at": "2026-05-01T10:00:00Z"},
    }
    for name, config in configs.items():
        rule = {"id": 1, "ref": "a.b", "trigger_ref": f"core.{name}", "config": config, "since": "2026-05-01T09:59:00Z"}
        trigger = read(CORE / "triggers" / f"{name}.yaml")
        jsonschema.validate(config, trigger["parameters_schema"])
        for seconds in (0, 3600):  # the second time many times are passed over
            for event in TimerRules(print).start([rule], 1777629600.0 + seconds):  # 2026-05-01T10:00:00Z
                jsonschema.validate(event["payload"], trigger["payload_schema"])
                assert event["payload"].keys() <= trigger["payload_schema"]["properties"].keys()


def _without_any(schema: dict) -> dict:
    """The schema in plain JSON Schema: our type ``any`` is no type at all."""
    properties = {
        name: {k: v for k, v in spec.items() if not (k == "type" and v == "any")}
        for name, spec in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


@pytest.mark.parametrize("script", ["core", "examples/hello_shell", "examples/hello_node"])
def test_the_tests_that_a_pack_brings_pass(script: str) -> None:
    if script.endswith("node") and not shutil.which("node"):
        pytest.skip("Node.js is not installed here")
    outcome = subprocess.run(
        ["bash", str(PACKS / script / "tests" / "run_tests.sh")],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        timeout=120,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "FAIL" not in outcome.stdout


def test_the_unit_tests_of_the_timers_pass() -> None:
    outcome = subprocess.run(
        [sys.executable, str(CORE / "tests" / "test_timers.py")], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stderr


def test_the_example_sensor_reports_a_new_file_to_its_rule(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    rule = {"id": 4, "ref": "a.b", "trigger_ref": "hello_python.file_appeared", "config": {"folder": str(tmp_path)}}
    sensor = PACKS / "examples" / "hello_python" / "sensors" / "folder_sensor.py"
    with subprocess.Popen(
        [sys.executable, str(sensor)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"ATTUNE_SENSOR_TRIGGERS": json.dumps([rule]), "ATTUNE_SENSOR_POLL_SECONDS": "0.1"},
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        assert "watching for 1 rules" in process.stderr.readline()
        staged = tmp_path.parent / f"{tmp_path.name}-new.txt"
        staged.write_text("hello")
        staged.rename(tmp_path / "new.txt")
        event = json.loads(process.stdout.readline())
        watchdog.cancel()
        process.kill()
    assert event == {
        "trigger": "hello_python.file_appeared",
        "payload": {"folder": str(tmp_path), "name": "new.txt", "size": 5},
        "trigger_instance_id": "rule_4",
    }
