"""Loading a folder: all or nothing, twice the same is once, and what is the operator's stays the operator's."""

from __future__ import annotations

import shutil
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.packs import components
from apps.packs.components import Changes
from apps.packs.documents import Document, Spec
from apps.packs.loading import load_pack
from apps.packs.models import Action, Pack, Runtime, Sensor, Trigger
from tests.packs.conftest import ACTION, SENSOR, TRIGGER, Write

pytestmark = pytest.mark.django_db
SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples" / "packs"


def rows() -> dict[str, tuple[int, datetime, str]]:
    """Every row there is, with its id, its last change and all its columns."""
    return {
        f"{model.__name__} {row.ref}": (row.pk, row.updated, str(sorted(vars(row).items(), key=lambda kv: kv[0])[1:]))
        for model in (Pack, Action, Trigger, Sensor)
        for row in model._default_manager.all()
    }


def test_everything_a_folder_describes_becomes_rows(whole: Path) -> None:
    report = load_pack(whole)
    assert report.ok
    assert not report.warnings
    assert sorted(report.added) == ["demo.bell", "demo.hello", "demo.rang"]
    action = Action.objects.get(ref="demo.hello")
    assert action.script == whole / "actions" / "hello.sh"
    assert action.script.is_file()
    assert action.runtime == Runtime.objects.get(ref="core.shell")
    assert action.source == "actions/hello.yaml"
    assert action.enabled
    assert Sensor.objects.get(ref="demo.bell").trigger_refs == ["demo.rang"]
    pack = Pack.objects.get()
    assert (pack.ref, pack.path, pack.is_adhoc, len(pack.digest)) == ("demo", str(whole), False, 64)
    assert pack.loaded_at is not None


def test_the_same_files_again_change_nothing(whole: Path) -> None:
    load_pack(whole)
    before = rows()
    with CaptureQueriesContext(connection) as queries:
        report = load_pack(whole)
    assert not report.changed_anything
    assert sorted(report.unchanged) == ["demo.bell", "demo.hello", "demo.rang"]
    assert rows() == before
    assert not [query for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_a_change_is_written_to_that_row_alone_and_ids_are_kept(whole: Path, write: Write) -> None:
    load_pack(whole)
    before = rows()
    write({"actions/hello.yaml": ACTION | {"timeout": 5}})
    report = load_pack(whole)
    assert (report.changed, report.added, report.removed) == (["demo.hello"], [], [])
    after = rows()
    assert {name: row[0] for name, row in after.items()} == {name: row[0] for name, row in before.items()}
    assert after["Trigger demo.rang"] == before["Trigger demo.rang"]
    assert after["Action demo.hello"][1] > before["Action demo.hello"][1]


def test_a_default_that_turns_from_one_into_true_is_a_change(write: Write) -> None:
    folder = write({"triggers/rang.yaml": TRIGGER | {"parameters": {"a": {"default": 1}}}})
    load_pack(folder)
    write({"triggers/rang.yaml": TRIGGER | {"parameters": {"a": {"default": True}}}})
    assert load_pack(folder).changed == ["demo.rang"]
    assert Trigger.objects.get().parameters_schema["properties"]["a"]["default"] is True


def test_what_is_gone_from_disk_is_removed(whole: Path, write: Write) -> None:
    load_pack(whole)
    write({"actions/hello.yaml": None, "sensors/bell.yaml": None})
    report = load_pack(whole)
    assert sorted(report.removed) == ["demo.bell", "demo.hello"]
    assert not Action.objects.exists()
    assert Trigger.objects.exists()


@pytest.mark.parametrize(
    ("files", "manifest", "file", "line", "words"),
    [
        ({"pack.yaml": "ref: [\n"}, {}, "pack.yaml", 2, "not YAML"),
        ({"pack.yaml": ""}, {}, "pack.yaml", None, "is empty"),
        ({"pack.yaml": "- a"}, {}, "pack.yaml", 1, "holds a list"),
        ({"actions/a.yaml": "a: 1\na: 2"}, {}, "actions/a.yaml", 2, "twice"),
        ({"actions/a.yaml": "just words"}, {}, "actions/a.yaml", 1, "holds a text"),
        ({"actions/a.yml": ACTION | {"ref": "other.hello"}}, {}, "actions/a.yml", 1, "another pack"),
        (
            {"actions/a.yaml": ACTION, "actions/b.yaml": ACTION},
            {},
            "actions/b.yaml",
            1,
            "described in actions/a.yaml too",
        ),
        ({"sensors/s.yaml": SENSOR}, {}, "sensors/s.yaml", 5, "no trigger 'demo.rang'"),
        ({"triggers/t.yaml": b"\xff\xfe"}, {}, "triggers/t.yaml", 1, "UTF-8"),
        ({"config.schema.yaml": "a: {type: integr}"}, {}, "config.schema.yaml", 1, "unknown type"),
    ],
)
def test_a_single_fault_changes_no_row(
    whole: Path, write: Write, files: dict[str, Any], manifest: dict[str, Any], file: str, line: int | None, words: str
) -> None:
    load_pack(whole)
    before = rows()
    shutil.rmtree(whole)
    write(files, **manifest)
    report = load_pack(whole)
    assert (not report.ok, report.pack) == (True, None)
    found = [fault for fault in report.faults if fault.file == file]
    assert found, report.faults
    assert found[0].line == line
    assert words in found[0].message
    assert rows() == before


def test_every_fault_of_every_file_is_reported_at_once(write: Write) -> None:
    folder = write(
        {
            "actions/one.yaml": {"ref": "demo.one", "runner_type": "cobol"},
            "actions/two.yaml": "a: [",
            "triggers/three.yaml": {"ref": "demo.three", "type": "hourly", "enabled": "maybe"},
        },
        version="one",
    )
    files = [fault.file for fault in load_pack(folder).faults]
    assert sorted(files) == [
        "actions/one.yaml",
        "actions/one.yaml",
        "actions/two.yaml",
        "pack.yaml",
        "triggers/three.yaml",
        "triggers/three.yaml",
    ]


def test_what_names_a_thing_that_is_nowhere_is_reported_with_the_faults_of_the_files(write: Write) -> None:
    folder = write(
        {
            "actions/torn.yaml": "a: [",
            "triggers/wrong.yaml": {"ref": "demo.wrong", "type": "hourly"},
            "sensors/bell.yaml": SENSOR | {"trigger_types": ["demo.wrong", "demo.nowhere"]},
            "rules/gone.yaml": {"ref": "demo.gone", "trigger_ref": "demo.wrong", "action_ref": "demo.missing"},
            "rules/torn.yaml": {"ref": "demo.torn", "trigger_ref": "demo.wrong", "action_ref": "demo.torn"},
        }
    )
    before = rows()
    report = load_pack(folder)
    assert sorted(fault.file for fault in report.faults) == [
        "actions/torn.yaml",
        "rules/gone.yaml",
        "sensors/bell.yaml",
        "triggers/wrong.yaml",
    ]
    assert not any("demo.torn" in fault.message for fault in report.faults)
    assert (report.added, rows()) == ([], before)


@pytest.mark.parametrize("what", ["missing", "file", "empty"])
def test_a_place_that_is_no_pack_is_said_to_be_none(tmp_path: Path, what: str) -> None:
    place = tmp_path / what
    if what == "file":
        place.write_text("x")
    elif what == "empty":
        place.mkdir()
    report = load_pack(place)
    assert len(report.faults) == 1
    assert "pack.yaml" in report.faults[0].message


def test_a_link_in_a_pack_refuses_it(whole: Path) -> None:
    (whole / "actions" / "hello.sh").unlink()
    (whole / "actions" / "hello.sh").symlink_to("/bin/sh")
    report = load_pack(whole)
    assert [fault.file for fault in report.faults] == ["actions/hello.sh"]
    assert not Pack.objects.exists()


def test_a_check_says_what_a_load_would_do_and_does_nothing(whole: Path, write: Write) -> None:
    report = load_pack(whole, check_only=True)
    assert sorted(report.added) == ["demo.bell", "demo.hello", "demo.rang"]
    assert report.pack is None
    assert not Pack.objects.exists()
    load_pack(whole)
    before = rows()
    write({"actions/hello.yaml": None})
    assert load_pack(whole, check_only=True).removed == ["demo.hello"]
    assert rows() == before


# What is the operator's ----------------------------------------------------------------------------------------------
def test_enabled_is_the_operators_choice_unless_the_file_gives_it(whole: Path, write: Write) -> None:
    load_pack(whole)
    Action.objects.update(enabled=False)
    Pack.objects.update(enabled=False)
    write({"actions/hello.yaml": ACTION | {"description": "changed"}}, description="changed")
    load_pack(whole)
    assert not Action.objects.get().enabled
    assert not Pack.objects.get().enabled
    write({"actions/hello.yaml": ACTION | {"enabled": True}}, enabled=True)
    load_pack(whole)
    assert Action.objects.get().enabled
    assert Pack.objects.get().enabled
    write({"actions/hello.yaml": ACTION | {"enabled": False}})
    load_pack(whole)
    assert not Action.objects.get().enabled


def test_a_component_that_says_enabled_false_begins_disabled(write: Write) -> None:
    load_pack(write({"actions/hello.yaml": ACTION | {"enabled": False}}, enabled=False))
    assert not Action.objects.get().enabled
    assert not Pack.objects.get().enabled


def test_the_operators_configuration_survives_and_wins(write: Write) -> None:
    schema = {"a": {"type": "integer", "default": 1}, "b": "integer", "c": "integer"}
    folder = write(conf_schema=schema, config={"b": 2, "c": 3})
    load_pack(folder)
    Pack.objects.update(config={"c": 30})
    write(conf_schema=schema | {"c": "string"}, config={"b": 20, "c": "3"})
    report = load_pack(folder)
    assert Pack.objects.get().effective_config == {"a": 1, "b": 20, "c": 30}
    assert ["the configuration in use does not meet" in str(warning) for warning in report.warnings] == [True]


def test_a_webhook_opened_on_a_trigger_survives_a_reload(whole: Path, write: Write) -> None:
    load_pack(whole)
    Trigger.objects.update(webhook_enabled=True, webhook_key="wh_1", webhook_config={"scheme": "github"})
    write({"triggers/rang.yaml": TRIGGER | {"description": "changed"}})
    load_pack(whole)
    trigger = Trigger.objects.get()
    assert (trigger.description, trigger.webhook_enabled, trigger.webhook_key) == ("changed", True, "wh_1")


def test_what_was_made_in_a_form_is_never_touched(whole: Path, write: Write) -> None:
    load_pack(whole)
    Trigger.objects.create(ref="demo.made.by.hand", pack=Pack.objects.get(), is_adhoc=True)
    load_pack(whole)
    assert Trigger.objects.filter(ref="demo.made.by.hand").exists()
    Trigger.objects.create(ref="demo.clash", pack=Pack.objects.get(), is_adhoc=True)
    write({"triggers/clash.yaml": TRIGGER | {"ref": "demo.clash"}})
    report = load_pack(whole)
    assert "made in a form" in report.faults[0].message


# Whose is it ---------------------------------------------------------------------------------------------------------
def test_a_pack_made_in_a_form_is_not_taken_over(whole: Path) -> None:
    Pack.objects.create(ref="demo", label="Mine", is_adhoc=True)
    report = load_pack(whole)
    assert "made in a form" in report.faults[0].message
    assert Pack.objects.get().label == "Mine"


def test_another_packs_component_is_not_taken_over(whole: Path) -> None:
    other = Pack.objects.create(ref="other", label="Other")
    Action.objects.create(ref="demo.hello", pack=other, entry_point="x.sh")
    report = load_pack(whole)
    assert [(fault.file, "belongs to the pack other" in fault.message) for fault in report.faults] == [
        ("actions/hello.yaml", True)
    ]
    assert not Pack.objects.filter(ref="demo").exists()


def test_only_what_ships_with_attune_may_be_a_system_pack(whole: Path, write: Write, settings: Any) -> None:
    write(system=True)
    report = load_pack(whole)
    assert "ship with Attune" in report.warnings[0].message
    assert not Pack.objects.get().system
    settings.ATTUNE_SYSTEM_PACKS_DIR = whole.parent
    assert load_pack(whole).ok
    assert Pack.objects.get().system


def test_a_system_pack_is_not_replaced_by_a_folder_elsewhere(write: Write, settings: Any, tmp_path: Path) -> None:
    settings.ATTUNE_SYSTEM_PACKS_DIR = tmp_path / "shipped"
    load_pack(write(folder="shipped/demo", system=True))
    report = load_pack(write(folder="elsewhere/demo"))
    assert "cannot be replaced" in report.faults[0].message
    assert Pack.objects.get().system


def test_a_sensor_may_name_another_packs_trigger(write: Write) -> None:
    load_pack(write({"triggers/rang.yaml": TRIGGER}))
    sensor = SENSOR | {"ref": "second.bell"}
    assert load_pack(write({"sensors/bell.yaml": sensor}, folder="second", ref="second")).ok


def test_needs_that_are_not_met_are_warnings(write: Write) -> None:
    load_pack(write(folder="base", ref="base", version="1.2.0"))
    wanted = {"attune_version": ">=99", "python_version": ">=3.8", "packs": ["base@>=2", "base@^1", "nowhere"]}
    report = load_pack(write(dependencies=wanted))
    assert report.ok
    said = [warning.message for warning in report.warnings]
    assert len(said) == 3
    assert "Attune >=99" in said[0]
    assert "base >=2, but 1.2.0" in said[1]
    assert "pack nowhere" in said[2]


def test_a_script_that_is_not_there_is_a_warning(write: Write) -> None:
    folder = write(
        {
            "actions/hello.yaml": ACTION,
            "actions/tool.yaml": ACTION | {"ref": "demo.tool", "runner_type": "native", "entry_point": "tool"},
            "actions/tool": "#!/bin/sh\n",
        }
    )
    report = load_pack(folder)
    assert report.ok
    said = [str(warning) for warning in report.warnings]
    assert said[0].startswith("actions/hello.yaml:4: entry point actions/hello.sh is not there")
    assert "chmod +x actions/tool" in said[1]


# Other kinds ---------------------------------------------------------------------------------------------------------
def test_kinds_nobody_registered_are_named_and_other_folders_are_not(whole: Path, write: Write) -> None:
    write({"workflows/w.yaml": "a: 1", "queues/p.yml": "[", "docs/x.yaml": "[", "tests/t.yaml": "[", "README.md": "x"})
    report = load_pack(whole)
    assert report.ok
    assert [str(finding) for finding in report.not_loaded] == [
        "queues/p.yml: not loaded: no such component kind here",
        "workflows/w.yaml: not loaded: no such component kind here",
    ]


@pytest.fixture
def poems(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A kind of another room, which refuses poems about rain and remembers what it was given."""
    seen: list[list[str]] = []

    def read(given: Document, pack_ref: str) -> Spec | None:
        identity = given.identity(pack_ref)
        subject = given.text("about", required=True)
        given.warn_of_unknown()
        return Spec(identity.ref, identity.enabled, {"about": subject}, given) if identity else None

    def register(pack: Pack, specs: list[Spec]) -> Changes:
        assert pack.pk
        assert Trigger.objects.filter(pack=pack).exists()
        seen.append([spec.ref for spec in specs])
        for spec in specs:
            if spec.fields["about"] == "rain":
                spec.document.fault("no rain, please", "about")
        return Changes(added=[spec.ref for spec in specs])

    monkeypatch.setattr(components, "_kinds", dict(components._kinds))
    components.register_kind("poems", read=read, register=register)
    return seen


def test_another_room_adds_a_kind_that_is_registered_in_the_same_transaction(
    whole: Path, write: Write, poems: list[list[str]]
) -> None:
    write({"poems/sun.yaml": {"ref": "demo.sun", "about": "sun"}})
    assert "demo.sun" in load_pack(whole).added
    write({"poems/sun.yaml": None})
    load_pack(whole)
    assert poems == [["demo.sun"], []]


def test_a_fault_found_while_registering_undoes_everything(whole: Path, write: Write, poems: list[list[str]]) -> None:
    write({"poems/rain.yaml": {"ref": "demo.rain", "about": "rain"}})
    report = load_pack(whole)
    assert [str(fault) for fault in report.faults] == ["poems/rain.yaml:2: no rain, please"]
    assert not Pack.objects.exists()


# Size, and others at the same time -----------------------------------------------------------------------------------
def test_three_hundred_actions_take_few_queries_and_change_in_few(write: Write) -> None:
    def files(timeout: int) -> dict[str, Any]:
        return {
            f"actions/a{n}.yaml": {"ref": f"demo.a{n}", "entry_point": "a.sh", "timeout": timeout} for n in range(300)
        }

    folder = write(files(5) | {"actions/a.sh": "true"})
    for changed in (False, True):
        if changed:
            write(files(6))
        with CaptureQueriesContext(connection) as queries:
            report = load_pack(folder)
        assert report.ok
        assert len(queries) < 60
    assert len(report.changed) == 300


def test_a_thousand_actions_reload_in_little_time(write: Write) -> None:
    action = ACTION | {"parameters": {f"p{n}": {"type": "string", "default": "x"} for n in range(6)}}
    folder = write(
        {f"actions/a{n}.yaml": action | {"ref": f"demo.a{n}"} for n in range(1000)} | {"actions/hello.sh": ""}
    )
    load_pack(folder)
    before = time.process_time()
    assert len(load_pack(folder).unchanged) == 1000
    assert time.process_time() - before < 10


@pytest.mark.django_db(transaction=True)
def test_two_loads_of_one_new_pack_at_the_same_time_both_succeed(whole: Path) -> None:
    reports: list[Any] = []

    def load() -> None:
        try:
            reports.append(load_pack(whole))
        finally:
            connection.close()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [report.ok for report in reports] == [True] * 4
    assert sorted(report.pack_change for report in reports) == ["added", "unchanged", "unchanged", "unchanged"]
    assert Action.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "components_there", "foreign"),
    [
        ("elasticsearch", 8, []),
        ("jira", 35, []),
        ("rabbitmq", 6, []),
        ("vault", 22, []),
        ("nodejs_example", 5, ["admin", "editor", "executor", "hello_runner", "viewer"]),
    ],
)
def test_public_packs_load_unchanged(name: str, components_there: int, foreign: list[str]) -> None:
    report = load_pack(SAMPLES / name)
    assert report.faults == []
    assert [finding.file for finding in report.not_loaded] == [f"permission_sets/{name}.yaml" for name in foreign]
    assert sum(len(report.changes[kind].added) for kind in ("actions", "triggers", "sensors")) == components_there
    assert [str(warning) for warning in report.warnings if "is not there" not in str(warning)] == []
    assert not load_pack(SAMPLES / name).changed_anything
