"""Load packs from their folders, configure them, switch them and what is in them on and off."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.access import audit, reach
from apps.access.audit import Actor
from apps.access.principals import Role
from apps.packs import configs, environments, loading, runtimes
from apps.packs.errors import NotEditable, PackNotFound
from apps.packs.installing import switching
from apps.packs.loading import LoadReport
from apps.packs.manifests import MANIFEST
from apps.packs.models import Action, Pack, Runtime, Sensor, Trigger
from attune.lib import schemas
from attune.lib.refs import PACK_REF

logger = logging.getLogger(__name__)

COMMAND = "command"


def load_pack(path_or_ref: Path | str, *, check_only: bool = False, actor: Actor = COMMAND) -> LoadReport:
    """Load, or load again, the pack in a folder or of a ref; what is wrong in its files is in the report.

    Its environment is a matter of `environments.ensure`. Raises PackNotFound if there is no such folder or pack.
    """
    reach.require_all(actor)
    report = loading.load_pack(folder_of(path_or_ref), check_only=check_only)
    if report.ok and not check_only:
        if Runtime.objects.filter(detected_at=None).exists():
            runtimes.detect()
        if report.changed_anything:
            summary = {name: report.as_dict()[name] for name in ("version", "added", "changed", "removed")}
            audit.record(actor, "pack.load", report.ref, after=summary | {"path": str(report.path)})
    logger.info("Pack %s from %s: %d faults.", report.ref or "?", report.path, len(report.faults))
    return report


def load_pack_or_refuse(path_or_ref: Path | str, *, actor: Actor = COMMAND) -> LoadReport:
    """As `load_pack`, but raises PackInvalid, with the faults in its details, where the files have any."""
    report = load_pack(path_or_ref, actor=actor)
    if not report.ok:
        raise switching.invalid(report)
    return report


def load_system_packs(*, actor: Actor = COMMAND) -> list[LoadReport]:
    """Load every pack that ships with Attune, `core` first, for the others build on it."""
    folders = [path.parent for path in settings.ATTUNE_SYSTEM_PACKS_DIR.glob(f"*/{MANIFEST}")]
    return [load_pack(folder, actor=actor) for folder in sorted(folders, key=lambda path: (path.name != "core", path))]


def folder_of(path_or_ref: Path | str) -> Path:
    """The folder somebody means: that of a loaded pack, one below ATTUNE_PACKS_DIR, a path. Raises PackNotFound."""
    path = Path(path_or_ref)
    if isinstance(path_or_ref, str) and PACK_REF.match(path_or_ref):
        loaded = Pack.objects.filter(ref=path_or_ref).first()
        if loaded is not None and loaded.is_adhoc:
            raise NotEditable(f"Pack {loaded.ref} was made in a form and has no folder to load.")
        for known in (Path(loaded.path) if loaded and loaded.path else None, settings.ATTUNE_PACKS_DIR / path_or_ref):
            if known is not None and known.is_dir():
                return known
    with suppress(OSError):  # a name that is too long for any folder
        if path.is_dir():
            return path
    raise PackNotFound(f"There is no pack {path_or_ref}: neither a folder, nor one below {settings.ATTUNE_PACKS_DIR}.")


@transaction.atomic
def set_enabled(thing: Pack | Action | Trigger | Sensor, enabled: bool, *, actor: Actor) -> None:
    """Switch a pack, action, trigger or sensor on or off; nothing happens or is logged if it is so already."""
    reach.require(actor, Role.OPERATOR, thing)
    noun = thing._meta.model_name
    if type(thing)._base_manager.filter(pk=thing.pk, enabled=not enabled).update(enabled=enabled):
        thing.enabled = enabled
        thing.save(update_fields=["enabled", "updated"])
        audit.record(
            actor,
            f"{noun}.{'enable' if enabled else 'disable'}",
            thing.ref,
            before={"enabled": not enabled},
            after={"enabled": enabled},
        )


@transaction.atomic
def set_pack_config(pack: Pack, config: dict[str, Any], *, actor: Actor) -> Pack:
    """Replace the operator's own configuration of a pack; it survives a reload.

    Checked together with the manifest's values. Raises SchemaMismatch naming each setting that does not fit.
    """
    reach.require(actor, Role.EDITOR, pack)
    check_pack_config(pack, config)
    before = pack.config
    pack.save(update_fields=[*configs.put(pack, config), "updated"])
    audit.record(actor, "pack.configure", pack.ref, before=before, after=pack.config)
    return pack


def check_pack_config(pack: Pack, config: Any) -> None:
    """Whether an operator's own configuration could be kept. Raises SchemaMismatch naming each setting that does not
    fit."""
    if not isinstance(config, dict):
        raise schemas.SchemaMismatch("A configuration is a mapping of settings to values.")
    schemas.check(pack.conf_schema, pack.config_defaults | config, closed=True, noun="setting")


@transaction.atomic
def set_pack_environment(pack: Pack, given: Any, *, actor: Actor) -> Pack:
    """Replace what the operator wants of a pack's environment; it holds from the next build on.

    `given`: {"constraints": […], "packages": […], "allow_scripts": bool, "sdk_compatibility": bool}. Raises
    InvalidInput naming the line that cannot be read.
    """
    reach.require_all(actor)
    before, pack.environment = pack.environment, environments.read_environment(given)
    pack.save(update_fields=["environment", "updated"])
    audit.record(actor, "pack.set_environment", pack.ref, before=before, after=pack.environment)
    return pack


def build_environment(pack: Pack, *, force: bool = False) -> environments.Environment:
    """Build what the pack's code needs; commands are worked out anew afterwards. Raises EnvironmentBroken."""
    environment = environments.ensure(pack, force=force)
    runtimes.forget_commands()
    return environment
