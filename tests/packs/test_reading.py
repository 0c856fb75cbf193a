"""What the files of a pack may say, in both dialects, and how each fault is named: file, line, remedy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from apps.packs.definitions import read_action, read_sensor, read_trigger
from apps.packs.documents import Document, Findings
from apps.packs.folders import walk
from apps.packs.manifests import read as read_manifest
from attune.lib.yamlfiles import parse


def document(text: str, file: str = "file.yaml") -> Document:
    return Document(file, parse(text), Findings())


MANIFEST = "ref: demo\nlabel: Demo\ndescription: d\nversion: 1.0.0\n"
ACTION = "ref: demo.a\ndescription: d\nentry_point: a.sh\n"
SENSOR = "ref: demo.s\ndescription: d\nentry_point: s.py\ntrigger_types: [demo.t]\n"


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("name: Other\nref: demo\ndescription: d\nversion: 1.0.0", "label", "Other"),
        (
            MANIFEST + "config_schema: {a: {type: integer}}",
            "conf_schema",
            {"type": "object", "properties": {"a": {"type": "integer"}}},
        ),
        (MANIFEST + "metadata: {a: 1}", "meta", {"a": 1}),
        (MANIFEST + "keywords: [x, y]", "tags", ["x", "y"]),
        (MANIFEST + "dependencies: []", "dependencies", {}),
        (MANIFEST + "dependencies: {}", "dependencies", {}),
        (MANIFEST + "dependencies: [core, 'aws@>=1.0,<2']", "dependencies", {"packs": ["core", "aws@>=1.0,<2"]}),
        (
            MANIFEST + "dependencies: {python_version: '>=3.9', packs: [{ref: core, version: ^1}]}",
            "dependencies",
            {"python_version": ">=3.9", "packs": ["core@^1"]},
        ),
        (MANIFEST + "conf_schema: {}\nconfig: {}", "conf_schema", {}),
        (MANIFEST + "email: null", "email", ""),
    ],
)
def test_a_manifest_is_read_under_all_its_names(text: str, name: str, value: Any) -> None:
    given = document(text)
    spec = read_manifest(given)
    assert spec is not None
    assert spec.fields[name] == value
    assert not given.findings.faults
    assert not given.findings.warnings


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("label: x\ndescription: d\nversion: 1.0.0", 1, "`ref` is missing"),
        ("ref: Demo\nlabel: x\ndescription: d\nversion: 1.0.0", 1, "not a pack ref"),
        ("ref: demo.x\nlabel: x\ndescription: d\nversion: 1.0.0", 1, "not a pack ref"),
        ("ref: demo\nlabel: x\ndescription: d\nversion: 1.0", 4, "put quotes around it"),
        ("ref: demo\nlabel: x\ndescription: d\nversion: '1.0'", 4, "semantic version"),
        ("ref: demo\nlabel: x\ndescription: d", 1, "`version` is missing"),
        ("ref: demo\ndescription: d\nversion: 1.0.0", 1, "`label` is missing"),
        (MANIFEST + "enabled: Off", 5, "true or false, not 'Off'"),
        (MANIFEST + "tags: 5", 5, "list of texts"),
        (MANIFEST + "config: [1]", 5, "must be a mapping"),
        (MANIFEST + "conf_schema:\n  a:\n    type: text", 7, "write 'string'"),
        (MANIFEST + "dependencies: [Core!]", 5, "not a dependency"),
        (MANIFEST + "dependencies:\n  python_version: about three", 6, "version constraint"),
        (MANIFEST + "testing:\n  runners:\n    py: {entry_point: ../../x}", 7, "within the pack"),
        (MANIFEST + "author: " + "x" * 300, 5, "longer than 200"),
    ],
)
def test_a_fault_of_a_manifest_has_its_line(text: str, line: int, words: str) -> None:
    given = document(text)
    read_manifest(given)
    assert [(fault.line, words in fault.message) for fault in given.findings.faults] == [(line, True)]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (MANIFEST + "flavour: sweet", 5, "`flavour` is not a key"),
        (MANIFEST + "runtime_deps: [python3, curl]", 5, "'curl'"),
        (MANIFEST + "conf_schema: {a: {type: integer, default: x}}", 5, "default of `a`"),
        (MANIFEST + "conf_schema: {a: integer}\nconfig: {a: x}", 6, "'a' must be of type integer"),
        (MANIFEST + "name: Another", 5, "they differ"),
    ],
)
def test_what_is_merely_odd_is_a_warning(text: str, line: int, words: str) -> None:
    given = document(text)
    assert read_manifest(given) is not None
    assert not given.findings.faults
    assert [(warning.line, words in warning.message) for warning in given.findings.warnings] == [(line, True)]


def test_the_configuration_schema_may_stand_in_a_file_of_its_own() -> None:
    wanted = {"type": "object", "properties": {"a": {"type": "integer"}}}
    for text in ("a: integer", "conf_schema: {a: integer}", "type: object\nproperties: {a: {type: integer}}"):
        spec = read_manifest(document(MANIFEST), document(text, "config.schema.yaml"))
        assert spec is not None
        assert spec.fields["conf_schema"] == wanted


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        (ACTION, "runner_type", "shell"),
        (ACTION, "parameter_delivery", "env"),
        (ACTION, "parameter_format", "dotenv"),
        (ACTION, "output_format", "text"),
        (ACTION, "label", "A"),
        (ACTION + "parameter_delivery: stdin", "parameter_format", "json"),
        (ACTION + "parameter_delivery: file\nparameter_format: yaml", "parameter_format", "yaml"),
        (ACTION + "runner_type: python3", "runner_type", "python"),
        (ACTION + "runner_type: bash", "runner_type", "shell"),
        (ACTION + "runner_type: node", "runner_type", "nodejs"),
        (ACTION + "timeout_seconds: 5", "timeout", 5),
        (
            ACTION + "output: {ok: boolean}",
            "output_schema",
            {"type": "object", "properties": {"ok": {"type": "boolean"}}},
        ),
        (ACTION + "secrets: [demo.token]", "secrets", ["demo.token"]),
        (ACTION + "env_vars: [HTTPS_PROXY]", "env_vars", ["HTTPS_PROXY"]),
        (ACTION + "default_execution_permission_set_refs: [standard]", "permission_set_refs", ["standard"]),
        (ACTION + "parameters:", "parameters_schema", {}),
        ("name: a\ndescription: d\nentry_point: sub/a.sh", "entry_point", "sub/a.sh"),
        ("name: demo.a\ndescription: d\nentry_point: a.sh", "label", "A"),
    ],
)
def test_an_action_is_read_with_aliases_and_defaults(text: str, name: str, value: Any) -> None:
    given = document(text)
    spec = read_action(given, "demo")
    assert spec is not None
    assert (spec.ref, spec.enabled) == ("demo.a", None)
    assert spec.fields[name] == value
    assert not given.findings.faults
    assert not given.findings.warnings


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("description: d\nentry_point: a.sh", 1, "`ref` is missing; add `ref: demo.<name>`"),
        ("ref: other.a\nentry_point: a.sh", 1, "another pack"),
        ("ref: demo.a.b\nentry_point: a.sh", 1, "not a ref"),
        ("ref: demo.Ä\nentry_point: a.sh", 1, "not a ref"),
        ("name: b\nref: demo.a\nentry_point: a.sh", 1, "disagree"),
        ("ref: demo.a", 1, "`entry_point` is missing"),
        ("ref: demo.a\nentry_point: ../a.sh", 2, "leaves its folder"),
        ("ref: demo.a\nentry_point: /bin/sh", 2, "leaves its folder"),
        ("ref: demo.a\nentry_point: a\\b.sh", 2, "leaves its folder"),
        ("ref: demo.a\nentry_point: [a]", 2, "must be text"),
        (ACTION + "runner_type: cobol", 4, "choose one of shell, python"),
        (ACTION + "runtime_version: newest", 4, "not a constraint"),
        (ACTION + "parameter_delivery: argv", 4, "choose one of env, stdin, file"),
        (ACTION + "timeout: 0", 4, "at least 1"),
        (ACTION + "timeout: soon", 4, "whole number"),
        (ACTION + "timeout: true", 4, "whole number"),
        (ACTION + "max_retries: -1", 4, "at least 0"),
        (ACTION + "env_vars: [lower]", 4, "cannot be a caller's variable"),
        (ACTION + "env_vars: [ATTUNE_API_TOKEN]", 4, "cannot be a caller's variable"),
        (ACTION + "parameters:\n  a:\n    secret: true\n    type: string", 5, "parameter_delivery: stdin"),
        (
            ACTION + "parameters:\n  type: object\n  properties:\n    o:\n      properties:\n        p: {secret: true}",
            9,
            "'o.p' is secret",
        ),
        (ACTION + "parameters:\n  url: string\n  URL: string", 6, "both be delivered as ATTUNE_ACTION_URL"),
        (ACTION + "parameters:\n  a=b: string", 5, "cannot be delivered"),
        (ACTION + "parameters: [a]", 4, "mapping of names"),
        (ACTION + "workflow_file: ../x", 4, "leaves its folder"),
    ],
)
def test_a_fault_of_an_action_has_its_line(text: str, line: int, words: str) -> None:
    given = document(text)
    read_action(given, "demo")
    assert [(fault.line, words in fault.message) for fault in given.findings.faults] == [(line, True)]


def test_a_secret_may_be_delivered_by_stdin_or_file() -> None:
    for delivery in ("stdin", "file"):
        given = document(ACTION + f"parameter_delivery: {delivery}\nparameters: {{p: {{type: object, secret: true}}}}")
        assert read_action(given, "demo") is not None
        assert not given.findings.faults


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ACTION + "colour: red", "`colour` is not a key"),
        (ACTION + "default_execution_permission_set_refs: [privileged]", "'privileged'"),
        (ACTION + "parameters: {my-url: string}", "no name that a shell can read"),
        ("ref: demo.a\nworkflow_file: a.yaml", "workflow"),
    ],
)
def test_what_is_odd_about_an_action_is_a_warning(text: str, words: str) -> None:
    given = document(text)
    assert read_action(given, "demo") is not None
    assert not given.findings.faults
    assert any(words in warning.message for warning in given.findings.warnings)


def test_triggers_are_read_in_both_dialects() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    wrapped = "{type: object, properties: {n: {type: integer}}, required: [n]}"
    seeds = f"name: t\nref: demo.t\ntype: interval\nparameters_schema: {wrapped}"
    newer = "ref: demo.t\ntype: event\nparameters: {n: {type: integer, required: true}}"
    for text, kind in ((seeds, "interval"), (newer, "custom")):
        given = document(text)
        spec = read_trigger(given, "demo")
        assert spec is not None
        assert (spec.fields["parameters_schema"], spec.fields["type"]) == (schema, kind)
        assert not given.findings.faults


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("ref: demo.s\nentry_point: s.py", 1, "`trigger_types` is missing"),
        ("ref: demo.s\nentry_point: s.py\ntrigger_types: []", 3, "`trigger_types` is missing"),
        ("ref: demo.s\nentry_point: s.py\ntrigger_types:\n  - demo.t\n  - Bad Ref", 5, "not a trigger's ref"),
        (SENSOR + "poll_interval: -1", 5, "at least 0"),
    ],
)
def test_a_fault_of_a_sensor_has_its_line(text: str, line: int, words: str) -> None:
    given = document(text)
    read_sensor(given, "demo")
    assert [(fault.line, words in fault.message) for fault in given.findings.faults] == [(line, True)]


def test_a_sensor_may_name_its_one_trigger_by_itself() -> None:
    spec = read_sensor(document("ref: demo.s\nentry_point: s.py\ntrigger_type: demo.t\npoll_interval: 0.5"), "demo")
    assert spec is not None
    assert (spec.fields["trigger_refs"], spec.fields["runner_type"]) == (["demo.t"], "python")
    assert spec.fields["poll_interval"] == 0.5


# Folders -------------------------------------------------------------------------------------------------------------
def test_what_could_lead_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    root = tmp_path / "pack"
    (root / "actions").mkdir(parents=True)
    (root / "plain").write_text("x")
    (root / "actions" / "link.sh").symlink_to("/etc/passwd")
    (root / "folder").symlink_to("/etc")
    os.link(tmp_path / "outside", root / "hard")
    os.mkfifo(root / "pipe")
    (root / "new\nline").write_text("x")
    findings = Findings()
    assert list(walk(root, findings).files) == ["plain"]
    said = {fault.file: fault.message for fault in findings.faults}
    assert sorted(said) == [".", "actions/link.sh", "folder", "hard", "pipe"]
    assert "symbolic link" in said["folder"]
    assert "hard link" in said["hard"]


def test_what_tools_leave_behind_is_not_looked_at(tmp_path: Path) -> None:
    for name in (".git/HEAD", "node_modules/x/y.js", "lib/__pycache__/a.pyc", ".venv/bin/python", "lib/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".git" / "link").symlink_to("/etc")
    findings = Findings()
    assert list(walk(tmp_path, findings).files) == ["lib/a.py"]
    assert not findings.faults


def test_folders_without_end_are_refused(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    findings = Findings()
    walk(tmp_path, findings)
    assert "nested more than" in findings.faults[0].message
