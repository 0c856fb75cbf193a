"""What an install would change: components, parameters, and what elsewhere would break. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apps.packs.components import Changes
from apps.packs.installing import impact
from apps.packs.installing.impact import Break, Change
from apps.packs.loading import LoadReport
from apps.packs.models import Action, Pack, Trigger
from apps.packs.registry import dependencies
from apps.packs.registry.precedence import Precedence


@dataclass
class Plan:
    """The difference between what is installed and what would be."""

    pack_ref: str
    version: str
    digest: str = ""
    from_version: str = ""  # empty: it is not installed yet
    is_same: bool = False  # these very files are in use already
    components: dict[str, Changes] = field(default_factory=dict)
    parameters: list[dict[str, Any]] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dependencies: list[dict[str, Any]] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)  # needs that are not met, as sentences

    @property
    def is_downgrade(self) -> bool:
        return bool(self.from_version) and Precedence(self.version) < Precedence(self.from_version)

    def as_dict(self) -> dict[str, Any]:
        """For the row, the API and the pages."""
        return {
            "pack_ref": self.pack_ref,
            "version": self.version,
            "digest": self.digest,
            "from_version": self.from_version,
            "is_same": self.is_same,
            "is_downgrade": self.is_downgrade,
            "components": {
                kind: {"added": c.added, "changed": c.changed, "removed": c.removed, "unchanged": len(c.unchanged)}
                for kind, c in self.components.items()
                if c.added or c.changed or c.removed or c.unchanged
            },
            "parameters": self.parameters,
            "breaks": [found.as_dict() for found in self.breaks],
            "warnings": self.warnings,
            "dependencies": self.dependencies,
            "obstacles": self.obstacles,
        }


def plan(report: LoadReport, *, digest: str) -> Plan:
    """What loading the files of this report (a check) would change, compared with what the rows say now."""
    pack = Pack.objects.filter(ref=report.ref).first()
    result = Plan(report.ref, report.version, digest, pack.version if pack else "", components=report.changes)
    result.warnings = [str(finding) for finding in (*report.warnings, *report.not_loaded)]
    if pack is None:
        return result
    actions, triggers = _schemas(report, "actions"), _schemas(report, "triggers")
    before = dict(Action.objects.filter(pack=pack).values_list("ref", "parameters_schema"))
    before_triggers = dict(Trigger.objects.filter(pack=pack, is_adhoc=False).values_list("ref", "parameters_schema"))
    for old, new in ((before, actions), (before_triggers, triggers)):
        result.parameters += [found for ref in sorted(old) if ref in new and (found := _moved(ref, old[ref], new[ref]))]
    change = Change(report.ref, _changed(before, actions), _changed(before_triggers, triggers))
    result.breaks = impact.breaks(change)
    result.breaks += [
        Break("pack", found.pack_ref, f"it needs {report.ref} {found.constraint}, which {report.version} does not meet")
        for found in dependencies.breaks(report.ref, report.version)
    ]
    return result


def _schemas(report: LoadReport, kind: str) -> dict[str, dict[str, Any]]:
    return {spec.ref: spec.fields["parameters_schema"] for spec in report.specs.get(kind, ())}


def _changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {ref: new.get(ref) for ref, schema in old.items() if new.get(ref) != schema}


def _moved(ref: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any] | None:
    """Which parameters came, went, or must be given now; None where none did."""
    before, after = old.get("properties", {}), new.get("properties", {})
    required = set(new.get("required", ())) - set(old.get("required", ()))
    found = {
        "gone": sorted(before.keys() - after.keys()),
        "added": sorted(after.keys() - before.keys()),
        "now_required": sorted(name for name in required if "default" not in after.get(name, {})),
    }
    return {"ref": ref, **found} if any(found.values()) else None
