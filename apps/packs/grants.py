"""Grants: which packs and components may have a key that is not their own, as administrators said."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from apps.access import audit, reach
from apps.access.audit import Actor
from apps.packs.errors import GrantInvalid, GrantNotFound
from apps.packs.models import Action, Key, KeyGrant, Pack, Sensor


def granted(keys: Iterable[int], *, grantees: Iterable[str]) -> set[int]:
    """Those of the keys (by number) that one of these packs or components was granted."""
    names = [name for name in grantees if name]
    return set(KeyGrant.objects.filter(key__in=list(keys), grantee__in=names).values_list("key_id", flat=True))


@transaction.atomic
def grant(key: Key, grantee: str, *, actor: Actor) -> KeyGrant:
    """Let a pack, an action or a sensor have the key; again, it does nothing. Raises GrantInvalid."""
    reach.require_all(actor)  # whom it is given to is in another pack
    if key.owner_type == Key.Owner.IDENTITY:
        raise GrantInvalid(f"The key {key.ref} belongs to a person and is that person's alone; make one of the system.")
    if not any(model._default_manager.filter(ref=grantee).exists() for model in (Pack, Action, Sensor)):
        raise GrantInvalid(f"There is no pack, action or sensor {grantee!r}; give the ref of one that is installed.")
    row, made = KeyGrant.objects.get_or_create(
        key=key, grantee=grantee, defaults={"granted_by": audit.actor_name(actor)[:200]}
    )
    if made:
        audit.record(actor, "key.grant", key.ref, after={"grantee": grantee})
    return row


@transaction.atomic
def revoke(key: Key, grantee: str, *, actor: Actor) -> None:
    """Take it back; what runs already has the value. Raises GrantNotFound."""
    reach.require_all(actor)
    if not KeyGrant.objects.filter(key=key, grantee=grantee).delete()[0]:
        raise GrantNotFound(f"The key {key.ref} is not granted to {grantee}.")
    audit.record(actor, "key.revoke", key.ref, before={"grantee": grantee})
