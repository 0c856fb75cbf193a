"""Packs are installed aside and switched to whole; former versions stay; what would break is said before."""

from __future__ import annotations

import subprocess
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone

from apps.access.models import AuditEntry
from apps.executions.models import Execution
from apps.executions.services import request_execution
from apps.packs import services
from apps.packs.errors import InUse, NotEditable, NotFound, PackNotFound, SourceInvalid
from apps.packs.installing import running, store
from apps.packs.installing.progress import Progress
from apps.packs.models import Action, Installation, Pack, PackVersion
from apps.rules.models import Rule
from tests.conftest import until, write_pack

Status = Installation.Status


pytestmark = pytest.mark.usefixtures("versions_folder")


def greeter(folder: Path, version: str = "1.0.0", *, says: str = "hello", parameters: Any = None, **files: Any) -> Path:
    """A pack `greeter` with one action."""
    action = {
        "ref": "greeter.greet",
        "entry_point": "greet.sh",
        "parameter_delivery": "stdin",
        "parameters": parameters or {"name": {"type": "string"}},
    }
    content = {"actions/greet.yaml": action, "actions/greet.sh": f"echo {says}", **files}
    return write_pack(folder, "greeter", content, version=version)


def done(installation: Installation) -> Installation:
    assert installation.status == Status.COMPLETED, (installation.error, installation.log)
    return installation


# Install -------------------------------------------------------------------------------------------------------------
def test_a_folder_is_installed_as_a_version_that_its_edits_do_not_reach(install, run, tmp_path) -> None:
    source = greeter(tmp_path / "source")
    over = done(install(source))
    assert (over.pack_ref, over.pack_version, over.step, over.percent) == ("greeter", "1.0.0", "switch", 100)
    pack, version = Pack.objects.get(ref="greeter"), PackVersion.objects.get()
    assert pack.path == version.path and store.is_stored(pack.path) and version.left_at is None
    (source / "actions/greet.sh").write_text("echo changed")
    assert run(Action.objects.get(ref="greeter.greet")).stdout == "hello\n"
    assert (pack.folder / "actions/greet.sh").stat().st_mode & 0o222 == 0
    assert [entry.action for entry in AuditEntry.objects.filter(target="greeter")] == ["pack.install"]
    assert not list(store.leftovers())


def test_an_archive_and_a_git_repository_give_the_same_files(install, tmp_path) -> None:
    source = greeter(tmp_path / "source")
    with tarfile.open(tmp_path / "greeter.tar.gz", "w:gz") as archive:
        archive.add(source, "greeter-main")
    by_archive = done(install(tmp_path / "greeter.tar.gz"))
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *command], cwd=source, check=True)
    by_git = done(install(f"git+{source}@main"))
    assert by_archive.result["plan"]["digest"] == by_git.result["plan"]["digest"]
    assert by_git.result["unchanged"] and PackVersion.objects.count() == 1
    assert len(by_git.result["provenance"]["checksum"]) == 71


def test_the_same_again_changes_nothing(install, tmp_path) -> None:
    source = greeter(tmp_path / "source")
    done(install(source))
    before = list(Action.objects.values_list("pk", "updated"))
    assert done(install(source)).result["unchanged"]
    assert list(Action.objects.values_list("pk", "updated")) == before
    assert AuditEntry.objects.filter(action="pack.install").count() == 1


def test_a_pack_with_faults_is_refused_with_file_and_line_and_leaves_nothing(install, tmp_path) -> None:
    source = greeter(tmp_path / "source", **{"actions/bad.yaml": "ref: greeter.bad\nrunner_type: cobol\n"})
    over = install(source)
    assert (over.status, over.step, over.error_code) == (Status.FAILED, "analyse", "pack_invalid")
    assert "actions/bad.yaml:2" in over.error and over.result["details"]["faults"]
    assert not Pack.objects.filter(ref="greeter").exists() and not list(store.places()) and not list(store.leftovers())


@pytest.mark.parametrize("source", ["file:///etc", "git+file:///srv/x.git", "-x", "ext::sh -c id", "Not A Pack"])
def test_a_source_that_is_none_is_refused_before_anything_is_asked_for(source: str, db: None) -> None:
    with pytest.raises(SourceInvalid):
        services.request_installation(source, actor="test")
    assert not Installation.objects.exists()


def test_a_pack_that_is_not_the_one_asked_for_is_refused(install, tmp_path) -> None:
    over = install(greeter(tmp_path / "source"), pack_ref="slack")
    assert over.status == Status.FAILED and "slack was asked for, but what came calls itself greeter" in over.error
    assert not Pack.objects.filter(ref="greeter").exists()


def test_credentials_in_an_address_are_sealed_and_never_shown(db: None) -> None:
    asked = services.request_installation("git+https://ann:s3cret@127.0.0.1:1/x.git", actor="test")
    row = Installation.objects.get(pk=asked.pk)
    assert "s3cret" not in f"{row.source}{row.options}{row.log}" and row.sealed_source
    running.run(row.pk)
    row.refresh_from_db()
    assert row.status == Status.FAILED and "s3cret" not in f"{row.__dict__}" and not row.sealed_source


@pytest.mark.parametrize(
    ("step", "files", "manifest", "said"),
    [
        ("analyse", {"actions/bomb.yaml": "a: &a [x, x]\nb: &b [*a, *a]\n" + "c: [*b, *b]\n" * 500}, {}, "bomb.yaml"),
        ("build", {"requirements.txt": "no-such-package-anywhere==9.9.9\n"}, {}, "no-such-package-anywhere"),
        ("build", {"requirements.txt": "./broken\n", "broken/setup.py": "raise SystemExit('no')\n"}, {}, "build_wheel"),
        ("test", {"tests/run.sh": "echo 'not ok 1 - it greets'; exit 1"}, "tests/run.sh", "The tests of pack greeter"),
        ("test", {}, "tests/nowhere.sh", "nowhere.sh"),
    ],
)
def test_what_goes_wrong_at_any_step_leaves_the_old_version_in_use(install, run, tmp_path, step, files, manifest, said):
    done(install(greeter(tmp_path / "one")))
    newer = greeter(tmp_path / "two", "1.1.0", says="good day", **files)
    if manifest:
        testing = {
            "enabled": True,
            "runners": {"all": {"type": "script", "entry_point": manifest}},
            "on_failure": "block",
        }
        write_pack(newer, "greeter", {}, version="1.1.0", testing=testing)
    over = install(newer)
    assert (over.status, over.step) == (Status.FAILED, step) and said in over.error, (over.step, over.error)
    assert run(Action.objects.get(ref="greeter.greet")).stdout == "hello\n"
    assert Pack.objects.get(ref="greeter").version == "1.0.0" and not list(store.leftovers())


# Upgrade, preview, roll back -----------------------------------------------------------------------------------------
def test_an_upgrade_is_previewed_switched_to_and_rolled_back(install, run, tmp_path) -> None:
    done(install(greeter(tmp_path / "one")))
    action = Action.objects.get(ref="greeter.greet")
    newer = greeter(
        tmp_path / "two",
        "1.1.0",
        says="good day",
        parameters={"whom": {"type": "string", "required": True}},
        **{"actions/leave.yaml": {"ref": "greeter.leave", "entry_point": "greet.sh"}},
    )
    plan = done(install(newer, preview=True)).result["plan"]
    assert (plan["from_version"], plan["version"]) == ("1.0.0", "1.1.0")
    assert plan["components"]["actions"]["added"] == ["greeter.leave"]
    assert plan["parameters"] == [
        {"ref": "greeter.greet", "gone": ["name"], "added": ["whom"], "now_required": ["whom"]}
    ]
    assert Pack.objects.get(ref="greeter").version == "1.0.0" and not list(store.leftovers())
    done(install(newer))
    action = Action.objects.get(pk=action.pk)
    assert run(action, {"whom": "Ann"}).stdout == "good day\n"
    back = services.wait_for(services.request_rollback(Pack.objects.get(ref="greeter"), actor="test"))
    assert done(back).pack_version == "1.0.0"
    assert run(Action.objects.get(pk=action.pk)).stdout == "hello\n"
    assert not Action.objects.filter(ref="greeter.leave").exists()
    assert AuditEntry.objects.filter(target="greeter").first().action == "pack.rollback"
    again = services.wait_for(services.request_rollback(Pack.objects.get(ref="greeter"), actor="test"))
    assert done(again).pack_version == "1.1.0"


def test_an_upgrade_that_would_break_a_rule_is_refused_until_it_is_forced(install, make_rule, tmp_path) -> None:
    done(install(greeter(tmp_path / "one")))
    rule = make_rule(Action.objects.get(ref="greeter.greet"), action_params={"name": "{{ payload.who }}"})
    newer = greeter(tmp_path / "two", "2.0.0", parameters={"whom": {"type": "string"}})
    over = install(newer)
    assert over.status == Status.FAILED and over.error_code == "install_refused"
    assert over.result["details"]["breaks"][0] | {"reason": ""} == {"kind": "rule", "ref": rule.ref, "reason": ""}
    assert Pack.objects.get(ref="greeter").version == "1.0.0"
    done(install(newer, force=True))
    assert Pack.objects.get(ref="greeter").version == "2.0.0"


def test_an_execution_under_way_ends_in_the_version_that_it_began_in(install, flow, tmp_path) -> None:
    slow = "touch $ATTUNE_ARTIFACTS_DIR/on; until [ -e $ATTUNE_ARTIFACTS_DIR/off ]; do sleep 0.05; done; cat word"
    done(install(greeter(tmp_path / "one", says=f"; {slow}", word="old\n")))
    with flow():
        execution = request_execution(Action.objects.get(ref="greeter.greet"), parameters={})
        gate = until(lambda: next(configured.ATTUNE_ARTIFACTS_DIR.rglob("on"), None), "its start")
        done(install(greeter(tmp_path / "two", "1.1.0", says=f"; {slow}", word="new\n")))
        (gate.parent / "off").touch()
    assert Execution.objects.get(pk=execution.pk).stdout.strip() == "old"


def test_there_is_nothing_to_roll_back_to_after_the_first_install(install, tmp_path) -> None:
    done(install(greeter(tmp_path / "one")))
    with pytest.raises(NotFound, match="kept are: none"):
        services.request_rollback(Pack.objects.get(ref="greeter"), actor="test")


# Update, reload ------------------------------------------------------------------------------------------------------
def test_a_reload_picks_up_edits_of_the_folder_it_came_from(install, run, tmp_path) -> None:
    source = greeter(tmp_path / "source")
    done(install(source))
    (source / "actions/greet.sh").write_text("echo edited")
    asked = services.request_reload(Pack.objects.get(ref="greeter"), actor="test")
    done(services.wait_for(asked))
    assert run(Action.objects.get(ref="greeter.greet")).stdout == "edited\n"
    assert PackVersion.objects.filter(version="1.0.0").count() == 2


def test_an_update_asks_the_repository_again(install, tmp_path) -> None:
    source = greeter(tmp_path / "source")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], cwd=source, check=True)
    done(install(f"git+{source}@main"))
    greeter(source, "1.2.0")
    subprocess.run([*git, "commit", "-qam", "two"], cwd=source, check=True)
    done(services.wait_for(services.request_update(Pack.objects.get(ref="greeter"), actor="test")))
    assert Pack.objects.get(ref="greeter").version == "1.2.0"


def test_a_pack_of_a_form_comes_from_nowhere(db: None) -> None:
    pack = services.save_adhoc_pack(ref="home", actor="test")
    with pytest.raises(PackNotFound, match="has no files"):
        services.request_update(pack, actor="test")


# Needs ---------------------------------------------------------------------------------------------------------------
def test_a_pack_whose_needs_are_not_met_is_refused_unless_they_are_to_be_skipped(install, tmp_path) -> None:
    source = write_pack(tmp_path / "needy", "needy", {}, dependencies=["greeter@>=2.0"])
    over = install(source)
    assert over.status == Status.FAILED and "needy needs greeter >=2.0, which is not installed" in over.error
    done(install(source, skip_deps=True))
    Pack.objects.get(ref="needy").delete()
    done(install(greeter(tmp_path / "greeter", "2.1.0")))
    done(install(source))


def test_an_upgrade_below_what_another_pack_needs_is_refused(install, tmp_path) -> None:
    done(install(greeter(tmp_path / "two", "2.1.0")))
    done(install(write_pack(tmp_path / "needy", "needy", {}, dependencies=["greeter@>=2.0"])))
    over = install(greeter(tmp_path / "one", "1.0.0"))
    assert over.status == Status.FAILED and "pack needy: it needs greeter >=2.0" in over.error


def test_what_others_need_is_not_uninstalled_and_they_are_named(install, make_rule, tmp_path) -> None:
    done(install(greeter(tmp_path / "greeter")))
    done(install(write_pack(tmp_path / "needy", "needy", {}, dependencies=["greeter"])))
    rule = make_rule(Action.objects.get(ref="greeter.greet"))
    with pytest.raises(InUse) as refused:
        services.remove_pack(Pack.objects.get(ref="greeter"), actor="test")
    assert refused.value.details == {"packs": ["needy"], "rules": [rule.ref]}
    Rule.objects.all().delete()
    services.remove_pack(Pack.objects.get(ref="needy"), actor="test")
    services.remove_pack(Pack.objects.get(ref="greeter"), actor="test")
    assert PackVersion.objects.get(pack_ref="greeter").left_at and not Pack.objects.filter(ref="greeter").exists()


def test_a_system_pack_is_neither_replaced_nor_uninstalled(install, tmp_path) -> None:
    services.load_system_packs()
    core = Pack.objects.get(ref="core")
    with pytest.raises(NotEditable):
        services.remove_pack(core, actor="test")
    over = install(write_pack(tmp_path / "core", "core", {}))
    assert over.status == Status.FAILED and "ships with Attune" in over.error


# What dies on the way ------------------------------------------------------------------------------------------------
def test_an_installation_whose_worker_died_is_begun_anew_and_given_up_at_last(db: None, tmp_path, settings) -> None:
    asked = services.request_installation(str(greeter(tmp_path / "one")), actor="test")
    for attempt in (1, 2, 3):
        assert running.claim(asked.pk).attempt == attempt
        assert running.claim(asked.pk) is None
        Installation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    running.run(asked.pk)
    asked.refresh_from_db()
    assert asked.status == Status.FAILED and "died 3 times" in asked.error


def test_an_attempt_that_was_superseded_cannot_write(db: None, tmp_path) -> None:
    asked = services.request_installation(str(greeter(tmp_path / "one")), actor="test")
    old = Progress(running.claim(asked.pk))
    Installation.objects.update(attempt=2)
    assert not old.finish(Status.COMPLETED)
    assert Installation.objects.get().status == Status.RUNNING


# Tidying -------------------------------------------------------------------------------------------------------------
def test_the_last_versions_stay_and_older_ones_go_after_a_day(install, settings, tmp_path) -> None:
    settings.ATTUNE_FORMER_VERSIONS = 1
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        done(install(greeter(tmp_path / version, version)))
    services.tidy()
    assert PackVersion.objects.count() == 3  # what was left just now may still run
    PackVersion.objects.exclude(left_at=None).update(left_at=timezone.now() - timedelta(days=2))
    PackVersion.objects.filter(version="1.1.0").update(left_at=timezone.now() - timedelta(days=1, hours=1))
    services.tidy()
    assert set(PackVersion.objects.values_list("version", flat=True)) == {"1.1.0", "1.2.0"}
    assert len(list(store.places())) == 2
