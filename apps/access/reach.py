"""What somebody reaches who is limited to some packs: the one place where rows are narrowed and a thing is judged.

Each room says, when it loads, which pack the rows of its tables belong to. API, admin, streams and services ask here.
What belongs to no pack is looked at by everybody with a role, and changed only by people without limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.contrib.auth.models import AbstractUser
from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from apps.access.audit import Actor
from apps.access.errors import OutOfReach
from apps.access.principals import Grants, Principal, Role, covers, principal_for, principal_of
from apps.access.rights import needs_of
from attune.lib.api import one_of
from attune.lib.refs import pack_of

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class By:
    """A column that says which pack a row belongs to: it holds a pack's ref, or (`component`) that of a part of one.

    `when` are values of other columns, without which this one says something else; `after` is what stands before it.
    """

    column: str
    component: bool = False
    after: str = ""
    when: Mapping[str, str] = field(default_factory=dict)

    def among(self, grants: Grants) -> Q:
        """The rows that belong to these packs."""
        found = Q(pk__in=())
        for pattern, _ in grants:
            if pattern.endswith("*"):
                found |= Q(**{f"{self.column}__startswith": f"{self.after}{pattern[:-1]}"})
            elif self.component:
                found |= Q(**{f"{self.column}__startswith": f"{self.after}{pattern}."})
            else:
                found |= Q(**{self.column: pattern})
        return found & Q(**self.when)

    def pack_of(self, row: Model) -> str:
        """The pack of a row; empty where this column does not say it."""
        if any(getattr(row, name) != value for name, value in self.when.items()):
            return ""
        value: Any = row
        for name in self.column.split("__"):
            value = getattr(value, name, None)
        text = str(value or "")
        if not text.startswith(self.after):
            return ""
        text = text.removeprefix(self.after)
        return pack_of(text) if self.component else text


@dataclass(frozen=True)
class Belongs:
    """How rows of one table belong to packs; a row that several columns give a pack belongs to each of them.

    `owner`: the column of the person who may look at a row wherever it belongs.
    """

    ways: tuple[By, ...]
    owner: str = ""


_belongs: dict[type[Model], Belongs] = {}


def register(model: type[Model], *ways: By, owner: str = "") -> None:
    """Say which packs the rows of a table belong to."""
    _belongs[model] = Belongs(ways, owner)


def is_by_pack(model: type[Model]) -> bool:
    """Whether rows of this table belong to packs."""
    return model in _belongs


def narrow(principal: Principal, rows: QuerySet[M], *, role: Role = Role.VIEWER) -> QuerySet[M]:
    """The rows of packs in which one holds this role: for somebody without limits all of them, without any cost."""
    if principal.grants is None:
        return rows
    belongs = _belongs.get(rows.model)
    if belongs is None:
        return rows
    found = Q(pk__in=())
    for way in belongs.ways:
        found |= way.among(tuple(grant for grant in principal.grants if grant[1] >= role))
    if belongs.owner and (owner := _owner(principal)):
        found |= Q(**{belongs.owner: owner})
    return rows.filter(found)


def _owner(principal: Principal) -> Any:
    """The number of the person who looks at what is theirs wherever it belongs; None where their token is for some
    packs alone."""
    return None if principal.user is None or principal.packs else principal.user.pk


def role_in(principal: Principal, pack_ref: str) -> Role | None:
    """The role that one holds in a pack."""
    if principal.grants is None:
        return principal.role
    return max((role for pattern, role in principal.grants if covers(pattern, pack_ref)), default=None)


def role_on(principal: Principal, row: Model) -> Role | None:
    """The role that one holds on a thing; None: one may not even see it."""
    belongs = _belongs.get(type(row))
    if principal.grants is None or belongs is None:
        return Role.VIEWER if principal.is_limited and principal.role else principal.role
    held = [role_in(principal, pack) for pack in _packs_of(belongs, row)]
    if belongs.owner and (owner := _owner(principal)) and getattr(row, belongs.owner) == owner:
        held.append(Role.VIEWER)
    return max((role for role in held if role is not None), default=None)


def _packs_of(belongs: Belongs, row: Model) -> Iterator[str]:
    return (pack for way in belongs.ways if (pack := way.pack_of(row)))


def may(principal: Principal, role: Role, thing: Model | type[Model] | str) -> bool:
    """Whether one holds this role on a thing, in a pack (by its ref), or anywhere at all (a table).

    Who is no person is not asked: what a run token reaches is for the view to say that lets it in.
    """
    if not principal.is_person:
        return True
    if isinstance(thing, str):
        held = role_in(principal, thing)
    elif isinstance(thing, type):
        return principal.has_role_somewhere(role) if is_by_pack(thing) else principal.has_role(role)
    else:
        held = role_on(principal, thing)
    return held is not None and held >= role


def require(actor: Actor, role: Role, thing: Model | str) -> None:
    """Services ask this of whoever changes something. Raises: OutOfReach.

    A plain name is a command or a part of Attune itself, which nothing limits.
    """
    principal = principal_for(actor) if isinstance(actor, AbstractUser) else actor
    if isinstance(principal, Principal) and principal.is_limited and not may(principal, role, thing):
        what = f"In pack {thing}" if isinstance(thing, str) else f"Of {thing}"
        raise OutOfReach(f"{what} you may not do this: it takes the role {role.group} there. Ask an administrator.")


def require_all(actor: Actor) -> None:
    """The same of what concerns the whole installation, such as bringing code in. Raises: OutOfReach."""
    principal = principal_for(actor) if isinstance(actor, AbstractUser) else actor
    if isinstance(principal, Principal) and principal.is_limited:
        raise OutOfReach("This concerns the whole installation, and you are limited to some packs of it.")


def find(request: Request, rows: QuerySet[M], what: str, **by: Any) -> M:
    """The row that a request is about, if its sender may do to it what the view's method does.

    Raises: Http404 where they may not even see it, OutOfReach.
    """
    principal = principal_of(request)
    found: M = one_of(narrow(principal, rows), what, **by)
    needs = needs_of(request.parser_context["view"], request.method or "GET")
    if needs is not None and needs.role is not None:
        require(principal, needs.role, found)
    return found


def limits(principal: Principal) -> list[dict[str, str]] | None:
    """The packs that somebody is limited to, for people and clients to read."""
    if principal.grants is None:
        return None
    return [{"pack": pack, "role": role.group} for pack, role in principal.grants]


def patterns_within(principal: Principal, packs: Iterable[str]) -> bool:
    """Whether one reaches all of these packs oneself."""
    grants = principal.grants
    return grants is None or all(any(covers(pattern, pack) for pattern, _ in grants) for pack in packs)
