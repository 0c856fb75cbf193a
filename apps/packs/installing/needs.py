"""The packs that a pack needs, when it is installed: met already, to be installed before it, or in the way."""

from __future__ import annotations

from typing import Any

from apps.packs.errors import InstallRefused
from apps.packs.installing.bringing import Asked
from apps.packs.installing.planning import Plan
from apps.packs.loading import LoadReport
from apps.packs.registry import dependencies, lookup
from apps.packs.registry.dependencies import Candidate


def to_install(report: LoadReport, plan: Plan, *, asked: Asked, options: dict[str, Any]) -> list[Asked]:
    """What to install before it, in this order; what was found is noted in the plan, and left to `refuse` there.

    `options`: `with_dependencies` takes from the pack indices what is missing, `skip_deps` looks at nothing.
    """
    manifest = report.manifest.fields["dependencies"] if report.manifest else {}
    needs = dependencies.wanted_of(manifest, by=report.ref)
    if not needs or options.get("skip_deps"):
        return []
    installed = dependencies.installed_versions()
    indices = lookup.chosen(asked.registry_id) if options.get("with_dependencies") else []
    found = dependencies.resolve(
        Candidate(report.ref, report.version, tuple(needs)),
        installed=installed,
        available=dependencies.from_indices(indices),
        held=dependencies.held_needs(),
    )
    coming = {one.ref: one for one in found.install if one.ref != report.ref}
    plan.dependencies = [
        {
            "pack_ref": need.ref,
            "version_spec": need.constraint,
            "installed_version": installed.get(need.ref),
            "to_install": coming[need.ref].version if need.ref in coming else None,
        }
        for need in needs
    ]
    plan.obstacles = [str(problem) for problem in found.problems]
    if found.missing and not options.get("with_dependencies"):
        missing = ", ".join(f"{need.ref} {need.constraint}".strip() for need in found.missing)
        plan.obstacles = [
            f"{report.ref} needs {missing}, which is not installed; install it first, or ask for dependencies, too",
            *map(str, found.conflicts),
        ]
    return [
        Asked(source=f"{one.ref}@{one.version}", registry_id=asked.registry_id, pack_ref=one.ref)
        for one in coming.values()
    ]


def insist(plan: Plan) -> None:
    """Raises InstallRefused where a need of the pack stands in the way."""
    if plan.obstacles:
        raise InstallRefused(
            f"{plan.pack_ref} {plan.version} cannot be installed: {'; '.join(plan.obstacles)}.",
            details={"obstacles": plan.obstacles},
        )
