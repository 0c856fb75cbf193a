"""The steps of an install: fetch, verify, unpack, analyse, build, test, register, switch. Aside, until the last."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.packs import environments, loading, testing
from apps.packs.environments import Wanted
from apps.packs.errors import InstallRefused, NotEditable
from apps.packs.installing import bringing, needs, planning, store, switching
from apps.packs.installing.bringing import Asked, Brought
from apps.packs.installing.planning import Plan
from apps.packs.installing.progress import Progress
from apps.packs.loading import LoadReport
from apps.packs.models import Installation, Pack
from attune.lib import crash

Step = Installation.Step


@dataclass
class Work:
    """One installation as its steps see it: what was asked, by whom, and where to tell how far it is."""

    progress: Progress
    options: dict[str, Any]
    actor: str
    origin: str
    reason: str
    deadline: float  # by the monotonic clock
    installation: Installation
    staged: list[Path] = field(default_factory=list)  # folders to be removed at the end

    def left(self) -> float:
        """Seconds until it must be done."""
        return max(1.0, self.deadline - time.monotonic())


def install(work: Work, asked: Asked, *, only_plan: bool = False, under: tuple[str, ...] = ()) -> dict[str, Any]:
    """Bring a pack and use it; what came of it, for the row. `under`: the packs it is brought along for."""
    progress = work.progress
    progress.step(Step.FETCH)
    progress.say(f"Fetching {asked.pack_ref or asked.upload_name or bringing.shown(asked)}")
    staging = store.staging(f"{work.installation.pk}-{progress.attempt}-{len(work.staged)}")
    work.staged.append(staging)
    brought = bringing.bring(asked, staging / "pack", say=progress.say, step=progress.step, deadline=work.deadline)
    crash.point("install-fetched")
    progress.step(Step.ANALYSE)
    report, plan = analyse(brought, under)
    if not under:
        progress.know(pack_ref=plan.pack_ref, pack_version=plan.version, from_version=plan.from_version)
    for line in plan.warnings:
        progress.say(f"warning: {line}")
    before = needs.to_install(report, plan, asked=asked, options=work.options)
    result: dict[str, Any] = {"plan": plan.as_dict(), "provenance": brought.provenance, "unchanged": False}
    if only_plan:
        return result
    force = bool(work.options.get("force"))
    refuse(plan, force=force)
    if plan.is_same and not force:
        progress.say(f"{plan.pack_ref} {plan.version} is in use already, with these very files.")
        return result | {"unchanged": True}
    if not force:
        needs.insist(plan)
    for need in before:
        install(work, need, under=(*under, plan.pack_ref))
    folder = store.place(brought.folder, ref=plan.pack_ref, version=plan.version, digest=brought.tree)
    crash.point("install-placed")
    result |= prepare(work, report, folder, Pack.objects.filter(ref=plan.pack_ref).first())
    insist(result)
    progress.step(Step.REGISTER)
    version, loaded = switching.switch(
        folder,
        digest=brought.tree,
        actor=work.actor,
        origin=work.origin,
        reason="install" if under else work.reason,
        source=bringing.shown(asked),
        source_type=brought.source_type,
        git_commit=brought.git_commit,
        provenance=brought.provenance,
    )
    progress.step(Step.SWITCH)
    progress.say(f"{loaded.ref} {version.version} is in use: {_said(loaded)}.")
    return result


def analyse(brought: Brought, under: tuple[str, ...]) -> tuple[LoadReport, Plan]:
    """Read the files and compare them with what is installed. Raises PackInvalid, InstallRefused, NotEditable."""
    report = loading.load_pack(brought.folder, check_only=True)
    if not report.ok:
        raise switching.invalid(report)
    if brought.pack_ref and report.ref != brought.pack_ref:
        raise InstallRefused(
            f"{brought.pack_ref} was asked for, but what came calls itself {report.ref}; nothing was installed."
        )
    if report.ref in under:
        path = " → ".join((*under[under.index(report.ref) :], report.ref))
        raise InstallRefused(f"The packs need one another in a circle: {path}; one of them must do without.")
    plan = planning.plan(report, digest=brought.tree)
    now = switching.current(report.ref)
    plan.is_same = now is not None and now.digest == brought.tree
    return report, plan


def refuse(plan: Plan, *, force: bool) -> None:
    """Raises InstallRefused, with what would break in its details, unless it is forced; NotEditable never yields."""
    pack = Pack.objects.filter(ref=plan.pack_ref).first()
    if pack is not None and pack.system:
        raise NotEditable(f"Pack {pack.ref} ships with Attune and is upgraded with it.")
    if plan.breaks and not force:
        named = "; ".join(f"{found.kind} {found.ref}: {found.reason}" for found in plan.breaks[:5])
        raise InstallRefused(
            f"{plan.pack_ref} {plan.version} would break what is in use now: {named}. "
            "Change that first, or install with `force`.",
            details={"breaks": [found.as_dict() for found in plan.breaks]},
        )


def prepare(work: Work, report: LoadReport, folder: Path, pack: Pack | None) -> dict[str, Any]:
    """Build what its code needs, and run its tests, at its final place; what came of both."""
    progress, options = work.progress, work.options
    progress.step(Step.BUILD)
    wanted = Wanted.of(pack, folder=folder) if pack else Wanted(ref=report.ref, folder=folder)
    built = environments.ensure(wanted, force=bool(options.get("force_rebuild")), timeout=work.left(), say=progress.say)
    crash.point("install-built")
    found: dict[str, Any] = {"tests_skipped": True}
    manifest = report.manifest.fields["testing"] if report.manifest else {}
    if not options.get("skip_tests") and testing.has_tests(manifest):
        progress.step(Step.TEST)
        result = testing.run_tests(
            ref=report.ref,
            version=report.version,
            folder=folder,
            testing=manifest,
            wanted=wanted,
            python=built.python.interpreter,
            node_modules=built.nodejs.node_modules if built.nodejs else None,
            say=progress.say,
            timeout_cap=work.left(),
        )
        kept = testing.keep(result, reason=work.reason, installation=work.installation)
        found = {"tests_skipped": False, "test_execution_id": kept.pk, "test_result": kept.result}
        if sentence := testing.blocks(result, manifest):
            found["blocked"] = sentence
    return found


def insist(prepared: dict[str, Any]) -> None:
    """Raises InstallRefused where the pack's tests say that it must not be used."""
    if sentence := prepared.get("blocked"):
        tests = {name: prepared[name] for name in ("test_execution_id", "test_result")}
        raise InstallRefused(f"{sentence} Mend them, or install without tests.", details=tests)


def _said(report: LoadReport) -> str:
    counted = [f"{len(getattr(report, what))} {what}" for what in ("added", "changed", "removed")]
    return ", ".join(counted)
