"""The plan of an installation as a page shows it: what comes, changes and goes, with links to what is there."""

from __future__ import annotations

from typing import Any

from apps.access.admin_base import page_url
from apps.packs.models import Installation, Pack

_PAGES = {"actions": "packs.action", "triggers": "packs.trigger", "sensors": "packs.sensor", "rules": "rules.rule"}
_BROKEN = {"rule": "rules.rule", "pack": "packs.pack"}


def plan_of(row: Installation) -> dict[str, Any] | None:
    """What an installation would change or has changed; None where it did not come so far."""
    plan = row.result.get("plan")
    if not isinstance(plan, dict):
        return None
    done = row.kind != Installation.Kind.PREVIEW and row.status == Installation.Status.COMPLETED
    there = {"added", "changed"} if done else {"changed", "removed"}  # of which there are pages at the moment
    kinds = [
        {
            "name": kind,
            "unchanged": changes.get("unchanged", 0),
            **{
                what: [{"ref": ref, "url": _page(kind, ref) if what in there else ""} for ref in changes.get(what, ())]
                for what in ("added", "changed", "removed")
            },
        }
        for kind, changes in plan.get("components", {}).items()
    ]
    return plan | {
        "kinds": kinds,
        "changes": any(kind[what] for kind in kinds for what in ("added", "changed", "removed")),
        "parameters": [
            moved | {"added": [name for name in moved["added"] if name not in moved["now_required"]]}
            for moved in plan.get("parameters", ())
        ],
        "breaks": with_pages(plan.get("breaks", ())),
        "dependencies": _needs(plan.get("dependencies", ())),
    }


def with_pages(breaks: Any) -> list[dict[str, str]]:
    """What would no longer work, each with the address of its page."""
    return [
        found | {"url": page_url(_BROKEN[found["kind"]], found["ref"]) if found.get("kind") in _BROKEN else ""}
        for found in breaks
        if isinstance(found, dict)
    ]


def _page(kind: str, ref: str) -> str:
    return page_url(_PAGES[kind], ref) if kind in _PAGES else ""


def _needs(dependencies: Any) -> list[dict[str, Any]]:
    installed = set(Pack.objects.values_list("ref", flat=True)) if dependencies else set()
    return [need | {"is_here": need.get("pack_ref") in installed} for need in dependencies]
