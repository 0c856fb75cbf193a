"""Ask for a change of what is installed, follow it with its steps and its log, and tell what came of it."""

from __future__ import annotations

from typing import Any

from attune.cli import archive, progress
from attune.cli.addresses import place
from attune.cli.errors import CommandError, lines_of
from attune.cli.output import say, write
from attune.cli.session import Session

TAIL = 20  # lines of the log that are shown when it failed


def send(session: Session, source: str, options: dict[str, Any], *, verbose: bool) -> None:
    """Install what lies on this machine: packed, and sent to the server wherever that is."""
    name, file = archive.opened(source)
    fields = {key: str(value).lower() for key, value in options.items() if value not in (None, "", False)}
    with file:
        asked = session.api.upload("packs/upload", file, name=name, fields=fields | {"wait": "false"})
    follow(session, asked["data"]["install_id"], verbose=verbose)


def ask(session: Session, path: str, body: dict[str, Any], *, verbose: bool) -> None:
    """Ask the server for it, and follow it to its end."""
    given = {key: value for key, value in body.items() if value not in (None, "", False)}
    asked = session.api.post(path, given | {"wait": False})["data"]
    follow(session, asked["install_id"], verbose=verbose)


def follow(session: Session, id: int, *, verbose: bool) -> None:
    """Show how far it is until it is over. Raises: CommandError if it failed."""
    done: dict[str, Any] = {}
    try:
        with progress.shown(verbose=verbose) as shown:
            for event in session.api.follow(place("packs/install/{id}/stream", id=id)):
                if event.name == "progress":
                    shown.step(event.data["step"], event.data["percent"])
                elif event.name == "end":
                    done = event.data
                    shown.step(done["step"], 100 if done["status"] == "completed" else done["percent"])
                else:
                    shown.log(event.data["text"])
    except KeyboardInterrupt:
        say(f"Installation {id} goes on. Watch it again: attune pack installs {id} --follow")
        raise
    tell(session, done, log_was_shown=verbose)


def tell(session: Session, done: dict[str, Any], *, log_was_shown: bool = False) -> None:
    """What came of it. Raises: CommandError if it failed, or if a preview says that it would."""
    result = done.get("result") or {}
    if not session.output.is_table:
        session.output.data(done)
    if done["status"] == "failed":
        details = lines_of(result.get("details") or {}, told=done["error_message"])
        log = [] if log_was_shown else [line for line in done["log"].splitlines() if line != done["error_message"]]
        stage = f" (at the step {done['error_stage']})" if done.get("error_stage") else ""
        hint = f"All of its log: attune pack installs {done['install_id']}"
        raise CommandError(f"{done['error_message']}{stage}", lines=[*log[-TAIL:], *details], hint=hint)
    plan = result.get("plan") or {}
    for warning in plan.get("warnings", []):
        say(f"Warning: {warning}")
    if done["kind"] == "preview":
        if session.output.is_table:
            show_plan(session, plan)
        if plan.get("breaks") or plan.get("obstacles"):
            raise CommandError("It would be refused; --force installs it all the same.")
        return
    say(_sentence(done, result))
    if done["kind"] == "test":
        show_tests(session, done.get("test_result") or {})


def show_plan(session: Session, plan: dict[str, Any]) -> None:
    """What an installation would change, a table for each kind of thing that it would."""
    session.output.thing(plan, ["pack_ref", "from_version", "version", "is_same", "is_downgrade"])
    changes = [
        {"change": change, "kind": kind, "ref": ref}
        for kind, found in (plan.get("components") or {}).items()
        for change in ("added", "changed", "removed")
        for ref in found.get(change) or []
    ]
    for rows, columns in (
        (changes, "change kind ref"),
        (plan.get("parameters"), "ref gone added now_required"),
        (plan.get("dependencies"), "pack_ref version_spec already_installed"),
        (plan.get("breaks"), "kind ref reason"),
        ([{"obstacle": text} for text in plan.get("obstacles") or []], "obstacle"),
    ):
        if rows:
            write("\n")
            session.output.rows(rows, columns.split())


def show_tests(session: Session, found: dict[str, Any]) -> None:
    """The cases of a pack's tests. Raises: CommandError if one failed."""
    cases = [
        case | {"suite": suite.get("name")} for suite in found.get("testSuites", []) for case in suite["testCases"]
    ]
    if session.output.is_table and cases:
        session.output.rows(cases, ["suite", "name", "status", "durationMs", "errorMessage"])
    passed, total, failed = found.get("passed", 0), found.get("totalTests", 0), found.get("failed", 0)
    if failed or found.get("status") in ("failed", "error"):
        raise CommandError(f"{failed} of {total} tests failed.")
    say(f"{passed} of {total} tests passed." if total else "The pack has no tests.")


def _sentence(done: dict[str, Any], result: dict[str, Any]) -> str:
    ref, version, before = done["pack_ref"], done["pack_version"], done.get("from_version")
    if result.get("unchanged"):
        return f"Pack {ref} {version} is installed already; nothing is changed."
    if done["kind"] == "environment":
        return f"What pack {ref} needs is built."
    if done["kind"] == "test":
        return f"Pack {ref} {version} was tested."
    if done["kind"] == "rollback":
        return f"Pack {ref} is back at {version}."
    return f"Pack {ref} {version} is installed" + (f" in place of {before}." if before else ".")
