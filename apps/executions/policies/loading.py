"""Policies that come with a pack's files: read by the packs room's loader, kept as rows of this room."""

from __future__ import annotations

from typing import Any

from apps.executions.models import Policy
from apps.executions.policies.checking import check
from apps.executions.policies.parts import NAMES
from apps.packs.components import Changes
from apps.packs.documents import Document, Spec
from apps.packs.models import Pack
from attune.lib.refs import pack_of


def read(document: Document, pack_ref: str) -> Spec | None:
    """One file of a pack's `policies/` folder to a spec; faults are noted on the document."""
    identity = document.identity(pack_ref)
    scope, scope_ref = _scope(document)
    fields: dict[str, Any] = {"scope": scope, "scope_ref": scope_ref}
    fields |= {name: document.mapping(name) for name in NAMES}
    fields["priority"] = _priority(document)
    if document.sequence("quotas"):
        document.warn("`quotas` are not kept here; say it with concurrency or rate_limit", "quotas")
    document.warn_of_unknown()
    if identity is None:
        return None
    fields |= {"label": identity.label, "description": identity.description, "tags": identity.tags}
    return Spec(identity.ref, identity.enabled, fields, document)


def _scope(document: Document) -> tuple[str, str]:
    """What it governs: `scope: {type, action_ref | pack_ref}`, `scope: global`, or `action_ref` or `pack_ref` alone."""
    _, given = document.raw("scope")
    told = dict(given) if isinstance(given, dict) else {"type": given} if isinstance(given, str) else {}
    for path in sorted(set(told) - {"type", "action_ref", "action", "pack_ref", "pack"}):
        document.warn(f"`scope.{path}` is not a key that Attune reads; it is ignored", "scope", path)
    action_ref = told.get("action_ref") or told.get("action") or document.text("action_ref", "action")
    pack_ref = told.get("pack_ref") or told.get("pack") or document.text("pack_ref", "pack")
    kind = told.get("type") or ("action" if action_ref else "pack" if pack_ref else "")
    if kind not in Policy.Scope.values:
        document.fault("say what it governs: `action_ref: …`, `pack_ref: …`, or `scope: global`", "scope")
    if any(not isinstance(ref, str) for ref in (action_ref, pack_ref)):
        document.fault("`scope` names an action or a pack by its ref, a text", "scope")
        action_ref = pack_ref = ""
    return kind, {"action": action_ref, "pack": pack_ref}.get(kind, "")


def _priority(document: Document) -> int:
    _, value = document.raw("priority")
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or abs(value) > 1_000_000):
        document.fault("`priority` must be a whole number, of at most a million", "priority")
        return 0
    return value or 0


def register(pack: Pack, specs: list[Spec]) -> Changes:
    """Make the pack's own policies as its files say; those made in forms are not touched. In the load's transaction."""
    changes = Changes()
    known = Policy.objects.in_bulk({spec.ref for spec in specs}, field_name="ref")
    for spec in specs:
        policy = known.get(spec.ref)
        if policy is not None and policy.is_adhoc:
            spec.document.fault(f"a policy {spec.ref} was made in forms; delete or rename that one first", "ref")
            continue
        columns = _checked(pack, spec)
        if columns is None:
            continue
        wanted = spec.fields | columns | {"source": spec.document.file}
        if spec.enabled is not None:
            wanted["enabled"] = spec.enabled
        if policy is None:
            Policy.objects.create(ref=spec.ref, pack=pack, is_adhoc=False, **wanted)
            changes.added.append(spec.ref)
        elif _update(policy, wanted):
            changes.changed.append(spec.ref)
        else:
            changes.unchanged.append(spec.ref)
    gone = Policy.objects.filter(pack=pack, is_adhoc=False).exclude(ref__in=[spec.ref for spec in specs])
    changes.removed += gone.values_list("ref", flat=True)
    gone.delete()
    return changes


def _checked(pack: Pack, spec: Spec) -> dict[str, Any] | None:
    """The columns that say what it governs and how; None, with the faults noted, where it could not work."""
    scope, scope_ref = spec.fields["scope"], spec.fields["scope_ref"]
    if scope not in Policy.Scope.values:
        return None
    checked = check(scope, scope_ref, {name: spec.fields[name] for name in NAMES})
    for fault in checked.faults:
        named = f"`{fault['path']}` " if fault["path"] else ""
        place = fault["path"].split(".") if fault["path"] else []
        if place[:1] == ["scope"] and "scope" not in spec.document.data:
            place = place[1:]  # it was said without `scope` around it
        spec.document.fault(f"{named}{fault['message']}", *place)
    for path in checked.unknown:
        spec.document.warn(f"`{path}` is not a key that Attune reads; it is ignored", *path.split("."))
    if scope == Policy.Scope.GLOBAL or (scope_ref and pack_of(scope_ref) != pack.ref):
        spec.document.warn("it governs actions of other packs too", "scope")
    return None if checked.faults else checked.columns


def _update(policy: Policy, wanted: dict[str, Any]) -> bool:
    """Write what differs; False when nothing does."""
    changed = {name for name, value in wanted.items() if getattr(policy, name) != value}
    for name in changed:
        setattr(policy, name, wanted[name])
    if changed:
        policy.revision += 1
        policy.save()
    return bool(changed)
