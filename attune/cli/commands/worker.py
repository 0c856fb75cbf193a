"""`attune worker`: the processes that run actions."""

from __future__ import annotations

from typing import Annotated

import typer

from attune.cli.addresses import place
from attune.cli.completion import refs_of
from attune.cli.errors import NotFound
from attune.cli.groups import Group
from attune.cli.session import Session

app = Group("Workers: the processes that run actions.")
app.lists(
    "workers",
    "id name host state running threads leader labels last_heartbeat",
    by="search status",
    help="The workers, with what each is doing.",
)

Worker = Annotated[
    str,
    typer.Argument(
        metavar="ID|NAME", autocompletion=refs_of("workers", field="name", label="state"), show_default=False
    ),
]


@app.command("drain")
def drain(
    session: Session,
    worker: Worker,
    reason: Annotated[str, typer.Option("--reason", help="Others will read it.")] = "",
) -> None:
    """Let a worker finish what it runs, and take nothing new."""
    answer = session.api.post(place("workers/{id}/drain", id=_number(session, worker)), {"reason": reason})
    session.output.done(f"Worker {answer['name']} takes nothing new; it runs {answer['running']} now.", answer)


@app.command("undrain")
def undrain(session: Session, worker: Worker) -> None:
    """Let a worker take executions again."""
    answer = session.api.post(place("workers/{id}/undrain", id=_number(session, worker)))
    session.output.done(f"Worker {answer['name']} takes executions again.", answer)


def _number(session: Session, worker: str) -> int:
    if worker.isascii() and worker.isdigit():
        return int(worker)
    for row in session.api.rows("workers", q=worker):
        if row["name"] == worker:
            return int(row["id"])
    raise NotFound(f"There is no worker {worker}.", hint="See them all: attune worker list")
