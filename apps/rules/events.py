"""Keep an event: check it, recognise one that was sent before, write it down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from apps.packs import lookup, sealing
from apps.packs.models import Trigger
from apps.rules import enforcing
from apps.rules.enforcing import SEALED, Beside
from apps.rules.errors import PayloadInvalid, TriggerDisabled, UnknownTrigger
from apps.rules.models import Event, EventKey, Rule
from attune.lib import schemas
from attune.lib.errors import AttuneError
from attune.lib.json_values import storable

KEY_LIFE = timedelta(days=1)
DEEPEST = 64  # levels of a payload


class _Raced(Exception):
    """Somebody else kept an event under this key between our look and our write."""


@dataclass(frozen=True)
class Emitted:
    """The event, whether it is new or the same as one kept before, and whether its rules have decided on it."""

    event: Event
    created: bool
    decided: bool = True


def find_trigger(trigger: Trigger | str) -> Trigger:
    """The trigger of that ref, ready to be emitted. Raises UnknownTrigger, TriggerDisabled."""
    if isinstance(trigger, str):
        found = lookup.trigger(trigger)
        if found is None:
            raise UnknownTrigger(f"There is no trigger {trigger!r}; `GET /api/v1/triggers` lists those there are.")
        trigger = found.trigger
    if not trigger.enabled or not trigger.pack.enabled:
        what = f"Trigger {trigger.ref}" if not trigger.enabled else f"Pack {trigger.pack.ref} of trigger {trigger.ref}"
        raise TriggerDisabled(f"{what} is disabled; enable it to let its events in.")
    return trigger


def check_payload(trigger: Trigger, payload: Any) -> dict[str, Any]:
    """The payload as it can be kept. Raises PayloadInvalid naming the path of each fault."""
    if not isinstance(payload, dict):
        kind = type(payload).__name__
        raise PayloadInvalid(f"The payload of {trigger.ref} must be a JSON object, not {kind}.")
    if _deeper_than(payload, DEEPEST):
        raise PayloadInvalid(f"The payload of {trigger.ref} is nested more than {DEEPEST} levels deep.")
    payload = storable(payload)
    try:
        if trigger.payload_schema:
            schemas.check(trigger.payload_schema, payload, closed=False)
    except AttuneError as error:
        raise PayloadInvalid(f"Payload of {trigger.ref}: {error.message}", details=error.details) from None
    return payload


def sealed(trigger: Trigger, payload: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The columns of a payload: what its schema calls secret is masked there, and encrypted in `config`."""
    schema = trigger.payload_schema
    places = schemas.secret_places(payload, schema) if schema else []
    if not places:
        return {"payload": payload, "config": {k: v for k, v in config.items() if k != SEALED} if config else {}}
    text = sealing.seal(payload, about=sealing.payload(trigger.ref))
    return {"payload": schemas.mask(payload, schema), "config": config | {SEALED: {"text": text, "places": places}}}


def open_payload(event: Event) -> Any:
    """The payload in clear. Raises KeyUnreadable."""
    kept = event.config.get(SEALED) if isinstance(event.config, dict) else None
    return sealing.unseal(kept["text"], about=sealing.payload(event.trigger_ref)) if kept else event.payload


def how_it_came(event: Event) -> dict[str, Any]:
    """Its `config` for people: without what is encrypted there."""
    return {name: value for name, value in event.config.items() if name != SEALED}


def reseal_all() -> int:
    """Encrypt the secrets of all events anew with the present key. Returns of how many."""
    count = 0
    for event in Event.objects.filter(config__has_key=SEALED).only("pk", "config", "trigger_ref").iterator():
        text = sealing.seal(open_payload(event), about=sealing.payload(event.trigger_ref))
        event.config[SEALED]["text"] = text
        count += Event.objects.filter(pk=event.pk).update(config=event.config)
    return count


def keep(trigger: Trigger, *, stamp: str, dedup_key: str, beside: Beside, **columns: Any) -> Emitted:
    """Keep the event, decided on if its rules are few; or find the one kept under the same key within a day.

    `stamp`, `beside`: see `emit_event`. Raises TriggerChanged, PayloadInvalid.
    """
    for _ in range(5):
        now = timezone.now()
        known = EventKey.objects.filter(trigger_ref=trigger.ref, key=dedup_key).first() if dedup_key else None
        if known and known.expires_at > now:
            return Emitted(Event.objects.get(pk=known.event_id), created=False)
        event = Event(trigger=trigger, trigger_ref=trigger.ref, dedup_key=dedup_key, created=now, **columns)
        with contextlib.suppress(_Raced):
            return _keep(event, known, stamp, beside)
    raise PayloadInvalid(f"Too many events of {trigger.ref} came under the key {dedup_key!r} at once; send it again.")


def _keep(event: Event, known: EventKey | None, stamp: str, beside: Beside) -> Emitted:
    """Write it down, with its key; raises _Raced when another one has that key by now."""
    expires = event.created + KEY_LIFE
    if known:
        with transaction.atomic():
            taken_over = EventKey.objects.filter(pk=known.pk, event_id=known.event_id).delete()[0]
            if not taken_over:
                raise _Raced
            return _keep(event, None, stamp, beside)
    others = list(beside)
    if event.dedup_key:
        key = {"trigger_ref": event.trigger_ref, "key": event.dedup_key, "expires_at": expires}
        others.append(lambda row: (EventKey, key | {"event": row}))
    try:
        with transaction.atomic() if connection.in_atomic_block and event.dedup_key else contextlib.nullcontext():
            return Emitted(event, created=True, decided=enforcing.take_in(event, others, stamp=stamp))
    except IntegrityError:
        if EventKey.objects.filter(trigger_ref=event.trigger_ref, key=event.dedup_key).exists():
            raise _Raced from None
        raise


def of_sensors(events: QuerySet[Event]) -> QuerySet[Event]:
    """Those that sensors sent for one rule; replays, and what people send in their place, tell nothing of a sensor."""
    return events.filter(source__startswith="sensor ").exclude(rule_ref="")  # as the partial index says


def last_of_sensors(rule_ids: Iterable[int | None]) -> dict[int, int]:
    """For each rule the newest event that a sensor sent for it alone; a few steps down an index for each."""
    own = of_sensors(Event.objects.filter(rule_ref=OuterRef("ref"), rule=OuterRef("pk"))).order_by("-id")
    newest = Rule.objects.annotate(newest=Subquery(own.values("pk")[:1])).order_by()
    found = newest.filter(pk__in=list(rule_ids)).values_list("pk", "newest")
    return {rule: event for rule, event in found if event is not None}


def _deeper_than(value: Any, levels: int) -> bool:
    """Whether it nests deeper, told without recursion."""
    layer = [value]
    for _ in range(levels):
        layer = [
            item
            for outer in layer
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, dict | list)
        ]
        if not layer:
            return False
    return True
