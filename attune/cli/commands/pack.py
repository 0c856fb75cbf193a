"""`attune pack`: find, install, update, configure, test and write packs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attune.cli.addresses import place
from attune.cli.commands import pack_config, pack_index
from attune.cli.completion import refs_of
from attune.cli.errors import CommandError, Misused
from attune.cli.groups import Group, YesOption, reference
from attune.cli.output import say, write
from attune.cli.session import Session

app = Group("Packs: find, install, update, configure, test and write them.")
app.lists("packs", "ref version enabled is_adhoc label", by="search", help="The packs that are loaded.")
app.shows(
    "packs/{ref}",
    "ref label description version enabled is_standard is_adhoc author license homepage path digest loaded_at "
    "dependencies runtime_deps action_count trigger_count sensor_count rule_count tags effective_config",
    help="A pack that is loaded.",
)
app.does("enable", "packs/{ref}/enable", "Pack {ref} is enabled.", help="Let its actions and sensors run.")
app.does("disable", "packs/{ref}/disable", "Pack {ref} is disabled.", help="Let none of its actions and sensors run.")
app.add_typer(pack_config.app, name="config")
app.add_typer(pack_index.app, name="index")

OF_AN_INDEX = (
    "ref label description version versions installed author license homepage keywords runtime_deps dependencies from "
    "install_sources"
)
Ref = Annotated[str, reference("packs")]
Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="./folder, pack.tar.gz, git+https://…[@ref][#folder], an archive's URL, or a name: slack, slack@1.2.0",
        autocompletion=refs_of("pack-indices/packs", field="pack.ref", label="pack.label"),
        show_default=False,
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the log as it comes.")]
Force = Annotated[bool, typer.Option("--force", help="Even if it breaks rules or packs.")]
SkipTests = Annotated[bool, typer.Option("--skip-tests", help="Do not run the pack's tests.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]
WithDependencies = Annotated[bool, typer.Option("--with-dependencies", help="Install the packs that it needs, too.")]


@app.command("install")
def install(
    session: Session,
    source: Source,
    ref: Annotated[str, typer.Option("--ref", metavar="REF", help="Branch, tag, commit or version.")] = "",
    subdirectory: Annotated[str, typer.Option("--subdirectory", metavar="FOLDER", help="Where it is in it.")] = "",
    checksum: Annotated[str, typer.Option("--checksum", metavar="sha256:…", help="Refuse anything else.")] = "",
    with_dependencies: WithDependencies = False,
    registry: Annotated[int | None, typer.Option("--registry", metavar="ID", help="Ask this index alone.")] = None,
    no_registry: Annotated[bool, typer.Option("--no-registry", help="It is no name of an index.")] = False,
    force: Force = False,
    skip_tests: SkipTests = False,
    dry_run: DryRun = False,
    verbose: Verbose = False,
) -> None:
    """Install a pack from anywhere, and follow it with its steps.

    What lies on this machine is packed and sent, wherever the server is; a name without a / is one of an index.

        attune pack install ./my_pack
        attune pack install git+https://git.example.org/packs.git@v1.2.0#slack
        attune pack install slack@1.2.0 --with-dependencies
    """
    from attune.cli import archive, installing

    options: dict[str, Any] = {"force": force, "skip_tests": skip_tests, "dry_run": dry_run}
    options["with_dependencies"] = with_dependencies
    if archive.is_here(source):
        if ref or subdirectory or checksum or registry or no_registry:
            raise Misused("What lies on this machine is sent as it is; the rest is for what the server fetches.")
        installing.send(session, source, options, verbose=verbose)
        return
    if archive.is_folder(source):
        say(f"{source} is looked for in the indices; for the folder of that name, write ./{source}")
    options |= {"source": source, "ref_spec": ref, "subdirectory": subdirectory, "checksum": checksum}
    options |= {"registry_id": registry, "no_registry": no_registry}
    installing.ask(session, "packs/install", options, verbose=verbose)


@app.command("preview")
def preview(session: Session, source: Source, verbose: Verbose = False) -> None:
    """What would installing it change? Fails if it would be refused."""
    install(session, source, dry_run=True, verbose=verbose)


@app.command("upload")
def upload(
    session: Session,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder or an archive.", show_default=False)],
    with_dependencies: WithDependencies = False,
    force: Force = False,
    skip_tests: SkipTests = False,
    dry_run: DryRun = False,
    verbose: Verbose = False,
) -> None:
    """Install a pack that lies on this machine."""
    from attune.cli import installing

    options = {"force": force, "skip_tests": skip_tests, "dry_run": dry_run, "with_dependencies": with_dependencies}
    installing.send(session, path, options, verbose=verbose)


@app.command("update")
def update(
    session: Session,
    ref: Ref,
    to: Annotated[str, typer.Option("--to", metavar="VERSION", help="Or a range; if not given, the latest.")] = "",
    with_dependencies: WithDependencies = False,
    force: Force = False,
    skip_tests: SkipTests = False,
    dry_run: DryRun = False,
    verbose: Verbose = False,
) -> None:
    """Install a pack anew from where it came."""
    options = {"force": force, "skip_tests": skip_tests, "dry_run": dry_run, "with_dependencies": with_dependencies}
    _ask(session, "packs/{ref}/update", ref, {"version": to} | options, verbose)


@app.command("reload")
def reload(session: Session, ref: Ref, verbose: Verbose = False) -> None:
    """Take over what was changed in the folder that a pack came from."""
    _ask(session, "packs/{ref}/reload", ref, {}, verbose)


@app.command("rollback")
def rollback(
    session: Session,
    ref: Ref,
    to: Annotated[str, typer.Option("--to", metavar="VERSION", help="If not given, the one before.")] = "",
    digest: Annotated[str, typer.Option("--digest", metavar="sha256:…", help="Where a version is there twice.")] = "",
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Go back to a version that was used before."""
    _ask(session, "packs/{ref}/rollback", ref, {"version": to, "digest": digest, "force": force}, verbose)


@app.command("build")
def build(
    session: Session,
    ref: Ref,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Even if it is there already.")] = False,
    verbose: Verbose = False,
) -> None:
    """Build what a pack's code needs: its Python environment, its Node.js modules."""
    _ask(session, "packs/{ref}/environment", ref, {"force_rebuild": rebuild}, verbose)


@app.command("test")
def test(session: Session, ref: Ref, verbose: Verbose = False) -> None:
    """Run a pack's own tests on the server."""
    _ask(session, "packs/{ref}/test", ref, {}, verbose)


@app.command("versions")
def versions(session: Session, ref: Ref) -> None:
    """The versions of a pack that are kept, to go back to."""
    found = session.api.rows(place("packs/{ref}/versions", ref=ref))
    columns = "version is_current installed_at installed_by source digest"
    session.output.rows(found, columns.split(), what="versions")


@app.command("uninstall")
def uninstall(session: Session, ref: Ref, yes: YesOption = False) -> None:
    """Take a pack away. It is refused while another pack or a rule needs it."""
    if not session.agrees(f"Uninstall pack {ref}?", yes=yes):
        raise CommandError("Nothing is uninstalled.")
    session.output.done(f"Pack {ref} is uninstalled.", session.api.delete(place("packs/{ref}", ref=ref)))


@app.command("installs")
def installs(
    session: Session,
    id: Annotated[int | None, typer.Argument(metavar="[ID]", min=1, show_default=False)] = None,
    pack: Annotated[str, typer.Option("--pack", metavar="REF", help="Only of this pack.")] = "",
    status: Annotated[str, typer.Option("--status", help="requested, running, completed or failed.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it is over.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many at most; 0: all.")] = 50,
) -> None:
    """The installations, latest first; or one of them, with its log."""
    if id is None:
        found = session.api.rows("packs/install", limit=limit, pack_ref=pack or None, status=status or None)
        columns = "install_id kind pack_ref pack_version status step started_at error_message"
        session.output.rows(found, columns.split(), what="installations")
        return
    if follow:
        from attune.cli.installing import follow as follow_it

        follow_it(session, id, verbose=True)
        return
    one = session.api.get(place("packs/install/{id}", id=id))["data"]
    fields = "install_id kind status source pack_ref pack_version from_version step percent error_message requested_by"
    session.output.thing(one, f"{fields} started_at finished_at log".split())


@app.command("search")
def search(
    session: Session,
    words: Annotated[list[str] | None, typer.Argument(metavar="[WORD]...", show_default=False)] = None,
) -> None:
    """Find packs that can be installed by name."""
    found = session.api.get("pack-indices/packs", q=" ".join(words or ()) or None)["data"]
    columns = "pack.ref pack.version installed_version pack.description registry.name"
    session.output.rows(found, columns.split(), what="packs found")


@app.command("info")
def info(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
) -> None:
    """What an index says of a pack, before it is installed."""
    found = session.api.get(place("pack-indices/packs/{ref}", ref=name))["data"]
    if not session.output.is_table:
        session.output.data(found)
        return
    known = {"versions": found.get("versions"), "installed": found.get("installed_version")}
    about = found["pack"] | known | {"from": found["registry"].get("name") or found["registry"]["url"]}
    session.output.thing(about, OF_AN_INDEX.split())
    contents = [
        {"kind": kind, **item} for kind, items in (found["pack"].get("contents") or {}).items() for item in items
    ]
    if contents:
        write("\n")
        session.output.rows(contents, ["kind", "name", "description"])
    say(f"Install it: attune pack install {name}")


# Without a server ----------------------------------------------------------------------------------------------------
@app.command("create")
def create(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its ref, such as my_pack.", show_default=False)],
    folder: Annotated[str, typer.Option("--dir", metavar="FOLDER", help="Where; if not given, ./NAME.")] = "",
    runner: Annotated[str, typer.Option("--runner", metavar="shell|python|nodejs", help="What runs it.")] = "shell",
) -> None:
    """Write a small pack that works, to begin with: an action, a trigger, a rule, tests. No server is asked."""
    from attune.cli import skeleton

    made = skeleton.write(name, folder, runner)
    here = f"{made}" if made.is_absolute() else f"./{made}"
    steps = [f"attune pack check {here}", f"attune pack install {here}", f"attune pack test {name}"]
    said = "\n".join([f"Pack {name} is in {here}. What next:", *(f"  {step}" for step in steps)])
    session.output.done(said, {"ref": name, "path": str(made), "runner": runner})


@app.command("check")
def check(
    session: Session,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A pack's folder.", show_default=False)] = ".",
) -> None:
    """Say what is wrong with a pack, file and line. No server is asked."""
    from attune.cli import offline

    offline.check(session, path)


def _ask(session: Session, path: str, ref: str, body: dict[str, Any], verbose: bool) -> None:
    from attune.cli import installing

    installing.ask(session, place(path, ref=ref), body, verbose=verbose)
