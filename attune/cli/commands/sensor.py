"""`attune sensor`: the programs that watch the world."""

from __future__ import annotations

from typing import Annotated

import typer

from attune.cli.addresses import place
from attune.cli.groups import Group, reference
from attune.cli.output import write_raw
from attune.cli.session import Session

app = Group("Sensors: the programs that watch the world.")
app.lists("sensors", "ref enabled trigger_refs label", by="search", pack=True, help="The sensors of all packs.")
app.shows(
    "sensors/{ref}",
    "ref label description enabled trigger_refs runner_type entrypoint process tags",
    help="A sensor, and how its process fares.",
)
app.does("restart", "sensors/{ref}/restart", "Sensor {ref} restarts in a moment.", help="Start its process anew.")
app.does("enable", "sensors/{ref}/enable", "Sensor {ref} is enabled.", help="Let it run.")
app.does("disable", "sensors/{ref}/disable", "Sensor {ref} is disabled.", help="Stop it.")


@app.command("logs")
def logs(
    session: Session,
    ref: Annotated[str, reference("sensors")],
    limit: Annotated[int, typer.Option("--bytes", min=1, help="How much of the end.")] = 64 * 1024,
) -> None:
    """The end of what a sensor wrote to its log."""
    text = session.api.text(place("sensors/{ref}/logs/stderr", ref=ref), limit=limit)
    if session.output.is_table:
        write_raw(text)
    else:
        session.output.data({"stderr": text.decode(errors="replace")})
