"""Definitions found quickly: the action of an execution, the trigger of an event or of a webhook's key.

What comes back is shared between threads and calls: read it, do not change it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from django.db import connection

from apps.packs.models import Action, Trigger
from attune.lib.rows import Kept

MOST_HOOKS = 10_000  # remembered
# What changes when an action or its pack or runtime does; to stand in a statement that knows `action_id`.
ACTION_STAMP = """
    (SELECT CAST(a.updated AS TEXT) || CAST(a.enabled AS TEXT) || CAST(p.updated AS TEXT) || CAST(p.enabled AS TEXT)
        || COALESCE(CAST(r.updated AS TEXT), '')
     FROM packs_action a JOIN packs_pack p ON p.id = a.pack_id LEFT JOIN packs_runtime r ON r.id = a.runtime_id
     WHERE a.id = action_id)"""
# The same for a trigger and its pack; to stand in a statement that knows `trigger_id`.
TRIGGER_STAMP = """
    (SELECT COALESCE(t.webhook_key, '') || CAST(t.webhook_enabled AS TEXT) || CAST(t.updated AS TEXT)
        || CAST(t.enabled AS TEXT) || CAST(p.updated AS TEXT) || CAST(p.enabled AS TEXT)
     FROM packs_trigger t JOIN packs_pack p ON p.id = t.pack_id WHERE t.id = trigger_id)"""

_actions = Kept("", lambda keys: Action.objects.select_related("pack", "runtime").filter(pk__in=keys))
_triggers = Kept("", lambda keys: Trigger.objects.select_related("pack").filter(pk__in=keys))


@dataclass(frozen=True)
class Seen:
    """A trigger, with its pack, as it was at that stamp."""

    trigger: Trigger
    stamp: str


_hooks: OrderedDict[str, Seen] = OrderedDict()  # by webhook key, as last seen


def action(key: int | None, *, stamp: str | None) -> Action | None:
    """The action of that number, with its pack and runtime, as it is at the stamp; None where there is no stamp."""
    return None if key is None or stamp is None else _actions.fresh(key, stamp)


def trigger(ref: str) -> Seen | None:
    """The trigger of that ref."""
    return _look("t.ref = %s", ref)


def trigger_of_webhook(key: str) -> Seen | None:
    """The trigger whose open webhook has that key."""
    found = _look("t.webhook_key = %s AND t.webhook_enabled", key)
    if found is None:
        _hooks.pop(key, None)
        return None
    _hooks[key] = found
    while len(_hooks) > MOST_HOOKS:
        _hooks.popitem(last=False)
    return found


def remembered_trigger_of_webhook(key: str) -> Seen | None:
    """The same without a look: what was true a while ago, so whoever uses it has to compare stamps in the end."""
    return _hooks.get(key)


def _look(where: str, value: str) -> Seen | None:
    with connection.cursor() as cursor:
        wanted = f"(SELECT t.id AS trigger_id FROM packs_trigger t WHERE {where}) wanted"
        cursor.execute(f"SELECT trigger_id, {TRIGGER_STAMP} FROM {wanted}", [value])
        row = cursor.fetchone()
    found = row and _triggers.fresh(*row)
    return Seen(found, row[1]) if found else None
