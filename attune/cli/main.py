"""The root of the command: its groups, each imported when it is called for, and what every error becomes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from attune.cli import VERSION
from attune.cli.errors import EXIT_CODES, CommandError
from attune.cli.groups import OutputOption, ProfileOption, with_session
from attune.cli.output import say
from attune.cli.session import Session

GROUPS = {
    "auth": "Sign in and out; who am I.",
    "pack": "Packs: find, install, update, configure, test and write them.",
    "action": "Actions: what can be run, and running it.",
    "execution": "Executions: what ran, what came of it, what it says right now.",
    "rule": "Rules: when something happens, and it meets the criteria, an action runs.",
    "trigger": "Triggers: the kinds of event that there are.",
    "sensor": "Sensors: the programs that watch the world.",
    "event": "Events: what happened, and what the rules made of it.",
    "key": "Keys: secrets and settings that actions may read.",
    "worker": "Workers: the processes that run actions.",
}
FOOTER = "\n".join(["\b", "Exit codes:", *(f"  {code:<3}  {meaning}" for code, meaning in EXIT_CODES.items())])


class Root(TyperGroup):
    """Knows its groups by name, so that `attune --help` imports none of them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        groups = {name: TyperCommand(name, help=help, rich_markup_mode=None) for name, help in GROUPS.items()}
        self.commands = {**groups, **self.commands}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name in GROUPS:
            command = typer.main.get_command(import_module(f"attune.cli.commands.{name}").app)
            command.name = name
        return name, command, rest


app = typer.Typer(
    cls=Root,
    help="Attune from the command line: something happens, rules decide, actions run.",
    epilog=FOOTER,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(output: OutputOption = None, profile: ProfileOption = None) -> None:
    """Both are read by the commands themselves, which have them too."""


@app.command("version")
@with_session
def version(
    session: Session, server: Annotated[bool, typer.Option("--server", help="Ask the server for its own too.")] = False
) -> None:
    """The version of this command."""
    versions = {"client": VERSION}
    if server:
        versions["server"] = session.api.get("/health/detailed")["version"]
    if session.output.is_table:
        sys.stdout.write(f"attune {VERSION}\n" + (f"server {versions['server']}\n" if server else ""))
    else:
        session.output.data(versions)


def main() -> int:
    """Run the command; its exit code. No error of ours ends in a traceback."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that knows ASCII only
    try:
        app(prog_name="attune")
    except SystemExit as ended:
        return _code(ended)
    except CommandError as error:
        _tell(error)
        return error.exit_code
    except Exception as error:
        if "ATTUNE_TRACEBACK" in os.environ:
            raise
        say(f"Error: this command has a fault of its own: {error!r}.\nTo see where, set ATTUNE_TRACEBACK=1.")
        return 1
    return 0


def _code(ended: SystemExit) -> int:
    return ended.code if isinstance(ended.code, int) else int(bool(ended.code))


def _tell(error: CommandError) -> None:
    say("\n".join([f"Error: {error.message}", *(f"  {line}" for line in error.lines), *filter(None, [error.hint])]))
