"""`attune pack index`: the indices that packs are found in by name, and making one's own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attune.cli.groups import Group
from attune.cli.output import say
from attune.cli.session import Session

app = Group("The indices that packs are found in by name, and making one's own.")
app.lists(
    "pack-indices", "id position name url enabled read_at problem", help="The indices, in the order they are asked."
)
app.does("refresh", "pack-indices/{id}/refresh", "Index {id} is read anew.", help="Read an index now.")
app.deletes("pack-indices/{id}", "index", help="Remove an index; packs from it stay.")


@app.command("add")
def add(
    session: Session,
    url: Annotated[str, typer.Argument(metavar="URL", help="Or a file on the server.", show_default=False)],
    name: Annotated[str, typer.Option("--name", help="What people call it.")] = "",
    position: Annotated[int | None, typer.Option("--position", help="Lower ones are asked first.")] = None,
) -> None:
    """Add an index, behind the others if no position is given."""
    body: dict[str, Any] = {"url": url, "name": name or None, "position": position}
    made = session.api.post("pack-indices", {key: value for key, value in body.items() if value is not None})["data"]
    session.output.done(f"Index {made['id']} is added: {made['url']}", made)


@app.command("build")
def build(
    session: Session,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Packs: folders or archives.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Write index.json and the archives here.")] = "",
    name: Annotated[str, typer.Option("--name", help="What the registry is called.")] = "",
    url: Annotated[str, typer.Option("--url", help="Where people find it.")] = "",
    base_url: Annotated[
        str, typer.Option("--base-url", metavar="URL", help="Where the archives are served, if not beside the index.")
    ] = "",
) -> None:
    """Make an index, with checksums, from a folder of packs. No server is asked.

    What --to makes can be served by any web server, and is a registry then.

        attune pack index build ./packs --to ./public --name "Our packs"
    """
    from attune.cli.offline import build_index

    index = build_index(folder, to=to, name=name, url=url, base_url=base_url)
    if not to or not session.output.is_table:
        session.output.data(index)
        return
    rows = [row | {"sources": [source["type"] for source in row["install_sources"]]} for row in index["packs"]]
    session.output.rows(rows, ["ref", "version", "sources", "label"], what="packs")
    say(f"{to}/index.json names them.")
