"""Rules that come with a pack's files: read by the packs room's loader, kept as rows of this room."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.packs.components import Changes
from apps.packs.documents import Document, Spec
from apps.packs.models import Action, Pack, Trigger
from apps.rules.checking import faults_of
from apps.rules.controls import CONTROLS
from apps.rules.models import Rule


def read(document: Document, pack_ref: str) -> Spec | None:
    """One file of a pack's `rules/` folder to a spec; faults are noted on the document."""
    identity = document.identity(pack_ref)
    stated = document.text("pack_ref")
    if stated and stated != pack_ref:
        document.fault(f"`pack_ref` is {stated!r}, but the file is in pack {pack_ref}; leave it out", "pack_ref")
    fields: dict[str, Any] = {
        "trigger_ref": document.text("trigger_ref", "trigger", required=True),
        "trigger_params": document.mapping("trigger_params"),
        "criteria": document.raw("criteria", "conditions")[1] or {},
        "action_ref": document.text("action_ref", "action", required=True),
        "action_params": document.mapping("action_params"),
        "throttle": document.mapping("throttle"),
        "debounce": document.mapping("debounce"),
        "dedup": document.mapping("dedup"),
        "permission_set_refs": document.sequence("permission_set_refs"),
        "trace_tag_template": document.text("trace_tag_template"),
    }
    document.warn_of_unknown()
    if identity is None:
        return None
    fields |= {"label": identity.label, "description": identity.description, "tags": identity.tags}
    return Spec(identity.ref, identity.enabled, fields, document)


def register(pack: Pack, specs: list[Spec]) -> Changes:
    """Make the pack's own rules as its files say; those made in forms are not touched. In the load's transaction."""
    changes = Changes()
    triggers = Trigger.objects.in_bulk({spec.fields["trigger_ref"] for spec in specs}, field_name="ref")
    actions = Action.objects.in_bulk({spec.fields["action_ref"] for spec in specs}, field_name="ref")
    known = Rule.objects.in_bulk({spec.ref for spec in specs}, field_name="ref")
    for spec in specs:
        links = {
            "trigger": triggers.get(spec.fields["trigger_ref"]),
            "action": actions.get(spec.fields["action_ref"]),
        }
        rule = known.get(spec.ref)
        if not _sound(spec, links, rule):
            continue
        wanted = spec.fields | links | {"source": spec.document.file}
        if spec.enabled is not None:
            wanted["enabled"] = spec.enabled
        if rule is None:
            Rule.objects.create(ref=spec.ref, pack=pack, is_adhoc=False, active_since=timezone.now(), **wanted)
            changes.added.append(spec.ref)
        elif _update(rule, wanted):
            changes.changed.append(spec.ref)
        else:
            changes.unchanged.append(spec.ref)
    gone = Rule.objects.filter(pack=pack, is_adhoc=False).exclude(ref__in=[spec.ref for spec in specs])
    changes.removed += gone.values_list("ref", flat=True)
    gone.delete()
    relink(pack)
    return changes


def relink(pack: Pack) -> None:
    """Tie rules to this pack's triggers and actions again where a component went and came back."""
    for rule in Rule.objects.filter(trigger=None, trigger_ref__startswith=f"{pack.ref}."):
        Rule.objects.filter(pk=rule.pk).update(trigger=Trigger.objects.filter(ref=rule.trigger_ref).first())
    for rule in Rule.objects.filter(action=None, action_ref__startswith=f"{pack.ref}."):
        Rule.objects.filter(pk=rule.pk).update(action=Action.objects.filter(ref=rule.action_ref).first())


def _sound(spec: Spec, links: dict[str, Any], rule: Rule | None) -> bool:
    if rule is not None and rule.is_adhoc:
        spec.document.fault(f"a rule {spec.ref} was made in forms; delete or rename that one first", "ref")
        return False
    checked = ("trigger_ref", "trigger_params", "criteria", "action_ref", "action_params", *CONTROLS)
    faults = faults_of(**{name: spec.fields[name] for name in checked}, **links)
    for fault in faults:
        path = [int(part) if part.isdigit() else part for part in fault["path"].split(".")]
        spec.document.fault(f"`{fault['path']}`: {fault['message']}", *path)
    return not faults


def _update(rule: Rule, wanted: dict[str, Any]) -> bool:
    """Write what differs; False when nothing does."""
    changed = {name for name, value in wanted.items() if getattr(rule, name) != value}
    if not changed:
        return False
    wakes = "enabled" in changed and wanted["enabled"]
    for name in changed:
        setattr(rule, name, wanted[name])
    if wakes or changed & {"trigger_ref", "trigger_params"}:
        rule.active_since = timezone.now()
    rule.revision += 1
    rule.save()
    return True
