"""Secrets: sealed at rest, found by any of the refs packs use for them, read only with a line in the audit log."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.access import audit
from apps.access.audit import Actor
from apps.packs.errors import KeyExists, KeyForbidden, KeyNotFound, KeyUnreadable
from apps.packs.models import Installation, Key, PackIndex, Trigger
from attune.lib.errors import InvalidInput
from attune.lib.refs import COMPONENT_REF, PACK_REF, pack_of

LOCAL_REF = re.compile(r"[a-z0-9_-]{1,63}\Z")
_FREE_REF = re.compile(r"[A-Za-z0-9_.:@/-]{1,300}\Z")
# Every column of this room that holds what `seal` made.
_SEALED = (
    (Key, "sealed"),
    (Trigger, "webhook_secret"),
    (PackIndex, "sealed_headers"),
    (Installation, "sealed_source"),
)
_PACK_OWNED = (Key.Owner.PACK, Key.Owner.ACTION, Key.Owner.SENSOR)


# Sealing -------------------------------------------------------------------------------------------------------------
def seal(value: Any) -> str:
    """Any JSON value, encrypted with the present key (Fernet: AES-128-CBC and HMAC-SHA-256)."""
    return _cipher().encrypt(json.dumps(value, ensure_ascii=False).encode()).decode()


def unseal(text: str) -> Any:
    """The value that was sealed, with the present key or a former one. Raises KeyUnreadable if none fits."""
    try:
        return json.loads(_cipher().decrypt(text.encode()))
    except (InvalidToken, UnicodeEncodeError):
        raise KeyUnreadable(
            "A stored secret cannot be decrypted with the present ATTUNE_ENCRYPTION_KEY. "
            "Put the key it was stored with into ATTUNE_ENCRYPTION_KEY_FALLBACKS."
        ) from None


@transaction.atomic
def reseal_all() -> int:
    """Encrypt every stored secret anew with the present key, so that the former ones can go. Returns how many."""
    count = 0
    for model, column in _SEALED:
        rows = model.objects.select_for_update().exclude(**{column: ""})  # type: ignore[attr-defined]
        for pk, sealed in rows.order_by("pk").values_list("pk", column):
            count += model.objects.filter(pk=pk).update(**{column: seal(unseal(sealed))})  # type: ignore[attr-defined]
    return count


def _cipher() -> MultiFernet:
    return _cipher_of((settings.ATTUNE_ENCRYPTION_KEY, *settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _cipher_of(secrets: tuple[str, ...]) -> MultiFernet:
    """The operator's keys may be any text; Fernet wants 32 bytes, which HKDF (RFC 5869) makes of it."""

    def fernet(secret: str) -> Fernet:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"attune keys").derive(secret.encode())
        return Fernet(base64.urlsafe_b64encode(derived))

    return MultiFernet([fernet(secret) for secret in secrets])


# Finding -------------------------------------------------------------------------------------------------------------
def find(ref: str, *, pack_ref: str = "", sensor_ref: str = "") -> Key | None:
    """The key that somebody means by `ref`, or None; whether they may have it is for `may_read` to say.

    Tried in this order: the exact ref, a stored alias, `<p>.<l>` as `pack.<p>.<l>`, and for code of a pack its own:
    `pack.<pack>.<ref>`, `sensor.<sensor>.<ref>`.
    """
    return find_many([ref], pack_ref=pack_ref, sensor_ref=sensor_ref)[ref]


def find_many(refs: Iterable[str], *, pack_ref: str = "", sensor_ref: str = "") -> dict[str, Key | None]:
    """As `find`, for several refs with one query."""
    candidates = {ref: _candidates(ref, pack_ref, sensor_ref) for ref in refs}
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


def _candidates(ref: str, pack_ref: str, sensor_ref: str) -> list[str]:
    names = [ref]
    if ref.count(".") == 1:
        names.append(f"pack.{ref}")
    if pack_ref:
        names.append(f"pack.{pack_ref}.{ref}")
    if sensor_ref:
        names.append(f"sensor.{sensor_ref}.{ref}")
    return names


def may_read(key: Key, *, pack_ref: str, action_ref: str = "", sensor_ref: str = "", by_name: bool = False) -> bool:
    """Whether code of a pack is entitled to a key's value: its pack's own, its own, no other component's.

    `by_name` is for a key that the action's file or a rule asks for by name, which opens the system's keys too.
    """
    if key.owner_type == Key.Owner.PACK:
        return bool(pack_ref) and key.owner_ref == pack_ref
    if key.owner_type == Key.Owner.ACTION:
        return key.owner_ref == action_ref if action_ref else by_name and pack_of(key.owner_ref) == pack_ref
    if key.owner_type == Key.Owner.SENSOR:
        return key.owner_ref == sensor_ref if sensor_ref else by_name and pack_of(key.owner_ref) == pack_ref
    return by_name and key.owner_type == Key.Owner.SYSTEM


# Reading and writing -------------------------------------------------------------------------------------------------
def read(key: Key, *, reader: Actor) -> Any:
    """The value, for somebody whose right to it was checked before; audited. Raises KeyUnreadable."""
    value = unseal(key.sealed)
    audit.record(reader, "key.read", key.ref)
    Key.objects.filter(pk=key.pk).update(last_read_at=timezone.now())
    return value


def values_for(names: Sequence[str], *, pack_ref: str, action_ref: str = "", reader: Actor = "") -> dict[str, Any]:
    """The values of the keys that an action's file (`secrets`) or a rule's template asks for by name; audited.

    Raises KeyNotFound or KeyForbidden naming every key it cannot hand over, KeyUnreadable.
    """
    if not names:
        return {}
    found = find_many(names, pack_ref=pack_ref)
    missing = [name for name in names if found[name] is None]
    if missing:
        raise KeyNotFound(
            f"There is no key {', '.join(missing)}, which pack {pack_ref} asks for; create it under Keys, "
            f"owned by the pack or by the system.",
            details={"keys": missing},
        )
    keys = {name: key for name, key in found.items() if key is not None}
    refused = [
        name for name, key in keys.items() if not may_read(key, pack_ref=pack_ref, action_ref=action_ref, by_name=True)
    ]
    if refused:
        raise KeyForbidden(
            f"Pack {pack_ref} may not read {', '.join(refused)}; give it a key of its own or of the system.",
            details={"keys": refused},
        )
    values = {name: unseal(key.sealed) for name, key in keys.items()}
    audit.record(reader or f"pack {pack_ref}", "key.read", ", ".join(sorted({key.ref for key in keys.values()})))
    Key.objects.filter(pk__in=[key.pk for key in keys.values()]).update(last_read_at=timezone.now())
    return values


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
) -> Key:
    """Make a key. With `local_ref` its ref is `<owner>.<local_ref>`; `ref` alone is kept as an alias.

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
    key = Key.objects.create(
        ref=canonical,
        local_ref=local_ref,
        alias=alias,
        name=(name or ref or local_ref)[:200],
        owner_type=owner_type,
        owner_ref=owner_user.get_username() if owner_user else owner_ref,
        owner_user=owner_user,
        encrypted=encrypted,
        sealed=seal(value),
    )
    audit.record(
        actor, "key.create", key.ref, after={"name": key.name, "owner": f"{owner_type} {key.owner_ref}".strip()}
    )
    return key


_KEEP = object()


@transaction.atomic
def update(
    key: Key, *, actor: Actor, value: Any = _KEEP, name: str | None = None, encrypted: bool | None = None
) -> Key:
    """Change what is given; the log says that the value changed, never what it is."""
    before, after = {"name": key.name}, {"name": name or key.name}
    if value is not _KEEP:
        key.sealed = seal(value)
        after["value"] = "changed"
    key.name = (name or key.name)[:200]
    key.encrypted = key.encrypted if encrypted is None else encrypted
    key.save(update_fields=["sealed", "name", "encrypted", "updated"])
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
