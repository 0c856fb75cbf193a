"""How a run is kept from what is not its own: the limits, the account and the view it is given, and how that shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.executions.errors import IsolationUnavailable
from apps.executions.isolation import engines, sandboxes
from apps.executions.isolation.views import view_of
from apps.executions.models import Status
from apps.packs.models import Action
from apps.packs.runtimes import Command
from attune.lib.confining import bubblewrap, here, limits
from attune.lib.programs import launcher

LAST_WORDS = 2000  # characters of stderr in which a limit may show


@dataclass(frozen=True)
class Confined:
    """The command that is really started, and the bounds to set where it is forked and not started."""

    argv: list[str]
    bounds: list[tuple[int, int, int]]
    is_sandboxed: bool = False
    contained: engines.Contained | None = None  # in a container, with the environment of its client


def prepare() -> None:
    """Say what our launcher does to itself, so that all it starts inherits it and no run costs more."""
    launcher.plan = {
        "limits": limits.bounds(settings.ATTUNE_LIMITS),
        "no_new_privileges": settings.ATTUNE_NO_NEW_PRIVILEGES,
        "closed_ports": settings.ATTUNE_CLOSED_PORTS,
    }
    launcher.owner = settings.ATTUNE_ACCOUNT


def confine(action: Action, command: Command, *, folder: Path, env: dict[str, str]) -> Confined:
    """The command of one run, in its sandbox, below the limits that it does not inherit. Raises IsolationUnavailable.

    `folder` is the run's own, which is its /tmp and its home inside. `env` is what the program shall find.
    """
    if action.runner_type == Action.Runner.DOCKER:
        contained = engines.contain(action, command.argv[0], folder=folder, env=env, limits=limits_of(action))
        return Confined(contained.argv, [], contained=contained)
    argv, bounds = command.argv, []
    if (own := _own_limits(action)) and limits.hold():
        argv, bounds = [*limits.command(_prlimit(action), own), *argv], limits.bounds(own)
    bwrap = sandboxes.sandbox_for(action)
    if bwrap:
        argv = [*bubblewrap.command(bwrap, view_of(action, command, scratch=folder)), *argv]
    if account := settings.ATTUNE_ACCOUNT:
        argv = [*account.command, *argv]
    return Confined(argv, bounds, bool(bwrap))


def in_words() -> str:
    """What keeps the actions that run here from the rest of this machine, for people."""
    account = settings.ATTUNE_ACCOUNT
    words = [sandboxes.in_words(), *([f"as user {account.name}"] if account else [])]
    if ports := settings.ATTUNE_CLOSED_PORTS:
        words.append(f"without a way to port {', '.join(map(str, ports))}")
    return "; ".join(words)


def _prlimit(action: Action) -> str:
    if not (found := here.program("prlimit")):
        raise IsolationUnavailable(
            f"{action.ref} has limits of its own, and `prlimit` is not on the PATH to set them; install util-linux."
        )
    return found


def limits_of(action: Action) -> dict[str, int]:
    """The limits that hold for a run: the installation's, or the action's where they are stricter."""
    return limits.stricter(settings.ATTUNE_LIMITS, action.limits)


def _own_limits(action: Action) -> dict[str, int]:
    """Those that the launcher does not have. Processor time is counted from a program's start, so it never has that."""
    general = settings.ATTUNE_LIMITS
    if not action.limits and not general["cpu_seconds"]:
        return {}
    held = limits_of(action)
    return {name: value for name, value in held.items() if name == "cpu_seconds" or value != general[name]}


def explain(action: Action, verdict: tuple[Status, dict[str, Any]]) -> tuple[Status, dict[str, Any]]:
    """Add to a failure's error which limit it hit, if one shows."""
    status, columns = verdict
    if action.runner_type == Action.Runner.DOCKER and columns["exit_code"] in engines.UNSTARTED:
        columns["error"] = engines.why_not_started(action, columns)
        return status, columns
    if status == Status.FAILED and columns["exit_code"]:
        said = [columns["error"], *columns["stderr"][-LAST_WORDS:].splitlines()]
        hit = limits.hit(limits_of(action), exit_code=columns["exit_code"], said=said)
        if hit:
            columns["error"] = f"{columns['error'].rstrip('.')}. {hit}"
    return status, columns
