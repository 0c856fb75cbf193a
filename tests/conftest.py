"""Fixtures for every room: packs made on the spot, real workers, and a way to wait for the end of it all."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dramatiq
import psycopg
import pytest
import yaml
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection as database

from apps.access import rights
from apps.executions.models import LIVE, WAITING, Execution
from apps.executions.services import request_execution, wake_due
from apps.executions.tasks import run_execution
from apps.packs import runtimes
from apps.packs.loading import load_pack
from apps.packs.models import Action, Installation, Pack, Trigger
from apps.rules.models import Event, Rule
from apps.rules.services import create_rule, sweep
from apps.rules.tasks import process_event
from attune import condition, figures
from attune.broker import Workers
from attune.lib import queues, tallies
from attune.lib.programs import launcher
from tests.live import Live

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 40.0  # seconds until a wait is given up; generous, since machines may be busy


def until(condition: Callable[[], Any], what: Any = "it", *, patience: float = PATIENCE) -> Any:
    """Wait for something to become true, and give it back; `what` may be a function that tells how things stand."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"Waited {patience:g} s in vain for {what() if callable(what) else what}.")


@pytest.fixture(autouse=True)
def _probes_at_rest() -> Iterator[None]:
    """What a test saw of the installation is forgotten, and so are its counts; the probes' connections close.

    And no lease of a worker that it signed on runs out amid the programs of a later test.
    """
    yield
    launcher.lease(None)
    condition.rest()
    figures.probe.rest()
    tallies.take()


@pytest.fixture(scope="session")
def _team() -> Iterator[Workers]:
    """Workers that wait until a test asks for them: in others they would work on rows that a test takes away."""
    team = Workers({"executions": 6, "events": 2, "packs": 1})
    _hold(team, True)
    team.start()
    yield team
    team.stop(timeout=5)


def _hold(team: Workers, holding: bool) -> None:
    for queue in ("executions", "events", "packs"):
        team.broker.hold(queue, holding)


@pytest.fixture
def workers(transactional_db: None, _team: Workers) -> Iterator[Workers]:
    """Real workers listening to the real broker; the test's rows are really committed.

    What the test left under way comes to its end before the next one, and only then may messages be dropped: a row
    whose message is gone waits for ever.
    """
    assert not database.in_atomic_block, "A test before left a transaction open: no worker would see what is written."
    _drop_messages()
    _hold(_team, False)
    yield _team
    settle(patience=60)
    _hold(_team, True)
    _drop_messages()


def _drop_messages() -> None:
    """Those of rows that are no more."""
    for queue in ("executions", "events", "packs"):
        dramatiq.get_broker().flush(queue)


@pytest.fixture
def flow(workers: Workers) -> Callable[..., Any]:
    """`with flow(): …` returns once everything that was started inside has come to its end."""

    @contextmanager
    def run(*, patience: float = PATIENCE) -> Iterator[None]:
        yield
        settle(patience=patience)

    return run


def settle(*, patience: float = PATIENCE) -> None:
    """Wait for the end of all events and executions; a message that was lost is made good as it is in production."""
    sweep_at = time.monotonic() + settings.ATTUNE_SWEEP

    def all_is_over() -> bool:
        nonlocal sweep_at
        if time.monotonic() > sweep_at:
            wake_due()
            sweep()
            sweep_at = time.monotonic() + settings.ATTUNE_SWEEP
        return (
            not Event.objects.filter(processed_at=None).exists()
            and not Execution.objects.filter(status__in=LIVE | WAITING, run_after=None).exists()
            and not Installation.objects.filter(finished_at=None).exists()
        )

    until(all_is_over, _how_things_stand, patience=patience)


def _how_things_stand() -> str:
    events = list(Event.objects.filter(processed_at=None).values_list("id", "trigger_ref"))
    executions = list(Execution.objects.values_list("id", "status", "action_ref", "worker"))
    depths = {actor.queue_name: queues.depth(actor) for actor in (process_event, run_execution)}
    return f"the end of everything; undecided events {events}, executions {executions}, messages waiting {depths}"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """An installation of its own in this run's mode, nothing of it started; what is will be killed."""
    if not settings.SERVER_MODE:
        installation = Live(tmp_path)
        yield installation
        installation.kill()
        return
    name, address = f"attune_live_{uuid.uuid4().hex[:8]}", os.environ["DATABASE_URL"]
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    database = f"{address.rpartition('/')[0]}/{name}"
    installation = Live(tmp_path, DATABASE_URL=database, ATTUNE_BROKER_NAMESPACE=name)
    yield installation
    installation.kill()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def known_runtimes(db: None) -> None:
    runtimes.detect()


@pytest.fixture
def make_pack(tmp_path: Path, known_runtimes: None) -> Callable[..., Pack]:
    """`make_pack("demo", {"actions/hi.sh": "echo hi", "actions/hi.yaml": {...}})`: files on disk, loaded for real."""

    def make(ref: str = "demo", files: dict[str, Any] | None = None, **manifest: Any) -> Pack:
        folder = write_pack(tmp_path / ref, ref, files or {}, **manifest)
        report = load_pack(folder)
        assert report.ok, str(report)
        return Pack.objects.get(ref=ref)

    return make


def write_pack(folder: Path, ref: str, files: dict[str, Any], **manifest: Any) -> Path:
    """A pack folder: texts are written as they are, anything else as YAML."""
    given = {"ref": ref, "label": ref.title(), "description": "A test's pack", "version": "1.0.0"} | manifest
    for name, content in ({"pack.yaml": given} | files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return folder


def one_of_each(pack: str) -> dict[str, Any]:
    """The files of a pack with an action, a trigger and a sensor of it."""
    return {
        "actions/act.yaml": {"ref": f"{pack}.act", "entry_point": "act.sh"},
        "actions/act.sh": "true",
        "triggers/came.yaml": {"ref": f"{pack}.came"},
        "sensors/watch.yaml": {
            "ref": f"{pack}.watch",
            "runner_type": "shell",
            "entry_point": "watch.sh",
            "trigger_types": [f"{pack}.came"],
        },
        "sensors/watch.sh": "sleep 100",
    }


@pytest.fixture
def make_action(make_pack: Callable[..., Pack]) -> Callable[..., Action]:
    """An action of one script: `make_action("echo hi", parameters={...}, output_format="json")`."""

    def make(script: str = "cat", *, name: str = "act", pack: str = "demo", **fields: Any) -> Action:
        runner = fields.get("runner_type", "shell")
        entry = f"{name}.{ {'python': 'py', 'nodejs': 'js'}.get(runner, 'sh') }"
        fields = {"parameter_delivery": "stdin", "parameter_format": "json"} | fields
        definition = {"ref": f"{pack}.{name}", "entry_point": entry, **fields}
        made = make_pack(pack, {f"actions/{name}.yaml": definition, f"actions/{entry}": script})
        return Action.objects.select_related("pack", "runtime").get(ref=f"{made.ref}.{name}")

    return make


@pytest.fixture
def run(flow: Callable[..., Any]) -> Callable[..., Execution]:
    """Ask for an execution and wait for its end."""

    def run_now(action: Action, parameters: dict[str, Any] | None = None, **more: Any) -> Execution:
        with flow():
            execution = request_execution(action, parameters=parameters or {}, **more)
        execution.refresh_from_db()
        return execution

    return run_now


@pytest.fixture
def make_trigger(db: None) -> Callable[..., Trigger]:
    """A trigger in an ad-hoc pack."""

    def make(ref: str = "adhoc.happened", **fields: Any) -> Trigger:
        pack_ref = ref.partition(".")[0]
        pack, _ = Pack.objects.get_or_create(
            ref=pack_ref, defaults={"label": pack_ref, "is_adhoc": True, "description": "made by hand"}
        )
        return Trigger.objects.create(pack=pack, ref=ref, is_adhoc=True, **fields)

    return make


@pytest.fixture
def make_rule(make_trigger: Callable[..., Trigger]) -> Callable[..., Rule]:
    """A rule from a trigger (made if not given) to an action."""

    def make(action: Action, *, trigger: Trigger | None = None, name: str = "rule", **fields: Any) -> Rule:
        trigger = trigger or Trigger.objects.filter(ref="adhoc.happened").first() or make_trigger()
        return create_rule(
            ref=f"{trigger.pack.ref}.{name}",
            pack=trigger.pack,
            trigger_ref=trigger.ref,
            action_ref=action.ref,
            actor="test",
            **fields,
        )

    return make


@pytest.fixture
def people(db: None) -> Callable[[str], Any]:
    """A user with the role of that name."""

    def person(role: str) -> Any:
        from django.contrib.auth.models import Group

        rights.ensure_groups()
        user, made = get_user_model().objects.get_or_create(username=role, defaults={"is_staff": True})
        if made:
            user.set_password(f"{role}-Password-1")
            user.save()
            user.groups.add(Group.objects.get(name=role))
        return user

    return person


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell `make test` what was skipped, so that nothing passes by not running, and what failed."""
    stats = terminalreporter.stats
    skipped = [f"{report.nodeid}: {report.longrepr[2]}" for report in stats.get("skipped", [])]
    failed = {report.nodeid: None for outcome in ("failed", "error") for report in stats.get(outcome, [])}
    for variable, lines in (("ATTUNE_TEST_SKIPPED", skipped), ("ATTUNE_TEST_FAILED", list(failed))):
        if (path := os.environ.get(variable)) and lines:
            Path(path).write_text("\n".join(lines) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """A cheap password hash: the real one is slow on purpose, and a test run logs in a thousand times."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a shell's background; all that we start would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
