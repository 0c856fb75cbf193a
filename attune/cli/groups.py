"""Groups of commands that read like tables: what is listed, shown, done and deleted, and where.

    app = Group("Rules: when something happens, and it meets the criteria, an action runs.")
    app.lists("rules", "ref enabled trigger_ref action_ref", by="pack search enabled")
    app.shows("rules/{ref}", "ref label enabled criteria …")
    app.does("enable", "rules/{ref}/enable", "Rule {ref} is enabled.")

    @app.command("test")
    def test(session: Session, ref: Ref, …) -> None:
        "What would this rule make of an event? Nothing is run."

Each command has `--output` and `--profile` besides its own options, and is handed a Session first.
"""

from __future__ import annotations

import inspect
import string
from collections.abc import Callable
from typing import Annotated, Any

import typer

from attune.cli.addresses import place
from attune.cli.completion import refs_of
from attune.cli.errors import CommandError
from attune.cli.output import Format
from attune.cli.session import Session

OutputOption = Annotated[Format | None, typer.Option("--output", "-o", help="How to answer.", show_default=False)]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="Which profile of the profile file.", metavar="NAME", show_default=False)
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=0, help="How many at most; 0: all.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

# What lists can be narrowed by: the option's flags, its type, its help, and the name it has in the API's query.
FILTERS: dict[str, tuple[str, type, str, str]] = {
    "search": ("--search -q", str, "Only those with this in ref, label or description.", "q"),
    "enabled": ("--enabled/--disabled", bool, "Only those that are, or that are not.", "enabled"),
    "trigger": ("--trigger", str, "Only of this trigger.", "trigger_ref"),
    "action": ("--action", str, "Only of this action.", "action_ref"),
    "rule": ("--rule", str, "Only of this rule.", "rule_ref"),
    "status": ("--status", str, "Only in this status.", "status"),
    "in_pack": ("--pack", str, "Only of this pack.", "pack_name"),
    "of_pack": ("--pack", str, "Only of this pack.", "pack_ref"),
    "trace_tag": ("--trace-tag", str, "Only with this tag.", "trace_tag"),
    "owner": ("--owner", str, "Only of this owner.", "owner"),
    "parent": ("--parent", int, "Only children of this execution.", "parent"),
}


def reference(things: str, help: str = "") -> Any:
    """The argument that names one of those things, completed with those that there are."""
    return typer.Argument(metavar="REF", help=help, autocompletion=refs_of(things), show_default=False)


class Group(typer.Typer):
    """The commands about one kind of thing."""

    def __init__(self, help: str) -> None:
        super().__init__(
            help=help, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
        )

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Add a command: a function whose first parameter is the session."""
        register = super().command(name, **settings)

        def add(function: Any) -> Any:
            register(with_session(function))
            return function

        return add

    def lists(self, path: str, columns: str, *, by: str = "", limit: int = 0, pack: bool = False, help: str) -> None:
        """`list`: the rows at that address. `pack`: those of one pack are at `packs/{ref}/` and the same."""
        filters = {name: FILTERS[name] for name in by.split()}

        def run(session: Session, limit: int, pack: str | None = None, **given: Any) -> None:
            asked = {filters[name][3]: value for name, value in given.items()}
            where = f"{place('packs/{ref}', ref=pack)}/{path}" if pack else path
            found = session.api.rows(where, limit=limit, **asked)
            session.output.rows(found, columns.split(), what=path.replace("-", " "))

        options = [_filter(name, *filters[name][:3]) for name in filters]
        if pack:
            options.append(_filter("pack", "--pack", str, "Only of this pack."))
        self._add("list", run, [*options, _parameter("limit", LimitOption, limit)], help)

    def shows(self, path: str, fields: str, *, help: str) -> None:
        """`show`: the one thing at that address."""

        def run(session: Session, **named: Any) -> None:
            answer = session.api.get(place(path, **named))
            session.output.thing(answer.get("data", answer), fields.split())

        self._add("show", run, [_argument(path)], help)

    def does(self, name: str, path: str, done: str, *, help: str) -> None:
        """A verb that is a POST, and what to say when it is done."""

        def run(session: Session, **named: Any) -> None:
            answer = session.api.post(place(path, **named))
            session.output.done(done.format(**named), answer.get("data", answer))

        self._add(name, run, [_argument(path)], help)

    def deletes(self, path: str, what: str, *, help: str) -> None:
        """`delete`: asks first where somebody sits at the terminal."""

        def run(session: Session, yes: bool, **named: Any) -> None:
            name = next(iter(named.values()))
            if not session.agrees(f"Delete {what} {name}?", yes=yes):
                raise CommandError("Nothing is deleted.")
            session.output.done(f"{what.capitalize()} {name} is deleted.", session.api.delete(place(path, **named)))

        self._add("delete", run, [_argument(path), _parameter("yes", YesOption, False)], help)

    def _add(self, name: str, run: Callable[..., None], parameters: list[inspect.Parameter], help: str) -> None:
        run.__signature__ = inspect.Signature([_parameter("session", Session), *parameters])  # type: ignore[attr-defined]
        self.command(name, help=help)(run)


def with_session(function: Callable[..., None]) -> Callable[..., None]:
    """The function as typer calls it: it opens the session from the options that all commands share."""
    _, *own = inspect.signature(function, eval_str=True).parameters.values()

    def run(ctx: typer.Context, output: Format | None, profile: str | None, **given: Any) -> None:
        outer = ctx.find_root().params
        session = Session(profile_name=profile or outer.get("profile"), format=output or outer.get("output") or "table")
        function(session, **given)

    shared = [
        _parameter("ctx", typer.Context),
        _parameter("output", OutputOption, None),
        _parameter("profile", ProfileOption, None),
    ]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *shared)]
    run.__name__, run.__doc__ = function.__name__, _laid_out(function.__doc__)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _laid_out(text: str | None) -> str:
    """A docstring as help: examples, which are indented, keep their lines."""
    text = inspect.cleandoc(f"{text or ''}.").removesuffix(".").rstrip()  # measured from where its last quotes stand
    parts = text.split("\n\n")
    return "\n\n".join(f"\b\n{part}" if part.startswith("    ") else part for part in parts)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _filter(name: str, flags: str, kind: type, help: str) -> inspect.Parameter:
    option = typer.Option(*flags.split(), help=help, show_default=False)
    return _parameter(name, Annotated[kind | None, option], None)


def _argument(path: str) -> inspect.Parameter:
    """What an address leaves open, `{ref}` or `{id}`, as an argument of the command."""
    [name] = [field for _, field, _, _ in string.Formatter().parse(path) if field]
    if name == "id":
        return _parameter("id", Annotated[int, typer.Argument(metavar="ID", min=1, show_default=False)])
    return _parameter(name, Annotated[str, reference(path.partition("/")[0])])
