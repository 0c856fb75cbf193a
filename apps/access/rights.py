"""Who may do what. A view declares what each method needs; what is not declared is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.access.principals import Principal, Role

__all__ = [
    "ANYBODY",
    "SIGNED_IN",
    "Needs",
    "Role",
    "RoleAllows",
    "ensure_groups",
    "in_packs",
    "open_to",
    "rights_of_role",
]


@dataclass(frozen=True)
class Needs:
    """What one method of a view asks of its caller.

    `role` is the least role of a person; with `in_packs` it may be one that they hold in some packs only, and the view
    asks `reach` about the pack of what is touched. `execution` and `sensor` let run tokens in as well; the view must
    then narrow what they reach to their own, since a run token has no role.
    """

    role: Role | None = None
    in_packs: bool = False
    execution: bool = False
    sensor: bool = False
    anybody: bool = False  # no token asked for
    signed_in: bool = False  # any person, whatever their role

    def met_by(self, principal: Principal | None) -> bool:
        if self.anybody:
            return True
        if principal is None:
            return False
        if principal.kind == "execution":
            return self.execution
        if principal.kind == "sensor":
            return self.sensor
        if self.signed_in or self.role is None:
            return self.signed_in
        return principal.has_role_somewhere(self.role) if self.in_packs else principal.has_role(self.role)


ANYBODY = Needs(anybody=True)
SIGNED_IN = Needs(signed_in=True)


def open_to(role: Role, *, execution: bool = False, sensor: bool = False, in_packs: bool = False) -> Needs:
    """People of this role or a higher one, and the run tokens named."""
    return Needs(role=role, execution=execution, sensor=sensor, in_packs=in_packs)


def in_packs(role: Role) -> Needs:
    """People who hold this role in the pack of what they touch."""
    return Needs(role=role, in_packs=True)


def needs_of(view: Any, method: str) -> Needs | None:
    """What a view declares for a method in `view.needs`: `{"GET": Role.VIEWER, "POST": open_to(Role.OPERATOR, …)}`."""
    declared = getattr(view, "needs", {}).get("GET" if method == "HEAD" else method)
    return Needs(role=declared) if isinstance(declared, Role) else declared


class RoleAllows(BasePermission):
    """The one permission class of the API."""

    message = "Your role does not allow this; ask an administrator for one that does."

    def has_permission(self, request: Request, view: Any) -> bool:
        method = request.method or "GET"
        if method == "OPTIONS" or getattr(view, method.lower(), None) is None:
            raise MethodNotAllowed(method)
        needs = needs_of(view, method)
        principal = request.auth if isinstance(request.auth, Principal) else None
        if principal and principal.kind in ("execution", "sensor"):
            self.message = f"The token of {principal.name} does not reach this."
        return needs is not None and needs.met_by(principal)


# Who wants to hear, with the one who did it, that somebody's rights changed. Rooms fill this in when they load.
WATCHERS: list[Callable[[Any], object]] = []


def changed(actor: Any) -> None:
    """Say that somebody's groups, limits or state changed; in the transaction that changes them."""
    for tell in WATCHERS:
        tell(actor)


def ensure_groups() -> None:
    """The Django group of each role; safe to call as often as one likes."""
    for role in Role:
        Group.objects.get_or_create(name=role.group)


_READABLE = (
    *("packs", "actions", "triggers", "sensors", "rules", "policies", "events", "enforcements"),
    *("executions", "runtimes", "workers", "keys"),
)
_RIGHTS: dict[Role, dict[str, tuple[str, ...]]] = {
    Role.VIEWER: dict.fromkeys(_READABLE, ("read",)),
    Role.OPERATOR: {
        "actions": ("execute", "update"),
        "executions": ("create", "cancel", "rerun"),
        "events": ("create", "replay"),
        "packs": ("enable",),
        "triggers": ("enable",),
        "sensors": ("enable", "restart"),
        "workers": ("drain",),
        "rules": ("enable",),
        "policies": ("enable",),
    },
    Role.EDITOR: {
        "packs": ("create", "update", "delete"),
        "triggers": ("create", "update", "delete"),
        "rules": ("create", "update", "delete", "test"),
        "policies": ("create", "update", "delete"),
    },
    Role.ADMIN: {
        "packs": ("install",),
        "keys": ("create", "update", "delete", "decrypt"),
        "users": ("read", "create", "update", "delete"),
        "audit_events": ("read",),
    },
}


def rights_of_role(role: Role | None) -> list[dict[str, Any]]:
    """What a role may do, as `[{"resource", "actions"}]`: for people and clients to read, not what decides."""
    held: dict[str, list[str]] = {}
    for each in Role:
        if role is not None and each <= role:
            for resource, actions in _RIGHTS[each].items():
                held.setdefault(resource, []).extend(actions)
    return [{"resource": resource, "actions": actions} for resource, actions in sorted(held.items())]
