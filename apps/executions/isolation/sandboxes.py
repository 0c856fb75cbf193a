"""Whether a run has a sandbox: what its action, its pack and the installation say, and what this machine can do."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from apps.executions.errors import IsolationUnavailable
from apps.packs.models import Action, Sandbox
from attune.lib.confining import bubblewrap


@dataclass(frozen=True)
class Offer:
    """The sandbox of this machine: the program, or why there is none, as the end of a sentence."""

    program: str
    problem: str = ""


@cache
def offer() -> Offer:
    """What this machine can do, tried once in each process."""
    program = shutil.which("bwrap")
    if not program:
        return Offer("", "bubblewrap is not installed")
    setpriv = shutil.which("setpriv")
    before = [setpriv, "--no-new-privs", "--"] if setpriv and settings.ATTUNE_NO_NEW_PRIVILEGES else []
    with tempfile.TemporaryDirectory(prefix="attune-trial-") as scratch:
        problem = bubblewrap.trial(program, before=before, scratch=scratch)
    return Offer("" if problem else program, problem)


def sandbox_for(action: Action) -> str:
    """The program to run it in; empty if it runs without. Raises IsolationUnavailable where it must and cannot."""
    setting = settings.ATTUNE_SANDBOX
    asked = (action.sandbox or action.pack.sandbox) if action.network else Sandbox.BWRAP
    if setting != Sandbox.BWRAP and asked != Sandbox.BWRAP and (setting == Sandbox.NONE or asked == Sandbox.NONE):
        return ""
    found = offer()
    if found.program or (setting != Sandbox.BWRAP and asked != Sandbox.BWRAP):
        return found.program
    why = "the installation wants every action in a sandbox" if asked != Sandbox.BWRAP else "it asks for a sandbox"
    raise IsolationUnavailable(
        f"{action.ref} cannot run here: {why}, and {found.problem}. Install bubblewrap 0.8 or later and let this user "
        "make user namespaces, or see docs/isolation.md for running without."
    )


def in_words() -> str:
    """What this machine offers, for people."""
    if settings.ATTUNE_SANDBOX == Sandbox.NONE:
        return "no sandbox, unless an action asks for it"
    found = offer()
    return "sandboxed by bubblewrap" if found.program else f"no sandbox: {found.problem}"
