"""Use a version of a pack from now on: its row, its components and what went before, in one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.access import audit
from apps.packs import loading, runtimes
from apps.packs.errors import NotFound, PackInvalid
from apps.packs.loading import LoadReport
from apps.packs.models import Pack, PackVersion
from attune.lib import crash


def switch(
    folder: Path, *, digest: str, actor: str, origin: str, reason: str, **facts: Any
) -> tuple[PackVersion, LoadReport]:
    """Load the pack in this folder, which is its place for good, and note that this version is used now.

    `facts` (source, source_type, git_commit, provenance) are of a version that comes for the first time. Running
    executions end as they began. Raises PackInvalid if the files have faults; then nothing has changed.
    """
    with transaction.atomic():
        report = loading.load_pack(folder)
        if report.pack is None:
            raise invalid(report)
        crash.point("install-loaded")
        version, is_new = PackVersion.objects.get_or_create(
            pack_ref=report.ref,
            version=report.version,
            digest=digest,
            defaults={"path": str(report.path), "installed_by": actor, **facts},
        )
        left = PackVersion.objects.filter(pack_ref=report.ref, left_at=None).exclude(pk=version.pk)
        before = left.values_list("version", flat=True).first() or ""
        left.update(left_at=timezone.now(), updated=timezone.now())
        if not is_new:
            fresh = facts if reason != "rollback" else {}
            PackVersion.objects.filter(pk=version.pk).update(left_at=None, updated=timezone.now(), **fresh)
        what = {"version": report.version, "digest": digest, "path": str(report.path)}
        changes = {name: getattr(report, name) for name in ("added", "changed", "removed")}
        audit.record(
            actor, f"pack.{reason}", report.ref, before={"version": before}, after=what | changes, origin=origin
        )
    runtimes.forget_commands()
    return version, report


def invalid(report: LoadReport) -> PackInvalid:
    """The error for a pack whose files have faults."""
    first = "; ".join(map(str, report.faults[:5]))
    more = f" and {len(report.faults) - 5} more" if len(report.faults) > 5 else ""
    return PackInvalid(f"Pack {report.ref or report.path.name} has faults: {first}{more}", details=report.as_dict())


def former(ref: str, *, version: str = "", digest: str = "") -> PackVersion:
    """The version to go back to: the one named, else the one used before. Raises NotFound naming what there is."""
    kept = PackVersion.objects.filter(pack_ref=ref).exclude(left_at=None).order_by("-left_at")
    wanted = kept.filter(version=version) if version else kept
    found = next((row for row in wanted if row.digest.removeprefix("sha256:").startswith(digest)), None)
    if found is None:
        there = ", ".join(dict.fromkeys(kept.values_list("version", flat=True))) or "none"
        what = f"version {version} of {ref}" if version else f"former version of {ref}"
        raise NotFound(f"There is no {what} to go back to; kept are: {there}.")
    return found


def current(ref: str) -> PackVersion | None:
    """The version that is used; None where the pack was loaded from a folder of somebody's own, or is not there."""
    path = Pack.objects.filter(ref=ref).values_list("path", flat=True).first()
    return PackVersion.objects.filter(path=path).first() if path else None
