"""How long this room keeps what it wrote: executions, workers that are gone, and files that belong to no row."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.executions import logs
from apps.executions.models import FINAL, LIVE, WAITING, Execution, Worker
from attune.lib.retention import Kind

logger = logging.getLogger(__name__)

REST = 3600.0  # seconds that a file must have been left alone
_LOG = re.compile(r"(\d{1,18})\.(?:stdout|stderr)\.log\Z")
_TEMPORARY = re.compile(r"execution-(\d{1,18})-\d+\Z")


def kinds() -> list[Kind]:
    """What is deleted, and when. Log files go by `remove_orphans`, on each host those that lie there."""
    return [
        Kind("executions", Execution, "created", settings.ATTUNE_KEEP_EXECUTIONS, _over),
        Kind("workers that are gone", Worker, "heartbeat_at", settings.ATTUNE_KEEP_WORKERS, _idle, in_order=False),
    ]


def _over(rows: QuerySet[Any], before: datetime) -> QuerySet[Any]:
    """Ended long ago, with no child and no retry or rerun that still waits or runs."""
    under_way = Execution.objects.filter(status__in=sorted(WAITING | LIVE))
    return (
        rows.filter(Q(finished_at=None) | Q(finished_at__lt=before), status__in=sorted(FINAL))
        .exclude(Exists(under_way.filter(parent=OuterRef("pk"))))
        .exclude(Exists(under_way.filter(original=OuterRef("pk"))))
    )


def _idle(rows: QuerySet[Any], before: datetime) -> QuerySet[Any]:
    """In whose name nothing runs."""
    return rows.exclude(Exists(Execution.objects.filter(worker=OuterRef("name"), status__in=sorted(LIVE))))


def orphans() -> Iterator[Path]:
    """Log files without an execution, and what runs left in the folder for temporary files, in this data folder."""
    for folder in sorted(logs.folder().glob("*")):
        if folder.name.isdecimal() and len(folder.name) < 16:
            yield from _orphan_logs(folder)
    left = {path: int(found[1]) for path in settings.ATTUNE_TMP_DIR.glob("*") if (found := _TEMPORARY.match(path.name))}
    running = set(Execution.objects.filter(pk__in=left.values(), status__in=LIVE).values_list("pk", flat=True))
    yield from (path for path, number in left.items() if number not in running and _is_old(path))


def _orphan_logs(folder: Path) -> Iterator[Path]:
    files = {path: int(found[1]) for path in sorted(folder.glob("*")) if (found := _LOG.match(path.name))}
    if files:
        between = (min(files.values()), max(files.values()))
        known = set(Execution.objects.filter(pk__range=between).values_list("pk", flat=True))
        yield from (path for path, number in files.items() if number not in known and _is_old(path))


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > REST
    except OSError:
        return False


def remove_orphans() -> int:
    """Remove them, and folders of logs that are empty then. Returns how many there were."""
    count = 0
    for path in orphans():
        count += 1
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s belongs to no execution and could not be removed: %s.", path, error)
    for folder in logs.folder().glob("*"):
        try:
            folder.rmdir()
        except OSError:
            continue  # it is in use
    return count
