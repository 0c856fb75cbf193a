"""The OpenAPI document: complete, without warnings, and the server keeps to it whatever is sent."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from django.core.management import call_command
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from apps.access import audit
from apps.access.models import AuditEntry
from apps.executions.models import Execution, Policy, Status, Worker
from apps.packs import keys
from apps.packs.models import Action, Installation, Pack, PackIndex, PackTest, Runtime, Sensor, Trigger
from apps.rules.models import Enforcement, Event, Rule
from tests.api.test_rights import routes

EXAMPLES = 6  # of each kind, for each operation


def test_the_document_is_made_without_a_warning(tmp_path: Any) -> None:
    file = tmp_path / "openapi.json"
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", "--file", str(file))
    assert '"openapi": "3.1' in file.read_text()


@pytest.mark.django_db
def test_every_route_is_described_and_no_two_operations_share_a_name(client: Any) -> None:
    document = client.get(reverse("openapi")).json()
    described = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    expected = {
        f"{route.method} /" + re.sub("<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", route.path).replace("{pk}", "{id}")
        for route in routes()
        if not route.is_stream and not route.path.startswith("api-spec")
    }
    assert expected == described
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


@pytest.fixture
def populated(server: str, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """One thing of each kind, and the path parameters that lead to it, by the first part of the path."""
    pack = Pack.objects.create(ref="mine", label="Mine", is_adhoc=True)
    action = Action.objects.create(pack=pack, ref="mine.act", entry_point="act.sh")
    trigger = Trigger.objects.create(pack=pack, ref="mine.happened", is_adhoc=True)
    Sensor.objects.create(pack=pack, ref="mine.watch", entry_point="w.py", trigger_refs=["mine.happened"])
    rule = Rule.objects.create(
        pack=pack,
        ref="mine.rule",
        trigger=trigger,
        trigger_ref=trigger.ref,
        action=action,
        action_ref=action.ref,
        active_since=timezone.now(),
    )
    event = Event.objects.create(trigger=trigger, trigger_ref=trigger.ref, processed_at=timezone.now())
    execution = Execution.objects.create(
        action=action, action_ref=action.ref, pack_ref="mine", status=Status.COMPLETED, result=[1]
    )
    enforcement = Enforcement.objects.create(event=event, rule=rule, rule_ref=rule.ref, verdict="matched")
    Runtime.objects.create(ref="core.shell", name="Shell")
    keys.write(value=1, actor="test", local_ref="key")
    over = Installation.objects.create(
        pack_ref="mine", status=Installation.Status.COMPLETED, finished_at=timezone.now()
    )
    tested = {"pack_ref": "mine", "pack_version": "1.0.0", "trigger_reason": "manual", "status": "passed"}
    PackTest.objects.create(pk=over.pk, **tested)  # the addresses of both are below /packs and end in an id
    (tmp_path / "index.json").write_text(json.dumps({"packs": [{"ref": "theirs", "label": "T", "version": "1.0.0"}]}))
    index = PackIndex.objects.create(url=str(tmp_path / "index.json"))
    policy = Policy.objects.create(ref="mine.calm", pack=pack, scope="action", scope_ref="mine.act")
    worker = Worker.objects.create(name="here:1:a", host="here", pid=1, heartbeat_at=timezone.now())
    entry = audit.record("test", "key.create", "system.key")
    AuditEntry.objects.filter(pk=entry.pk).update(request_id="mine")
    return {
        "audit-events": {"id": entry.pk, "request_id": "mine"},
        "packs": {"ref": "mine", "pack_ref": "mine", "id": over.pk},
        "pack-indices": {"ref": "theirs", "id": index.pk},
        "policies": {"ref": policy.ref},
        "workers": {"id": worker.pk},
        "actions": {"ref": "mine.act", "action_ref": "mine.act"},
        "triggers": {"ref": "mine.happened", "trigger_ref": "mine.happened"},
        "sensors": {"ref": "mine.watch"},
        "rules": {"ref": "mine.rule"},
        "events": {"id": event.pk},
        "executions": {"id": execution.pk, "stream": "stdout", "status": "completed"},
        "enforcements": {"id": enforcement.pk, "enforcement_id": enforcement.pk},
        "runtimes": {"ref": "core.shell"},
        "keys": {"ref": "system.key"},
    }


def prod(operation: Any, mode: GenerationMode, there: dict[str, Any], ask: Callable[[Any], None]) -> None:
    """Ask for a few made-up cases of an operation; for about half of them of a thing that is there."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode), real=st.booleans())
    def send(case: Any, real: bool) -> None:
        if real:
            parameters = case.path_parameters or {}
            case.path_parameters = {name: there.get(name, value) for name, value in parameters.items()}
        ask(case)

    # An operation that takes nothing cannot be asked wrongly.
    with suppress(Unsatisfiable):
        send()


@override_settings(ATTUNE_INSTALL_BEGIN=0.0)  # nobody works here on what is asked for
def test_nothing_that_is_sent_breaks_the_server(
    server: str, populated: dict[str, dict[str, Any]], token_of: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    document = httpx.get(f"{server}{reverse('openapi')}", trust_env=False).json()
    headers = {"Authorization": f"Bearer {token_of('admin')}"}
    broken: list[str] = []
    statuses: Counter[int] = Counter()

    def ask(case: Any) -> None:
        answer = case.call(base_url=server, headers=headers, timeout=30)
        statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            broken.append(f"{case.as_curl_command()}\n{answer.text}")

    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        there = populated.get("".join(operation.path.split("/")[3:4]), {})
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            prod(operation, mode, there, ask)
    assert not broken, f"{len(broken)} answers of 500, e.g.\n{broken[0]}\n{caplog.text[-3000:]}"
    assert statuses[200] > 50
    assert statuses[422] > 20
