"""Policies made by people: create, change, delete, each with its checks and its entry in the audit log."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from apps.access import audit, reach
from apps.access.principals import Role
from apps.executions.errors import PolicyInvalid, PolicyReadOnly, PolicyRefTaken
from apps.executions.models import Policy
from apps.executions.policies.checking import check
from apps.executions.policies.parts import NAMES
from apps.packs.models import Pack
from attune.lib.refs import COMPONENT_REF, pack_of

_RULING = ("scope", "scope_ref", *NAMES)
_SHOWN = (*_RULING, "label", "description", "enabled", "priority", "tags")


def create(*, ref: str, pack: Pack | str, actor: Any, scope: str, scope_ref: str = "", **more: Any) -> Policy:
    """Save a new policy. `more`: its parts (concurrency, rate_limit, retry), label, description, enabled …

    Raises PolicyInvalid naming every fault, PolicyRefTaken.
    """
    reach.require(actor, Role.EDITOR, pack if isinstance(pack, str) else pack.ref)
    where = pack if isinstance(pack, Pack) else Pack.objects.filter(ref=pack).first()
    if where is None:
        raise _invalid(ref, [_fault("pack_ref", f"there is no pack {pack!r}; make an ad-hoc pack first")])
    if not COMPONENT_REF.match(ref) or pack_of(ref) != where.ref:
        raise _invalid(ref, [_fault("ref", f"must be {where.ref}.<name>, of small letters, digits, - and _")])
    policy = Policy(ref=ref, pack=where, is_adhoc=True, scope=scope, scope_ref=scope_ref, **more)
    _require_scope(actor, Role.EDITOR, policy)
    _check(policy)
    try:
        with transaction.atomic():
            policy.save(force_insert=True)
    except IntegrityError:
        raise PolicyRefTaken(f"There is a policy {ref} already; choose another name.") from None
    audit.record(actor, "policy.create", policy.ref, after=_shown(policy))
    return policy


@transaction.atomic
def update(policy: Policy, *, actor: Any, **changes: Any) -> None:
    """Change a policy; one from a pack's files can only be switched. Raises PolicyInvalid, PolicyReadOnly."""
    if not policy.is_adhoc and set(changes) - {"enabled"}:
        raise PolicyReadOnly(
            f"Policy {policy.ref} comes with the files of pack {policy.pack.ref}; change it there, or switch it off."
        )
    role = Role.EDITOR if set(changes) - {"enabled"} else Role.OPERATOR
    reach.require(actor, role, policy)
    _require_scope(actor, role, policy)
    before = _shown(policy)
    for name, value in changes.items():
        setattr(policy, name, value)
    _require_scope(actor, role, policy)
    if set(changes) & set(_RULING) or (policy.enabled and not before["enabled"]):
        _check(policy)
    if _shown(policy) == before:
        return
    policy.revision += 1
    policy.save()
    audit.record(actor, "policy.update", policy.ref, before=before, after=_shown(policy))


@transaction.atomic
def delete(policy: Policy, *, actor: Any) -> None:
    """Delete a policy made by a person. Raises PolicyReadOnly."""
    reach.require(actor, Role.EDITOR, policy)
    _require_scope(actor, Role.EDITOR, policy)
    if not policy.is_adhoc:
        raise PolicyReadOnly(
            f"Policy {policy.ref} comes with the files of pack {policy.pack.ref}; disable it, or remove it there."
        )
    audit.record(actor, "policy.delete", policy.ref, before=_shown(policy))
    policy.delete()


def _require_scope(actor: Any, role: Role, policy: Policy) -> None:
    """A policy holds for what it governs, wherever it lives. Raises: OutOfReach."""
    if policy.scope == Policy.Scope.GLOBAL:
        reach.require_all(actor)
    elif policy.scope_ref:
        reach.require(actor, role, pack_of(policy.scope_ref))


def _check(policy: Policy) -> None:
    """Bring its scope and parts into the form in which they are kept, or say all that is wrong with them."""
    checked = check(policy.scope, policy.scope_ref, {name: getattr(policy, name) for name in NAMES})
    faults = checked.faults + [_fault(path, "is not a key that Attune reads") for path in checked.unknown]
    if faults:
        raise _invalid(policy.ref, faults)
    for name, value in checked.columns.items():
        setattr(policy, name, value)


def _invalid(ref: str, faults: list[dict[str, str]]) -> PolicyInvalid:
    listed = "; ".join(f"{f['path']}: {f['message']}" if f["path"] else f["message"] for f in faults)
    return PolicyInvalid(f"Policy {ref} cannot be saved: {listed}.", details={"faults": faults})


def _fault(path: str, message: str) -> dict[str, str]:
    return {"path": path, "message": message}


def _shown(policy: Policy) -> dict[str, Any]:
    return {name: getattr(policy, name) for name in _SHOWN}
