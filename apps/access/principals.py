"""Who is asking: a person, a running execution, a running sensor, or a command on the server."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from django.contrib.auth.models import AbstractUser


class Role(IntEnum):
    """A set of rights; each holds those below it. The name in small letters is the name of a Django group."""

    VIEWER = 1  # read, no secret values
    OPERATOR = 2  # run, cancel, rerun, enable, disable
    EDITOR = 3  # rules, ad-hoc packs and triggers, pack configuration
    ADMIN = 4  # install packs, keys, users

    @property
    def group(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Principal:
    """One who asks, as far as rights and the audit log are concerned.

    `role` is a person's; executions and sensors have none and may do what a view opens to them by name.
    """

    kind: Literal["user", "execution", "sensor", "command"]
    name: str  # as the audit log says it: `anna`, `execution 12`, `sensor core.timer_sensor`, `command`
    user: AbstractUser | None = None
    role: Role | None = None
    origin: str = ""  # the client's address
    token_id: int | None = None  # the ApiToken a person came in with, if any
    scope: str = ""  # the highest role that this token carries, where that was said
    execution_id: int | None = None
    attempt: int | None = None
    depth: int = 0  # of an execution: how many others led to it
    action_ref: str = ""
    sensor_id: int | None = None
    generation: int | None = None
    sensor_ref: str = ""
    pack_ref: str = ""
    trigger_refs: Collection[str] = ()  # a sensor's own; an execution may use all of its pack's
    key_refs: Callable[[], Collection[str]] = tuple  # keys a sensor's rules name in `key_ref` parameters, when asked
    count_event: Callable[[], object] = lambda: None  # tells a sensor's room that it sent an event through the API
    rights_of: AbstractUser | None = None  # the person whose right to manage packs an execution carries on

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def is_person(self) -> bool:
        return self.kind == "user"

    def has_role(self, role: Role) -> bool:
        return self.role is not None and self.role >= role

    def __str__(self) -> str:
        return self.name


def role_of(user: AbstractUser) -> Role | None:
    """The highest role of a person's groups; a superuser is an admin; None when no group gives one."""
    if not user.is_active:
        return None
    if user.is_superuser:
        return Role.ADMIN
    by_group = {role.group: role for role in Role}
    held = user.groups.filter(name__in=by_group).values_list("name", flat=True)
    return max((by_group[name] for name in held), default=None)


def principal_for(user: AbstractUser, *, origin: str = "", token_id: int | None = None, scope: str = "") -> Principal:
    """A person as principal, with the role they hold at this moment; a token's scope can only make it lower."""
    role = role_of(user)
    if scope and role is not None:
        role = min(role, Role[scope.upper()])
    return Principal("user", user.get_username(), user=user, role=role, origin=origin, token_id=token_id, scope=scope)


def principal_of(request: Any) -> Principal:
    """Who sent this API request.

    Raises: LookupError where nobody was let in, which a view that declares its needs never sees.
    """
    if not isinstance(request.auth, Principal):
        raise LookupError("This request was not authenticated; the view must declare what it needs.")
    return request.auth
