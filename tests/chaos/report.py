"""What each chaos went through once all equations held: a line for each, and `make chaos` ends with all of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `make chaos` reads the report without Django
    from tests.chaos.town import Town

PLACE = "CHAOS_REPORT"  # the variable that names the file
WORDS = ("events", "verdicts", "executions", "abandoned", "lost, doubled, at the same time")
_COUNTS = """
    SELECT (SELECT count(*) FROM rules_event),
           (SELECT count(*) FROM rules_enforcement)
               + (SELECT coalesce(sum(jsonb_array_length(misses)), 0) FROM rules_event),
           (SELECT count(*) FROM executions_execution),
           (SELECT count(*) FROM executions_execution WHERE status = 'abandoned')"""


def note(town: Town) -> None:
    """Keep what has come since the last time, under the name of the test that runs."""
    counts = [int(count) for count in town.rows(_COUNTS)[0]]
    new = [count - before for count, before in zip(counts, town.told or [0] * len(counts), strict=True)]
    town.told = counts
    if PLACE in os.environ:
        name = os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].partition(" (")[0]
        with Path(os.environ[PLACE]).open("a") as file:
            file.write(json.dumps([name, *new]) + "\n")


def told(path: Path) -> str:
    """All lines as a table in Markdown; what was lost or doubled has failed its test, and has none."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [("what was done", *WORDS), ("---",) * (len(WORDS) + 1)]
    for name, *counts in rows:
        words = name.removeprefix("test_").replace("_", " ")
        lines.append((words, *(str(count) for count in counts), "0"))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
