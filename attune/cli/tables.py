"""Tables and lists of facts: in colours and fitted to the window on a terminal, plain and whole everywhere else."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from attune.cli.output import Row, as_yaml, dig, printable, write

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  # of `durationMs`
GOOD = {"completed", "matched", "active", "running", "passed", "ok"}
BAD = {"failed", "timeout", "abandoned", "error", "lost", "offline", "backoff"}
UNDER_WAY = {"requested", "scheduled", "scheduling", "canceling", "starting", "busy"}


def print_rows(rows: Sequence[Row], columns: Sequence[str]) -> None:
    heads = [_head(column) for column in columns]
    cells = [[cell(dig(row, column)) for column in columns] for row in rows]
    if sys.stdout.isatty():
        _print_rich(heads, cells)
        return
    widths = [max(map(len, texts)) for texts in zip(heads, *cells, strict=True)]
    for line in (heads, *cells):
        write("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() + "\n")


def print_facts(facts: Sequence[tuple[str, Any]]) -> None:
    """A name and its value a line; what is more than a line comes below its name."""
    width = max((len(_title(name)) for name, _ in facts), default=0) + 2
    for name, value in facts:
        title = _title(name)
        text = block(value)
        if "\n" in text:
            text = "\n" + "\n".join(f"  {line}" for line in text.splitlines())
            write(f"{_bold(title)}{text}\n")
        else:
            write(f"{_bold(title)}{' ' * (width - len(title))}{text}\n")


def cell(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, list) and all(not isinstance(item, dict | list) for item in value):
        return ", ".join(cell(item) for item in value)
    if isinstance(value, dict | list):
        return printable(json.dumps(value, ensure_ascii=False)) if value else ""
    return printable(_plain(value)).strip()


def block(value: Any) -> str:
    """A value on as many lines as it takes."""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value)):
        return printable(as_yaml(value).rstrip(), keep="\n")
    if isinstance(value, str) and "\n" in value.strip("\n"):
        return printable(value.strip("\n"), keep="\n\t")
    return cell(value)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and _MOMENT.match(value):
        return _here(value)
    return str(value)


def _here(moment: str) -> str:
    """A moment of the wire in the time zone of this machine."""
    try:
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return moment


def _title(name: str) -> str:
    return _HUMP.sub(" ", name.replace("_", " "))


def _head(column: str) -> str:
    return _title(column.rpartition(".")[2].removesuffix("_ref").removesuffix("_refs")).upper()


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if _is_colourful() else text


def _is_colourful() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _print_rich(heads: list[str], cells: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold" if _is_colourful() else "")
    for place, head in enumerate(heads, 1):
        is_last = place == len(heads)  # it is the one that gives way where the window is narrow
        table.add_column(Text(head), overflow="fold" if is_last else "ellipsis", no_wrap=not is_last)
    for line in cells:
        table.add_row(*(Text(text, style=_style(text)) for text in line))
    Console(highlight=False, emoji=False, markup=False).print(table)


def _style(text: str) -> str:
    if text in GOOD:
        return "green"
    return "red" if text in BAD else "yellow" if text in UNDER_WAY else ""
