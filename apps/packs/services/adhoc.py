"""Packs and triggers that are made of data in forms, and webhooks on any trigger; every change is in the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from apps.access import audit, reach
from apps.access.audit import Actor
from apps.access.principals import Role
from apps.packs import configs, sealing, webhooks
from apps.packs.errors import InUse, NotEditable
from apps.packs.models import Pack, Trigger
from attune.lib import schemas
from attune.lib.errors import Conflict, InvalidInput
from attune.lib.refs import ADHOC_TRIGGER_REF, PACK_REF, pack_of, title_of

_PACK_FIELDS = ("label", "description", "version", "conf_schema", "tags", "meta", "enabled", "author", "email")
_TRIGGER_FIELDS = ("label", "description", "type", "parameters_schema", "payload_schema", "tags", "enabled", "examples")
_SCHEMAS = ("conf_schema", "parameters_schema", "payload_schema")
_LISTS, _MAPPINGS, _FLAGS = ("tags", "examples"), ("meta",), ("enabled",)


@transaction.atomic
def save_adhoc_pack(*, ref: str, actor: Actor, pack: Pack | None = None, **fields: Any) -> Pack:
    """Make an ad-hoc pack, or change the given one; its ref stays.

    `fields`: label, description, version, conf_schema (either dialect), tags, meta, enabled, author, email.
    Raises InvalidInput, Conflict if the ref is taken, NotEditable for a pack that comes from files.
    """
    reach.require(actor, Role.EDITOR, pack or ref)
    if pack is None:
        if not PACK_REF.match(ref) or len(ref) > 100:
            raise InvalidInput(f"{ref!r} is not a pack ref: use lower-case letters, digits, _ and -, a letter first.")
        if Pack.objects.filter(ref=ref).exists():
            raise Conflict(f"There is a pack {ref} already; choose another ref.")
        pack = Pack(ref=ref, label=title_of(ref), is_adhoc=True)
    elif not pack.is_adhoc:
        raise NotEditable(f"Pack {pack.ref} is defined by its files in {pack.path}; change them and load it again.")
    config, schema = configs.open_config(pack), pack.conf_schema
    _save(pack, fields, _PACK_FIELDS, actor, "pack")
    if pack.conf_schema != schema and config:  # what is secret may be another part of it now
        pack.save(update_fields=configs.put(pack, config))
    return pack


@transaction.atomic
def save_adhoc_trigger(
    *, pack: Pack, name: str = "", actor: Actor, trigger: Trigger | None = None, **fields: Any
) -> Trigger:
    """Make an ad-hoc trigger in a pack, or change the given one; its ref stays. The name may hold dots.

    `fields`: label, description, type, parameters_schema, payload_schema (either dialect), tags, enabled, examples.
    Raises InvalidInput, Conflict if the ref is taken, NotEditable for a trigger that comes from files.
    """
    reach.require(actor, Role.EDITOR, pack)
    if trigger is None:
        ref = f"{pack.ref}.{name.removeprefix(f'{pack.ref}.')}"
        if not ADHOC_TRIGGER_REF.match(ref) or len(ref) > 200 or pack_of(ref) != pack.ref:
            raise InvalidInput(
                f"{name!r} is not a trigger's name: use lower-case letters, digits, _, - and dots between."
            )
        if Trigger.objects.filter(ref=ref).exists():
            raise Conflict(f"There is a trigger {ref} already; choose another name.")
        trigger = Trigger(ref=ref, pack=pack, label=title_of(name), is_adhoc=True)
    elif not trigger.is_adhoc:
        raise NotEditable(f"Trigger {trigger.ref} is defined by the files of its pack; change them and load it again.")
    return _save(trigger, fields, _TRIGGER_FIELDS, actor, "trigger")


@transaction.atomic
def delete_adhoc_trigger(trigger: Trigger, *, actor: Actor) -> None:
    """Remove an ad-hoc trigger; its events stay. Raises NotEditable, InUse naming the rules that wait for it."""
    reach.require(actor, Role.EDITOR, trigger)
    if not trigger.is_adhoc:
        raise NotEditable(f"Trigger {trigger.ref} is defined by the files of its pack; remove it there.")
    _refuse_if_used(f"Trigger {trigger.ref}", trigger.rules.values_list("ref", flat=True))
    audit.record(actor, "trigger.delete", trigger.ref, before={"label": trigger.label})
    trigger.delete()


@transaction.atomic
def delete_adhoc_pack(pack: Pack, *, actor: Actor) -> None:
    """Remove an ad-hoc pack with its triggers. Raises NotEditable, InUse naming the rules in it or on its triggers."""
    reach.require(actor, Role.EDITOR, pack)
    if not pack.is_adhoc:
        raise NotEditable(f"Pack {pack.ref} is defined by its files; uninstall it instead.")
    used = set(pack.rules.values_list("ref", flat=True))
    for trigger in pack.triggers.all():
        used.update(trigger.rules.values_list("ref", flat=True))
    _refuse_if_used(f"Pack {pack.ref}", used)
    audit.record(actor, "pack.delete", pack.ref, before={"label": pack.label})
    pack.delete()


# Webhooks ------------------------------------------------------------------------------------------------------------
@transaction.atomic
def enable_webhook(trigger: Trigger, *, actor: Actor) -> Trigger:
    """Open the trigger as a webhook; its key is made when it has none, and kept when it was open before."""
    trigger.webhook_key = trigger.webhook_key or webhooks.new_key()
    trigger.webhook_enabled = True
    return _save_webhook(trigger, "trigger.enable_webhook", actor)


@transaction.atomic
def disable_webhook(trigger: Trigger, *, actor: Actor) -> Trigger:
    """Close the webhook; its key is kept, so that it can be opened again under the same address."""
    trigger.webhook_enabled = False
    return _save_webhook(trigger, "trigger.disable_webhook", actor)


@transaction.atomic
def rotate_webhook_key(trigger: Trigger, *, actor: Actor) -> Trigger:
    """Give the webhook a new address; the old one is unknown from now on. Raises Conflict if it was never opened."""
    if not trigger.webhook_key:
        raise Conflict(f"Trigger {trigger.ref} is not open as a webhook; enable that first.")
    trigger.webhook_key = webhooks.new_key()
    return _save_webhook(trigger, "trigger.rotate_webhook_key", actor)


@transaction.atomic
def set_webhook_options(
    trigger: Trigger, options: dict[str, Any], *, actor: Actor, secret: str | None = None
) -> Trigger:
    """Replace the webhook's options; `secret` None keeps the present one, empty removes it. Raises InvalidInput."""
    trigger.webhook_config = webhooks.checked(options)
    if secret is not None:
        trigger.webhook_secret = sealing.seal(secret, about=sealing.webhook(trigger.ref)) if secret else ""
    return _save_webhook(trigger, "trigger.set_webhook_options", actor)


def _save_webhook(trigger: Trigger, action: str, actor: Actor) -> Trigger:
    reach.require(actor, Role.EDITOR, trigger)
    columns = ["webhook_enabled", "webhook_key", "webhook_secret", "webhook_config"]
    before = Trigger.objects.values(*columns).get(pk=trigger.pk)
    trigger.save(update_fields=[*columns, "updated"])
    after = {name: getattr(trigger, name) for name in columns}
    audit.record(actor, action, trigger.ref, before=_without_secrets(before), after=_without_secrets(after))
    return trigger


def _without_secrets(webhook: dict[str, Any]) -> dict[str, Any]:
    """The key and the secret let anybody in; the log says only that they are there, and the key's beginning."""
    key, secret = webhook["webhook_key"], webhook["webhook_secret"]
    return webhook | {"webhook_key": f"{key[:7]}…" if key else "", "webhook_secret": schemas.MASK if secret else ""}


# Saving --------------------------------------------------------------------------------------------------------------
def _save(row: Any, fields: dict[str, Any], known: tuple[str, ...], actor: Actor, noun: str) -> Any:
    """Check the fields, put them into the row, save it and say so in the log."""
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise InvalidInput(f"A {noun} has no field {', '.join(unknown)}; known: {', '.join(known)}.")
    faults: list[dict[str, str]] = []
    before = {name: getattr(row, name) for name in fields} if row.pk else {}
    for name, value in fields.items():
        try:
            setattr(row, name, _checked(row, name, value))
        except ValueError as error:
            faults.append({"path": name, "message": f"{name}: {error}"})
    if faults:
        raise InvalidInput("; ".join(fault["message"] for fault in faults), details={"faults": faults})
    made = row.pk is None
    row.save()
    after = {name: getattr(row, name) for name in fields}
    audit.record(actor, f"{noun}.{'create' if made else 'update'}", row.ref, before=before, after=after)
    return row


def _checked(row: Any, name: str, value: Any) -> Any:
    """The value for that column. Raises ValueError with the remedy."""
    column = row._meta.get_field(name)
    if name in _SCHEMAS:
        schema, faults = schemas.normalise(value, where=name)
        if faults:
            raise ValueError("; ".join(fault.message for fault in faults))
        return schema
    if name in _LISTS:
        if not isinstance(value, list) or (name == "tags" and not all(isinstance(item, str) for item in value)):
            raise ValueError("give a list of texts" if name == "tags" else "give a list")
        return value
    expected: type = dict if name in _MAPPINGS else bool if name in _FLAGS else str
    if not isinstance(value, expected):
        raise ValueError(f"give {'a mapping' if expected is dict else 'true or false' if expected is bool else 'text'}")
    if isinstance(value, str) and ("\0" in value or len(value) > (column.max_length or 20_000)):
        raise ValueError(f"give a text of at most {column.max_length or 20_000} characters, without zero bytes")
    if column.choices and value not in dict(column.flatchoices):
        raise ValueError(f"choose one of {', '.join(dict(column.flatchoices))}")
    if name == "label" and not str(value).strip():
        raise ValueError("give a name for people")
    return value


def _refuse_if_used(what: str, refs: Iterable[str]) -> None:
    used = sorted(refs)
    if used:
        raise InUse(f"{what} is used by the rules {', '.join(used[:10])}; delete them first.", details={"rules": used})
