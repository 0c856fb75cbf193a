"""Remove what no install needs any more: old versions, their environments, what a dead worker left half done."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from apps.packs import environments
from apps.packs.environments import Wanted
from apps.packs.installing import store
from apps.packs.models import Installation, Pack, PackVersion

logger = logging.getLogger(__name__)

REST = timedelta(days=1)  # after a version was left, so that what still runs in it comes to its end


def tidy() -> int:
    """All of it, once; how many folders were removed. Safe to do at any time, by one process of all."""
    return _drop_versions() + _remove_places() + _remove_stagings() + _remove_environments()


def _drop_versions() -> int:
    """Forget former versions beyond the last ATTUNE_FORMER_VERSIONS of a pack; all, where the pack is gone."""
    used = set(Pack.objects.exclude(path="").values_list("path", flat=True))
    installed = set(Pack.objects.values_list("ref", flat=True))
    kept: dict[str, int] = {}
    gone = 0
    rested = timezone.now() - REST
    for version in PackVersion.objects.exclude(left_at=None).order_by("pack_ref", "-left_at"):
        kept[version.pack_ref] = kept.get(version.pack_ref, 0) + 1
        few = version.pack_ref in installed and kept[version.pack_ref] <= settings.ATTUNE_FORMER_VERSIONS
        if few or version.path in used or (version.left_at and version.left_at > rested):
            continue
        version.delete()
        store.discard(version.folder)
        logger.info("Removed %s, which was left on %s.", version, version.left_at)
        gone += 1
    return gone


def _remove_places() -> int:
    """Versions' folders that no row names: an install died before it was registered."""
    known = set(PackVersion.objects.values_list("path", flat=True)) | set(
        Pack.objects.exclude(path="").values_list("path", flat=True)
    )
    return _discard([folder for folder in store.places() if str(folder) not in known and _is_old(folder)])


def _remove_stagings() -> int:
    open_ids = {
        str(pk)
        for pk in Installation.objects.filter(
            status__in=[Installation.Status.REQUESTED, Installation.Status.RUNNING]
        ).values_list("pk", flat=True)
    }
    return _discard([f for f in store.leftovers() if f.name.partition("-")[0] not in open_ids and _is_old(f)])


def _remove_environments() -> int:
    """Those that neither a pack in use nor a kept version needs."""
    packs = {pack.ref: pack for pack in Pack.objects.exclude(path="")}
    wanted = [Wanted.of(pack) for pack in packs.values()]
    wanted += [
        Wanted.of(packs[version.pack_ref], folder=version.folder)
        for version in PackVersion.objects.exclude(left_at=None)
        if version.pack_ref in packs
    ]
    keep = {folder for each in wanted if each.folder.is_dir() for folder in environments.folders_of(each)}
    return sum(environments.remove(folder) for folder in environments.unused(keep))


def _discard(folders: list[Path]) -> int:
    for folder in folders:
        store.discard(folder)
    return len(folders)


def _is_old(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > REST.total_seconds()
    except OSError:
        return False
