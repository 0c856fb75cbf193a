"""Who is asking: a person, a running execution, a running sensor, or a command on the server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal

from django.contrib.auth.models import AbstractUser
from django.db.models import CharField, Value

# Packs by their ref or by the beginning of one with a `*`, each with the role that somebody holds there.
Grants = tuple[tuple[str, "Role"], ...]


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

    `role` is a person's; executions and sensors have none and may do what a view opens to them by name. Of somebody
    who is limited to some packs it is the highest that they hold in any: what counts is the role in the pack, which
    `reach` knows.
    """

    kind: Literal["user", "execution", "sensor", "command"]
    name: str  # as the audit log says it: `anna`, `execution 12`, `sensor core.timer_sensor`, `command`
    user: AbstractUser | None = None
    role: Role | None = None
    grants: Grants | None = None  # the packs that a person is limited to; None: they are not
    origin: str = ""  # the client's address
    token_id: int | None = None  # the ApiToken a person came in with, if any
    personal_token: int | None = None  # the personal one: that, or the one their session was opened with
    scope: str = ""  # the highest role that this token carries, where that was said
    packs: tuple[str, ...] = ()  # the only ones that this token reaches, where that was said
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
    rights_of: Principal | None = None  # the person whose right to manage packs an execution carries on

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def is_person(self) -> bool:
        return self.kind == "user"

    @property
    def is_limited(self) -> bool:
        return self.grants is not None

    def has_role(self, role: Role) -> bool:
        """Whether one holds this role for the whole installation: who is limited to packs may only look at it."""
        return self.role is not None and (Role.VIEWER if self.is_limited else self.role) >= role

    def has_role_somewhere(self, role: Role) -> bool:
        """Whether one holds this role, if only in some packs."""
        return self.role is not None and self.role >= role

    def __str__(self) -> str:
        return self.name


def role_of(user: AbstractUser) -> Role | None:
    """The highest role of a person; None when they hold none."""
    return standing_of(user)[0]


def standing_of(user: AbstractUser) -> tuple[Role | None, Grants | None]:
    """The highest role of a person, and the packs that they or a group of theirs are limited to, if they are.

    A superuser is an admin without limits. One statement, whether or not anybody is limited.
    """
    if not user.is_active:
        return None, None
    if user.is_superuser:
        return Role.ADMIN, None
    by_group = {role.group: role for role in Role}
    of_groups = user.groups.values_list("name", "pack_access__pack", "pack_access__role")
    nobody = Value("", output_field=CharField())
    own = user.pack_access.values_list(nobody, "pack", "role")  # type: ignore[attr-defined]
    rows = list(of_groups.order_by().union(own.order_by(), all=True))
    role = max((by_group[name] for name, _, _ in rows if name in by_group), default=None)
    limits = [(pack, by_group.get(held) or role) for _, pack, held in rows if pack]
    if not limits:
        return role, None
    grants = tuple(sorted((pack, held) for pack, held in limits if held is not None))
    return max((held for _, held in grants), default=None), grants


def principal_for(
    user: AbstractUser,
    *,
    origin: str = "",
    token_id: int | None = None,
    personal_token: int | None = None,
    scope: str = "",
    packs: Iterable[str] = (),
) -> Principal:
    """A person as principal, with what they may do at this moment; a token's scope and packs can only make it less."""
    role, grants = standing_of(user)
    packs = tuple(packs)
    if packs and role is not None:
        grants = _within(grants if grants is not None else (("*", role),), packs)
        role = max((held for _, held in grants), default=None)
    if scope and role is not None:
        most = Role[scope.upper()]
        role, grants = min(role, most), grants and tuple((pack, min(held, most)) for pack, held in grants)
    return Principal(
        "user",
        user.get_username(),
        user=user,
        role=role,
        grants=grants,
        origin=origin,
        token_id=token_id,
        personal_token=personal_token,
        scope=scope,
        packs=packs,
    )


def covers(pattern: str, pack_ref: str) -> bool:
    """Whether a pack, or each that another pattern stands for, is among those of the pattern."""
    return pack_ref.startswith(pattern[:-1]) if pattern.endswith("*") else pack_ref == pattern


def _within(grants: Grants, packs: Iterable[str]) -> Grants:
    """The grants as far as they lie within these packs."""
    found = set()
    for pack in packs:
        for pattern, role in grants:
            if covers(pattern, pack):
                found.add((pack, role))
            elif covers(pack, pattern):
                found.add((pattern, role))
    return tuple(sorted(found))


def principal_of(request: Any) -> Principal:
    """Who sent this API request.

    Raises: LookupError where nobody was let in, which a view that declares its needs never sees.
    """
    if not isinstance(request.auth, Principal):
        raise LookupError("This request was not authenticated; the view must declare what it needs.")
    return request.auth
