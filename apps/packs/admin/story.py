"""An installation in words: what it does or did, its steps, and what to do next when it failed."""

from __future__ import annotations

from typing import Any

from apps.access.admin_show import ago, span
from apps.packs.models import Installation

Kind, Status, Step = Installation.Kind, Installation.Status, Installation.Step

STEPS: dict[str, tuple[Installation.Step, ...]] = {
    Kind.INSTALL: tuple(Step),
    Kind.PREVIEW: (Step.FETCH, Step.VERIFY, Step.UNPACK, Step.ANALYSE),
    Kind.ROLLBACK: (Step.ANALYSE, Step.BUILD, Step.TEST, Step.REGISTER, Step.SWITCH),
    Kind.ENVIRONMENT: (Step.ANALYSE, Step.BUILD),
    Kind.TEST: (Step.ANALYSE, Step.BUILD, Step.TEST),
}
_DOING = {
    Step.FETCH: "fetching its files",
    Step.VERIFY: "comparing checksums",
    Step.UNPACK: "unpacking it",
    Step.ANALYSE: "reading its files",
    Step.BUILD: "building what its code needs",
    Step.TEST: "running its tests",
    Step.REGISTER: "writing down what it defines",
    Step.SWITCH: "switching to it",
}
_TITLES: dict[str, dict[str, str]] = {
    Kind.INSTALL: {
        "open": "Installing {what}",
        "completed": "{what} is installed",
        "failed": "{what} was not installed",
    },
    Kind.PREVIEW: {
        "open": "Looking at what {what} would change",
        "completed": "What installing {what} would change",
        "failed": "{what} could not be looked at",
    },
    Kind.ROLLBACK: {
        "open": "Going back to {what}",
        "completed": "{what} is in use again",
        "failed": "{what} did not come back",
    },
    Kind.ENVIRONMENT: {
        "open": "Building the environment of {what}",
        "completed": "The environment of {what} is built",
        "failed": "The environment of {what} was not built",
    },
    Kind.TEST: {
        "open": "Testing {what}",
        "completed": "The tests of {what} have run",
        "failed": "The tests of {what} did not run",
    },
}
_ADVICE = {
    "pack_invalid": "Mend these places in the pack's files, then try again.",
    "source_invalid": "Change the source as it says, then try again.",
    "fetch_failed": "See whether the address is right and this server can reach it, then try again.",
    "checksum_mismatch": (
        "What came is not what was promised. Ask whoever publishes it before you do anything else; if the checksum was "
        "mistyped, correct it."
    ),
    "archive_refused": "Ask whoever made the archive for one that holds only the pack's own files.",
    "install_refused": "Change what stands in the way, or have it overlooked.",
    "not_in_any_index": "Look for it in the catalogue, add the index that has it, or give an address.",
    "environment_broken": (
        "The end of the log says what could not be built; pin another version under the pack's environment."
    ),
    "runtime_missing": "Install that interpreter on the machine of every worker, then try again.",
    "not_editable": "",
    "lost": "Look at the log: it may need more memory or time than there is.",
}


def what_of(row: Installation) -> str:
    """The pack by its name and version where they are known, else the source."""
    named = f"{row.pack_ref} {row.pack_version}".strip() if row.pack_ref else source_of(row)
    return named or f"installation {row.pk}"


def source_of(row: Installation) -> str:
    """Where it comes from, as a person knows it: a file that was sent by the name it had."""
    return str(row.options.get("upload_name") or row.source)


def title(row: Installation) -> str:
    """What happens, or happened, in a few words."""
    stage = row.status if row.is_final else "open"
    if row.kind == Kind.INSTALL and stage == Status.COMPLETED and row.result.get("unchanged"):
        return f"{what_of(row)} is in use already"
    return _TITLES[row.kind][stage].format(what=what_of(row))


def story(row: Installation) -> str:
    """One or two sentences: how far it is, and what happens next."""
    by = f" by {row.requested_by}" if row.requested_by else ""
    if row.status == Status.REQUESTED:
        return f"Asked for{by} {ago(row.created)}; it waits for a worker."
    if row.status == Status.RUNNING:
        doing = _DOING[Step(row.step)] if row.step else "beginning"
        since = f" It began {ago(row.started_at)}." if row.started_at else ""
        again = f" Attempt {row.attempt}: the worker of the one before died." if row.attempt > 1 else ""
        return f"{doing.capitalize()}.{since}{again}"
    took = span((row.finished_at - row.started_at).total_seconds()) if row.finished_at and row.started_at else "no time"
    if row.status == Status.COMPLETED:
        why = {Kind.PREVIEW: " Nothing was changed by looking."}.get(Kind(row.kind), "")
        if row.result.get("unchanged"):
            why = " These very files are in use, so there was nothing to do."
        return f"Asked for{by}, done in {took}.{why}"
    at = f" while {_DOING[Step(row.step)]}" if row.step else ""
    return f"Asked for{by}, failed after {took}{at}. {_kept(row)}"


def _kept(row: Installation) -> str:
    if row.kind not in (Kind.INSTALL, Kind.ROLLBACK):
        return "Nothing else was changed."
    if row.from_version:
        return f"{row.pack_ref} {row.from_version} is in use as before."
    return "What was installed before is in use as before."


def steps(row: Installation) -> list[dict[str, str]]:
    """The way it takes, each step with how it stands: done, now, bad, skipped or ahead."""
    way = list(STEPS[row.kind])
    at = way.index(Step(row.step)) if row.step in way else -1
    skipped: set[Installation.Step] = set()
    if row.status == Status.COMPLETED:
        if row.result.get("unchanged"):
            skipped = set(way[way.index(Step.ANALYSE) + 1 :])
        elif row.result.get("tests_skipped"):
            skipped = {Step.TEST}
    told = []
    for number, step in enumerate(way):
        if row.status == Status.COMPLETED:
            state = "skipped" if step in skipped else "done"
        elif number < at:
            state = "done"
        elif row.status == Status.RUNNING and number == max(at, 0):
            state = "now"
        elif row.status == Status.FAILED and number == max(at, 0):
            state = "bad"
        else:
            state = "ahead"
        note = {"skipped": "left out" if row.options.get("skip_tests") else "not needed", "bad": "failed here"}
        told.append({"name": str(step.value), "state": state, "note": note.get(state, "")})
    return told


def advice(row: Installation) -> str:
    """What a person can do about a failure, beyond what its message says."""
    if row.kind == Kind.TEST and row.error_code == "environment_broken":
        return "Mend its environment first."
    return _ADVICE.get(row.error_code, "The log below says how far it came.")


def details_of(row: Installation) -> dict[str, Any]:
    """What a failure names: `faults` with file and line, `breaks`, `obstacles`."""
    details = row.result.get("details")
    return details if isinstance(details, dict) else {}


def test_result_of(row: Installation) -> dict[str, Any] | None:
    """The tests that it ran, be it that they let it pass or not."""
    found = row.result.get("test_result") or details_of(row).get("test_result")
    return found if isinstance(found, dict) else None
