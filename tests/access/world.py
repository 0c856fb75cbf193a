"""Packs with one of everything, to look at as somebody who is limited to some of them. All that is of a pack says its
name."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from apps.access import audit, tokens
from apps.access.models import ApiToken, PackAccess
from apps.access.principals import Role
from apps.executions.models import Execution, Status
from apps.executions.services import create_policy
from apps.packs import keys
from apps.packs.models import Action, Installation, Pack, PackTest, PackVersion, Sensor, Trigger
from apps.rules.models import Enforcement, Event, Rule
from apps.sensors.models import SensorProcess, WebhookDelivery


@dataclass
class Things:
    """One of everything of a pack."""

    ref: str
    rows: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return self.rows[name]


def make_things(ref: str) -> Things:
    """A pack made by hand, and one of everything in it."""
    pack = Pack.objects.create(ref=ref, label=ref.title(), is_adhoc=True, version="1.0.0")
    action = Action.objects.create(pack=pack, ref=f"{ref}.act", entry_point="act.sh", label=f"Act of {ref}")
    trigger = Trigger.objects.create(
        pack=pack, ref=f"{ref}.happened", is_adhoc=True, webhook_enabled=True, webhook_key=f"wh_{ref}"
    )
    sensor = Sensor.objects.create(pack=pack, ref=f"{ref}.watch", entry_point="watch.py", trigger_refs=[trigger.ref])
    process = SensorProcess.objects.create(sensor=sensor, state=SensorProcess.State.RUNNING, host=ref, generation=1)
    SensorProcess.objects.filter(pk=process.pk).update(lease_expires_at=timezone.now() + timedelta(hours=1))
    rule = Rule.objects.create(
        pack=pack,
        ref=f"{ref}.rule",
        trigger=trigger,
        trigger_ref=trigger.ref,
        action=action,
        action_ref=action.ref,
        active_since=timezone.now(),
    )
    audit.record("test", "rule.update", rule.ref, before={"revision": 0}, after={"revision": 1, "label": ref})
    event = Event.objects.create(
        trigger=trigger, trigger_ref=trigger.ref, payload={"of": ref}, trace_tag=f"trace-{ref}"
    )
    execution = Execution.objects.create(
        action=action, action_ref=action.ref, pack_ref=ref, status=Status.REQUESTED, error=f"error of {ref}"
    )
    enforcement = Enforcement.objects.create(
        rule=rule,
        rule_ref=rule.ref,
        trigger_ref=trigger.ref,
        event=event,
        verdict="matched",
        action_ref=action.ref,
        execution=execution,
    )
    rows = {
        "pack": pack,
        "action": action,
        "trigger": trigger,
        "sensor": sensor,
        "process": process,
        "rule": rule,
        "event": event,
        "execution": execution,
        "enforcement": enforcement,
        "policy": create_policy(
            ref=f"{ref}.policy",
            pack=pack,
            scope="action",
            scope_ref=action.ref,
            concurrency={"limit": 1},
            actor="test",
        ),
        "key": keys.write(value=f"secret of {ref}", actor="test", owner_type="pack", owner_ref=ref, local_ref="own"),
        "installation": Installation.objects.create(pack_ref=ref, source=f"/{ref}", log=f"log of {ref}"),
        "test": PackTest.objects.create(pack_ref=ref, pack_version="1.0.0", status="passed"),
        "version": PackVersion.objects.create(pack_ref=ref, version="1.0.0", digest="sha256:0", path=f"/{ref}"),
        "delivery": WebhookDelivery.objects.create(trigger_ref=trigger.ref, status=202, reason=f"for {ref}"),
    }
    return Things(ref, rows)


def limited(name: str, staff: bool = True, **packs: Role) -> Any:
    """A person who is limited to these packs, with a role in each."""
    person = get_user_model().objects.create(username=name, is_staff=staff)
    for pack, role in packs.items():
        PackAccess.objects.create(user=person, pack=pack, role=role.group)
    return person


def token_for(person: Any, **more: Any) -> str:
    return tokens.issue(person, ApiToken.Kind.PERSONAL, **more)[0]
