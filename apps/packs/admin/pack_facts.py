"""What a pack's page shows of its coming and going: versions, environment, tests, what it needs and who needs it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils.safestring import SafeString

from apps.access.admin_show import badge
from apps.access.principals import Principal, Role
from apps.access.reach import may, narrow
from apps.packs import services
from apps.packs.admin.catalogue import behind
from apps.packs.admin.install_forms import EnvironmentForm
from apps.packs.admin.pack_tests import outcome, summary_of
from apps.packs.models import Installation, Pack, PackTest, PackVersion
from apps.packs.registry import dependencies
from apps.packs.registry.precedence import allows
from attune.lib.errors import AttuneError

SHOWN = 10  # of installations, and of runs of tests
PARTS = (("Python", "python", "requirements.txt"), ("Node.js", "nodejs", "package.json"))


def upkeep_of(pack: Pack, who: Principal) -> dict[str, Any]:
    """All of it, for the template; little of a pack that has no files."""
    found = {
        "needed_by": [one for one in dependencies.dependents_of(pack.ref) if may(who, Role.VIEWER, one.pack_ref)],
        "needs": _needs(pack),
        "used_by": narrow(who, _rules_elsewhere(pack)),
    }
    if not pack.path:
        return found
    runs = PackTest.objects.filter(pack_ref=pack.ref)
    latest = runs.filter(pack_version=pack.version).first()
    return found | {
        "installed": installed_version(pack),
        "newer": behind().get(pack.ref),
        "versions": _versions(pack),
        "surroundings": environment_of(pack),
        "environment_form": EnvironmentForm.of(pack),
        "has_wishes": bool(pack.environment),
        "has_tests": bool(pack.testing),
        "test": latest,
        "test_outcome": outcome(latest.status) if latest else "",
        "test_result": summary_of(latest.result) if latest else None,
        "test_runs": [{"run": run, "outcome": outcome(run.status)} for run in runs.defer("result")[:SHOWN]],
        "installs": Installation.objects.filter(pack_ref=pack.ref).defer("log", "result")[:SHOWN],
    }


def installed_version(pack: Pack) -> PackVersion | None:
    """The version that is used; None where the pack lies in a folder of somebody's own."""
    return PackVersion.objects.filter(path=pack.path).first() if pack.path else None


def environment_of(pack: Pack) -> dict[str, Any]:
    """What its code needs besides itself, and whether that is there; nothing is built by asking.

    `state` is empty where it asks for nothing but an interpreter.
    """
    wanted = {kind: text_of(pack, file) for _, kind, file in PARTS if pack.path}
    asked = {kind for kind, text in wanted.items() if text.strip()}
    if pack.path and (pack.environment or {}).get("packages"):
        asked.add("python")
    if not asked:
        return {"state": "", "parts": [], "build_log": ""}
    facts = services.environment_facts(pack)
    parts = [
        {"name": name, "file": file, "wanted": wanted[kind], "badge": _badge(facts[kind]["state"]), **facts[kind]}
        for name, kind, file in PARTS
        if kind in asked and facts[kind]
    ]
    states = {part["state"] for part in parts}
    state = next((word for word in ("broken", "missing", "ready") if word in states), "")
    return {"state": state, "badge": _badge(state), "parts": parts, "build_log": facts["build_log"]}


def _badge(state: str) -> SafeString:
    return badge("broken" if state == "missing" else state, state)


def text_of(pack: Pack, name: str, *, limit: int = 64 * 1024) -> str:
    """The beginning of one of the pack's files, empty where it has none."""
    try:
        with (pack.folder / name).open("rb") as opened:
            return opened.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def _versions(pack: Pack) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "digest": row.digest.removeprefix("sha256:"),
            "is_current": row.path == pack.path,
            "size": services.size_of_version(row.folder),
        }
        for row in PackVersion.objects.filter(pack_ref=pack.ref).order_by("-id")
    ]


def _needs(pack: Pack) -> list[dict[str, Any]]:
    """The packs that it needs, and whether the installed ones do."""
    installed = dependencies.installed_versions()
    told = []
    for need in dependencies.wanted_of(pack.dependencies or {}):
        here = installed.get(need.ref)
        told.append({"need": need, "here": here, "is_met": bool(here) and _meets(need.constraint, here)})
    return told


def _meets(constraint: str, version: str | None) -> bool:
    try:
        return bool(version) and allows(constraint, version or "")
    except (ValueError, AttuneError):  # the version of a pack made by hand may be anything
        return False


def _rules_elsewhere(pack: Pack) -> Any:
    """Rules of other packs that wait for its triggers or run its actions."""
    rules = pack.rules.model.objects  # type: ignore[attr-defined]
    return rules.filter(Q(action__pack=pack) | Q(trigger__pack=pack)).exclude(pack=pack).order_by("ref")
