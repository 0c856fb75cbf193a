"""The parts of an install one by one, for several packs at once: bring, analyse, build. One bad pack stops no other."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.packs import environments, loading
from apps.packs.building import Built
from apps.packs.environments import Wanted
from apps.packs.errors import PackNotFound
from apps.packs.installing import bringing, store, switching
from apps.packs.installing.bringing import Asked
from apps.packs.loading import LoadReport
from apps.packs.models import Pack
from apps.packs.registry import dependencies
from attune.lib.errors import AttuneError, Forbidden


def download(asked: Asked, *, destination: str = "", timeout: float) -> dict[str, Any]:
    """Bring one pack into `<destination>/<ref>-<version>`; what the wire says of it. Raises AttuneError."""
    parent = _destination(destination)
    with tempfile.TemporaryDirectory(prefix=".", dir=parent) as folder:
        brought = bringing.bring(
            asked, Path(folder) / "pack", say=_ignore, step=_ignore, deadline=time.monotonic() + timeout
        )
        ref, version = identity(brought.folder)
        if brought.pack_ref and ref != brought.pack_ref:
            raise PackNotFound(f"{brought.pack_ref} was asked for, but what came calls itself {ref}.")
        target = parent / f"{ref}-{version}-{brought.tree.removeprefix('sha256:')[:12]}"
        if not target.is_dir():
            shutil.move(brought.folder, target)
    return {
        "source": bringing.shown(asked),
        "source_type": brought.source_type,
        "pack_path": str(target),
        "pack_ref": ref,
        "pack_version": version,
        "git_commit": brought.git_commit or None,
        "checksum": brought.provenance["checksum"],
    }


def analyse(path: Path, *, strict: bool) -> dict[str, Any]:
    """What a pack's folder says of its needs: `needs`, `runtime` and the pack itself. Raises AttuneError.

    `strict` refuses a pack with faults; else its manifest need be readable, no more.
    """
    report = checked(path, strict=strict)
    manifest = report.manifest
    assert manifest is not None  # else `checked` has raised
    wanted = manifest.fields["dependencies"]
    folder = report.path
    runtime: dict[str, Any] = {"pack_ref": report.ref}
    if (folder / "requirements.txt").is_file() or "python_version" in wanted:
        runtime["python"] = _without_none(
            version=wanted.get("python_version"), requirements_file=_file(folder / "requirements.txt")
        )
    if (folder / "package.json").is_file() or "nodejs_version" in wanted:
        runtime["nodejs"] = _without_none(
            version=wanted.get("nodejs_version"), package_file=_file(folder / "package.json")
        )
    return {"report": report, "needs": dependencies.wanted_of(wanted, by=report.ref), "runtime": runtime}


def build(
    path: Path,
    *,
    python_version: str,
    nodejs_version: str,
    skip_python: bool,
    skip_nodejs: bool,
    force: bool,
    timeout: float,
) -> dict[str, Any]:
    """Build a folder's environments; what the wire says of them. Raises AttuneError, its `details["runtime"]` set."""
    report = checked(path, strict=False)
    pack = Pack.objects.filter(ref=report.ref).first()
    wanted = Wanted.of(pack, report.path) if pack else Wanted(ref=report.ref, folder=report.path)
    wanted = replace(wanted, python_version=python_version, nodejs_version=nodejs_version)
    found: dict[str, Any] = {}
    runtime = ""
    try:
        if not skip_python:
            runtime = "python"
            found["python"] = _python(environments.ensure_python(wanted, force=force, timeout=timeout), report.path)
        if not skip_nodejs:
            runtime = "nodejs"
            built = environments.ensure_nodejs(wanted, force=force, timeout=timeout)
            found |= {"nodejs": _nodejs(built)} if built else {}
    except AttuneError as error:
        error.details["runtime"] = runtime
        raise
    return {"pack_ref": report.ref, "pack_path": str(path), "environments": found}


def checked(path: Path, *, strict: bool) -> LoadReport:
    """The check of a folder. Raises PackNotFound, PackInvalid: unless `strict`, only for an unusable manifest."""
    if not path.is_absolute() or not path.is_dir():
        raise PackNotFound(f"{path} is not a folder on this server; give the absolute path of one with a pack in it.")
    report = loading.load_pack(path, check_only=True)
    if report.manifest is None or (strict and not report.ok):
        raise switching.invalid(report)
    return report


def identity(folder: Path) -> tuple[str, str]:
    """Ref and version of the pack in a folder. Raises PackInvalid."""
    report = checked(folder.resolve(), strict=False)
    return report.ref, report.version or "0.0.0"


def _destination(given: str) -> Path:
    """Where downloads go: a folder of ours, or one that was named and lies where packs may be put."""
    if not given:
        folder = settings.ATTUNE_VERSIONS_DIR / store.DOWNLOADS
        folder.mkdir(parents=True, exist_ok=True)
        return folder.resolve()
    folder = Path(given).resolve()
    allowed = [settings.ATTUNE_DATA_DIR, settings.ATTUNE_PACKS_DIR, Path(tempfile.gettempdir())]
    if not any(folder.is_relative_to(root.resolve()) for root in allowed):
        raise Forbidden(
            f"{given} is no place for downloads; they may go below {', '.join(str(root) for root in allowed)}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _python(built: Built, folder: Path) -> dict[str, Any]:
    return {
        "virtualenv_path": str(built.folder),
        "requirements_installed": (folder / "requirements.txt").is_file(),
        "package_count": built.package_count,
        "python_version": built.version,
    }


def _nodejs(built: Built) -> dict[str, Any]:
    return {
        "node_modules_path": str(built.node_modules),
        "dependencies_installed": True,
        "package_count": built.package_count,
        "nodejs_version": built.version,
    }


def _file(path: Path) -> str | None:
    return path.name if path.is_file() else None


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _ignore(_: str) -> None:
    """Nobody listens to the steps of a batch."""
