"""Secrets: found by any of the refs packs use for them, read only by whoever is entitled, with a line in the log."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.access import audit
from apps.access.audit import Actor, Outcome
from apps.access.principals import Principal
from apps.packs import grants, sealing
from apps.packs.errors import KeyExists, KeyForbidden, KeyNotFound
from apps.packs.models import Key
from attune.lib.errors import InvalidInput
from attune.lib.refs import COMPONENT_REF, PACK_REF, pack_of

READ = "key.read"  # as the audit log calls it
LOCAL_REF = re.compile(r"[a-z0-9_-]{1,63}\Z")
_FREE_REF = re.compile(r"[A-Za-z0-9_.:@/-]{1,300}\Z")
_PACK_OWNED = (Key.Owner.PACK, Key.Owner.ACTION, Key.Owner.SENSOR)


# Finding -------------------------------------------------------------------------------------------------------------
def find(ref: str, *, pack_ref: str = "", sensor_ref: str = "") -> Key | None:
    """The key that somebody means by `ref`, or None; whether they may have it is for `may_read` to say.

    Tried in this order: the exact ref, a stored alias, `<p>.<l>` as `pack.<p>.<l>`, and for code of a pack its own:
    `pack.<pack>.<ref>`, `sensor.<sensor>.<ref>`.
    """
    return find_many([ref], pack_ref=pack_ref, sensor_ref=sensor_ref)[ref]


def find_many(refs: Iterable[str], *, pack_ref: str = "", sensor_ref: str = "") -> dict[str, Key | None]:
    """As `find`, for several refs with one query."""
    candidates = {ref: spellings(ref, pack_ref, sensor_ref) for ref in refs}
    wanted = {name for names in candidates.values() for name in names}
    if not wanted:
        return {}
    by_ref, by_alias = {}, {}
    for key in Key.objects.filter(Q(ref__in=wanted) | Q(alias__in=list(candidates))):
        by_ref[key.ref] = key
        by_alias[key.alias] = key
    found: dict[str, Key | None] = {}
    for ref, names in candidates.items():
        exact, *others = names
        tries = [by_ref.get(exact), by_alias.get(ref), *(by_ref.get(name) for name in others)]
        found[ref] = next((key for key in tries if key is not None), None)
    return found


def spellings(ref: str, pack_ref: str, sensor_ref: str) -> list[str]:
    """The canonical refs that somebody may mean by `ref`, in the order in which they are tried."""
    names = [ref]
    if ref.count(".") == 1:
        names.append(f"pack.{ref}")
    if pack_ref:
        names.append(f"pack.{pack_ref}.{ref}")
    if sensor_ref:
        names.append(f"sensor.{sensor_ref}.{ref}")
    return names


def may_read(key: Key, *, pack_ref: str, action_ref: str = "", sensor_ref: str = "", by_name: bool = False) -> bool:
    """Whether code of a pack is entitled to a key's value without a grant: its pack's own, its own, no other's.

    `by_name` is for a key that the action's file or a rule asks for by name, which opens the system's keys too, but
    for those that only grants open.
    """
    if key.owner_type == Key.Owner.PACK:
        return bool(pack_ref) and key.owner_ref == pack_ref
    if key.owner_type == Key.Owner.ACTION:
        return key.owner_ref == action_ref if action_ref else by_name and pack_of(key.owner_ref) == pack_ref
    if key.owner_type == Key.Owner.SENSOR:
        return key.owner_ref == sensor_ref if sensor_ref else by_name and pack_of(key.owner_ref) == pack_ref
    return by_name and key.owner_type == Key.Owner.SYSTEM and not key.granted_only


# Reading and writing -------------------------------------------------------------------------------------------------
def value_of(key: Key) -> Any:
    """The value, unlogged: for whoever has looked at rights and writes the log. Raises KeyUnreadable."""
    return sealing.unseal(key.sealed, about=sealing.key(key.ref))


def read(key: Key, *, reader: Actor) -> Any:
    """The value, for somebody whose right to it was checked before; audited. Raises KeyUnreadable.

    A program that reads in a loop leaves one line an hour; how often it read is counted on the key.
    """
    value = value_of(key)
    by_program = isinstance(reader, Principal) and not reader.is_person
    if not (by_program and audit.was_noted(reader, READ, key.ref, since=_since(key))):
        audit.record(reader, READ, key.ref)
    _note_read([key], reader)
    return value


def _since(key: Key) -> datetime:
    """An hour ago, or when the value was changed."""
    return max(timezone.now() - timedelta(hours=1), key.updated)


def values_for(
    names: Sequence[str], *, pack_ref: str, action_ref: str = "", reader: Actor = "", again: bool = False
) -> dict[str, Any]:
    """The values of the keys that an action's file (`secrets`) or a rule's template asks for by name; audited.

    `again`: this reader had them before, which is in the log already. Raises KeyNotFound or KeyForbidden naming every
    key it cannot hand over, and the remedy; KeyUnreadable.
    """
    if not names:
        return {}
    found = find_many(names, pack_ref=pack_ref)
    missing = [name for name in names if found[name] is None]
    if missing:
        raise KeyNotFound(
            f"There is no key {', '.join(missing)}, which pack {pack_ref} asks for; create it under Keys, "
            "owned by the pack, or of the system and granted to it.",
            details={"keys": missing},
        )
    keys = {name: key for name, key in found.items() if key is not None}
    reader = reader or f"pack {pack_ref}"
    _refuse_foreign(keys.values(), pack_ref=pack_ref, action_ref=action_ref, reader=reader)
    values = {name: value_of(key) for name, key in keys.items()}
    if not again:
        different = {key.pk: key for key in keys.values()}.values()
        audit.record_each(reader, READ, [key.ref for key in different])
        _note_read(different, reader)
    return values


def _refuse_foreign(keys: Iterable[Key], *, pack_ref: str, action_ref: str, reader: Actor) -> None:
    """Raises KeyForbidden, which is in the log, where code of this pack is entitled to one neither by itself nor by a
    grant."""
    who = {"pack_ref": pack_ref, "action_ref": action_ref}
    foreign = {key.pk: key for key in keys if not may_read(key, **who, by_name=True)}
    if not foreign:
        return
    granted = grants.granted(foreign, grantees=(pack_ref, action_ref))
    refused = [key for pk, key in foreign.items() if pk not in granted]
    if not refused:
        return
    audit.record_each(
        reader, READ, [key.ref for key in refused], after={"asked_by": action_ref or pack_ref}, outcome=Outcome.DENIED
    )
    asker = f"Action {action_ref}" if action_ref else f"Pack {pack_ref}"
    named = ", ".join(f"{key.ref} ({_whose(key)})" for key in refused)
    raise KeyForbidden(
        f"{asker} may not have the key {named}. An administrator can grant it to {pack_ref}, or to "
        f"{action_ref or 'one of its actions'} alone: on the key's page under Keys, or with "
        f"`attune key grant {refused[0].ref} {action_ref or pack_ref}`.",
        details={"keys": [key.ref for key in refused], "grantee": action_ref or pack_ref},
    )


def _whose(key: Key) -> str:
    if key.owner_type == Key.Owner.SYSTEM:
        return "a key of the system that only grants open"
    return f"a key of {key.get_owner_type_display().lower()} {key.owner_ref}"


def _note_read(keys: Iterable[Key], reader: Actor) -> None:
    Key.objects.filter(pk__in=[key.pk for key in keys]).update(
        last_read_at=timezone.now(), last_read_by=audit.actor_name(reader)[:200], reads=F("reads") + 1
    )


@transaction.atomic
def write(
    *,
    value: Any,
    actor: Actor,
    owner_type: str = Key.Owner.SYSTEM,
    owner_ref: str = "",
    owner_user: Any = None,
    local_ref: str = "",
    ref: str = "",
    name: str = "",
    encrypted: bool = True,
    granted_only: bool | None = None,
) -> Key:
    """Make a key. With `local_ref` its ref is `<owner>.<local_ref>`; `ref` alone is kept as an alias.

    One of the system is for those it is granted to, unless `granted_only` is False: then for all that name it.

    Raises InvalidInput for a name or owner that cannot be, KeyExists when there is a key of that name.
    """
    prefix = _owner_prefix(owner_type, owner_ref, owner_user)
    alias: str | None = None
    if local_ref:
        if not LOCAL_REF.match(local_ref):
            raise InvalidInput(
                f"{local_ref!r} is not a key's name: use 1 to 63 of lower-case letters, digits, _ and -."
            )
    elif _FREE_REF.match(ref or ""):
        local_ref = _local_from(ref, prefix)
        alias = ref if ref != f"{prefix}.{local_ref}" else None
    else:
        raise InvalidInput(f"{ref!r} is not a key's ref: use up to 300 letters, digits and any of _ . : @ / -")
    canonical = f"{prefix}.{local_ref}"
    if alias and _taken(alias):
        raise KeyExists(f"There is a key {alias} already; update it, or choose another name.")
    if alias and _taken(canonical):  # two spellings that shorten to one: tell them apart
        local_ref = f"{local_ref[:54]}-{hashlib.sha256(alias.encode()).hexdigest()[:8]}"
        canonical = f"{prefix}.{local_ref}"
    if _taken(canonical):
        raise KeyExists(f"There is a key {canonical} already; update it, or choose another name.")
    is_open = owner_type != Key.Owner.SYSTEM or granted_only is False
    key = Key.objects.create(
        ref=canonical,
        local_ref=local_ref,
        alias=alias,
        name=(name or ref or local_ref)[:200],
        owner_type=owner_type,
        owner_ref=owner_user.get_username() if owner_user else owner_ref,
        owner_user=owner_user,
        encrypted=encrypted,
        granted_only=not is_open,
        sealed=sealing.seal(value, about=sealing.key(canonical)),
    )
    told = {"name": key.name, "owner": f"{owner_type} {key.owner_ref}".strip()}
    audit.record(actor, "key.create", key.ref, after=told | ({} if is_open else {"granted_only": True}))
    return key


_KEEP = object()


@transaction.atomic
def update(
    key: Key,
    *,
    actor: Actor,
    value: Any = _KEEP,
    name: str | None = None,
    encrypted: bool | None = None,
    granted_only: bool | None = None,
) -> Key:
    """Change what is given; the log says that the value changed, never what it is."""
    before: dict[str, Any] = {"name": key.name, "granted_only": key.granted_only}
    if value is not _KEEP:
        key.sealed = sealing.seal(value, about=sealing.key(key.ref))
    key.name = (name or key.name)[:200]
    key.encrypted = key.encrypted if encrypted is None else encrypted
    key.granted_only = key.granted_only if granted_only is None else granted_only
    key.save(update_fields=["sealed", "name", "encrypted", "granted_only", "updated"])
    after = {"name": key.name, "granted_only": key.granted_only} | ({"value": "changed"} if value is not _KEEP else {})
    audit.record(actor, "key.update", key.ref, before=before, after=after)
    return key


@transaction.atomic
def delete(key: Key, *, actor: Actor) -> None:
    """Remove a key for good."""
    audit.record(actor, "key.delete", key.ref, before={"name": key.name})
    key.delete()


def _taken(name: str) -> bool:
    return Key.objects.filter(Q(ref=name) | Q(alias=name)).exists()


def _owner_prefix(owner_type: str, owner_ref: str, owner_user: AbstractBaseUser | None) -> str:
    if owner_type == Key.Owner.SYSTEM:
        return "system"
    if owner_type == Key.Owner.IDENTITY:
        if owner_user is None:
            raise InvalidInput("A key of an identity needs the user it belongs to.")
        return f"identity.{owner_user.get_username()}"
    if owner_type not in _PACK_OWNED:
        raise InvalidInput(f"{owner_type!r} cannot own a key; choose one of {', '.join(Key.Owner.values)}.")
    pattern = PACK_REF if owner_type == Key.Owner.PACK else COMPONENT_REF
    if not pattern.match(owner_ref):
        raise InvalidInput(f"A key of the owner type {owner_type} needs the {owner_type}'s ref, not {owner_ref!r}.")
    return f"{owner_type}.{owner_ref}"


def _local_from(ref: str, prefix: str) -> str:
    """A local ref for a free-form one: its part after the owner, with what is not allowed made `_`."""
    local = ref.removeprefix(f"{prefix}.").removeprefix(f"{prefix.partition('.')[2]}.")
    return re.sub(r"[^a-z0-9_-]", "_", local.lower())[:63] or "key"
