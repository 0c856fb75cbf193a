"""Work an installation off: claim it, do what it asks for, write down how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django import db
from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from apps.packs import loading, sealing
from apps.packs.errors import PackNotFound
from apps.packs.installing import steps, store, switching
from apps.packs.installing.bringing import Asked
from apps.packs.installing.progress import Progress, Superseded
from apps.packs.installing.steps import Work
from apps.packs.models import Installation, Pack
from attune.lib import crash
from attune.lib.errors import AttuneError

logger = logging.getLogger(__name__)

Kind, Status, Step = Installation.Kind, Installation.Status, Installation.Step
ATTEMPTS = 3  # until an installation whose workers keep dying is given up
TIMEOUT = 1800.0  # seconds for all of it


def claim(pk: int) -> Installation | None:
    """Take it for this worker, or None if another has it or it is over. One whose worker died is begun anew."""
    now = timezone.now()
    free = Q(status=Status.REQUESTED) | Q(status=Status.RUNNING, lease_until__lt=now)
    taken = Installation.objects.filter(free, pk=pk).update(
        status=Status.RUNNING,
        attempt=F("attempt") + 1,
        lease_until=now + timedelta(seconds=settings.ATTUNE_LEASE),
        started_at=now,
        updated=now,
    )
    return Installation.objects.get(pk=pk) if taken else None


def run(pk: int) -> None:
    """Do it, if it is still to be done. Whatever goes wrong is written to its row, in words."""
    installation = claim(pk)
    if installation is None:
        return
    crash.point("install-claimed")
    progress = Progress(installation)
    if installation.attempt > ATTEMPTS:
        _failed(progress, f"Its worker died {ATTEMPTS} times while it was at work; see the log, and ask again.", "lost")
        return
    if installation.attempt > 1:
        progress.say(f"Its worker died; it is begun anew, for the {installation.attempt}. time.")
    options = dict(installation.options)
    work = Work(
        progress,
        options,
        actor=installation.requested_by,
        origin=installation.origin,
        reason=installation.trigger_reason,
        deadline=time.monotonic() + float(options.get("timeout") or TIMEOUT),
        installation=installation,
    )
    try:
        with progress.kept():
            result = _WORK[installation.kind](work)
        crash.point("install-done")
        progress.finish(Status.COMPLETED, result=result, percent=100)
        logger.info("Installation %s of %s is done.", pk, result.get("plan", {}).get("pack_ref", ""))
    except Superseded:
        logger.warning("Installation %s was taken over by another worker.", pk)
    except AttuneError as error:
        _failed(progress, error.message, error.code, details=error.details)
    except db.Error as error:
        logger.warning("Installation %s lost the database (%s); it is begun anew.", pk, error)
        raise
    except Exception as error:
        logger.exception("Installation %s failed.", pk)
        _failed(progress, f"Something went wrong that Attune did not expect: {error!r}; see the server's log.", "error")
    finally:
        for folder in work.staged:
            store.discard(folder)
        _forget_upload(pk)


def _failed(progress: Progress, message: str, code: str, *, details: dict[str, Any] | None = None) -> None:
    progress.say(message)
    progress.finish(Status.FAILED, error=message, error_code=code, result={"details": details or {}})
    logger.info("Installation %s failed: %s", progress.pk, message)


def _forget_upload(pk: int) -> None:
    """The file that somebody sent is needed no more once it is installed; after a preview it may be, for a day."""
    row = Installation.objects.filter(pk=pk).exclude(kind=Kind.PREVIEW).first()
    if row and row.is_final and row.options.get("upload_name"):
        Path(row.source).unlink(missing_ok=True)


# What each kind does -------------------------------------------------------------------------------------------------
def _install(work: Work, *, only_plan: bool = False) -> dict[str, Any]:
    row, options = work.installation, work.options
    asked = Asked(
        source=sealing.unseal(row.sealed_source, about=sealing.INSTALLATION) if row.sealed_source else row.source,
        **{name: options[name] for name in Asked.__dataclass_fields__ if name in options and name != "source"},
    )
    return steps.install(work, asked, only_plan=only_plan)


def _preview(work: Work) -> dict[str, Any]:
    return _install(work, only_plan=True)


def _rollback(work: Work) -> dict[str, Any]:
    """Use a former version again: it is there, and so, as a rule, is its environment."""
    row, options = work.installation, work.options
    version = switching.former(row.pack_ref, version=options.get("version", ""), digest=options.get("digest", ""))
    work.progress.know(pack_version=version.version)
    work.progress.step(Step.ANALYSE)
    report = loading.load_pack(version.folder, check_only=True)
    if not report.ok:
        raise switching.invalid(report)
    plan = steps.planning.plan(report, digest=version.digest)
    steps.refuse(plan, force=bool(options.get("force")))
    work.options["skip_tests"] = True  # they passed when it came, and now it has to be quick
    prepared = steps.prepare(work, report, version.folder, Pack.objects.filter(ref=row.pack_ref).first())
    work.progress.step(Step.REGISTER)
    switching.switch(version.folder, digest=version.digest, actor=work.actor, origin=work.origin, reason=work.reason)
    work.progress.step(Step.SWITCH)
    work.progress.say(f"{row.pack_ref} {version.version} is in use again.")
    return {"plan": plan.as_dict(), "provenance": version.provenance, **prepared}


def _prepare_again(work: Work) -> dict[str, Any]:
    """Build the environment of a pack that is in use, or run its tests."""
    pack = Pack.objects.filter(ref=work.installation.pack_ref).first()
    if pack is None or not pack.path:
        raise PackNotFound(f"There is no pack {work.installation.pack_ref} with files any more.")
    work.progress.step(Step.ANALYSE)
    report = loading.load_pack(pack.folder, check_only=True)
    work.progress.know(pack_version=pack.version)
    if work.installation.kind == Kind.ENVIRONMENT:
        work.options["skip_tests"] = True
    prepared = steps.prepare(work, report, pack.folder, pack)
    if work.installation.kind == Kind.ENVIRONMENT:
        pack.save(update_fields=["updated"])  # its sensors are started anew, in what was built
    return prepared


_WORK: dict[str, Callable[[Work], dict[str, Any]]] = {
    Kind.INSTALL: _install,
    Kind.PREVIEW: _preview,
    Kind.ROLLBACK: _rollback,
    Kind.ENVIRONMENT: _prepare_again,
    Kind.TEST: _prepare_again,
}
