"""The test beside the rule's form: the form's contents, saved or not, against an event or a pasted payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.access import reach
from apps.access.admin_show import ago, pretty
from apps.access.admin_spaces import from_text
from apps.access.principals import Principal, Role
from apps.access.reach import narrow
from apps.packs.admin.samples import sample_payload
from apps.packs.models import Action, Trigger
from apps.rules import services
from apps.rules.admin.forms import RuleForm
from apps.rules.models import Event, Rule
from attune.lib.errors import AttuneError

SHOWN_EVENTS = 20


def samples(trigger_ref: str, who: Principal) -> dict[str, Any]:
    """`{events: [{id, label, payload}], sample}` of a trigger; payloads as text to edit."""
    events = narrow(who, Event.objects.filter(trigger_ref=trigger_ref)).order_by("-id")
    events = events.only("id", "created", "source", "payload")
    trigger = narrow(who, Trigger.objects.filter(ref=trigger_ref)).first()
    return {
        "events": [
            {
                "id": e.pk,
                "label": f"{e.pk}, {ago(e.created)}, {e.source or 'unknown source'}",
                "payload": pretty(e.payload),
            }
            for e in events[:SHOWN_EVENTS]
        ],
        "sample": pretty(sample_payload(trigger)) if trigger else "{}",
    }


def outcome(form: RuleForm, sent: Mapping[str, Any], *, rule: Rule | None, who: Principal) -> dict[str, Any]:
    """`{result}` of the dry run, or `{problem}`, or `{waiting}` for what is still missing in the form."""
    form.is_valid()
    given, faults = form.cleaned_data, form.errors
    trigger = given.get("trigger_ref")
    if trigger is None:
        return {"waiting": "Choose a trigger, and this shows what the rule would do."}
    for name in ("criteria", "action_params"):
        if name in faults:
            return {"problem": f"{form.fields[name].label}: {' '.join(map(str, faults[name]))}"}
    action: Action | None = given.get("action_ref")
    try:
        payload, event = _payload(sent, who)
        reach.require(who, Role.EDITOR, (rule or action or trigger).pack)  # whose settings it reads
        result = services.dry_run(
            trigger=trigger,
            criteria=given.get("criteria"),
            payload=payload,
            event=event,
            action=action,
            action_params=given.get("action_params") or {},
            rule=rule,
        )
    except AttuneError as error:
        return {"problem": error.message}
    return {"result": result, "action": action, "unsaid": "" if action else "Choose an action to see its parameters."}


def _payload(sent: Mapping[str, Any], who: Principal) -> tuple[Any, Event | None]:
    """The payload that was typed; or the event that was picked, while its payload is as it was."""
    text = str(sent.get("test_payload") or "").strip()
    picked = str(sent.get("test_event") or "")
    events = narrow(who, Event.objects.filter(pk=int(picked) if picked.isdecimal() and len(picked) < 19 else 0))
    event = events.first()
    payload = from_text(text, what="The payload") if text else {}
    if event is not None and (not text or payload == event.payload):
        return None, event
    return payload, None
