"""What a command says: its answer on stdout, as a table, JSON or YAML; everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Literal

Format = Literal["table", "json", "yaml"]
Row = dict[str, Any]


def say(text: str) -> None:
    """A message for a person."""
    sys.stderr.write(printable(text, keep="\n\t") + "\n")
    sys.stderr.flush()


def write(text: str) -> None:
    """Part of the answer."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_raw(content: bytes, *, to_stderr: bool = False) -> None:
    """What a program has printed, byte for byte."""
    stream = sys.stderr if to_stderr else sys.stdout
    stream.flush()
    stream.buffer.write(content)
    stream.buffer.flush()


class Output:
    """Answers in the format that was asked for."""

    def __init__(self, format: Format = "table") -> None:
        self.format = format

    @property
    def is_table(self) -> bool:
        return self.format == "table"

    def rows(self, rows: Sequence[Row], columns: Sequence[str], *, what: str = "rows") -> None:
        """A list. Machines get all of every row; people the columns named."""
        if not self.is_table:
            self.data(list(rows))
        elif not rows:
            say(f"No {what}.")
        else:
            from attune.cli import tables

            tables.print_rows(rows, columns)

    def thing(self, thing: Row, fields: Sequence[str]) -> None:
        """One thing. People get the fields named that it has."""
        if not self.is_table:
            self.data(thing)
            return
        from attune.cli import tables

        tables.print_facts([(name, thing[name]) for name in fields if _says_something(thing.get(name))])

    def data(self, value: Any) -> None:
        """Any value; as a table is not asked for, or makes no sense, JSON."""
        if self.format == "yaml":
            write(as_yaml(value))
        else:
            write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")

    def done(self, message: str, answer: Any = None) -> None:
        """Something is done: people are told so, machines get the answer."""
        if self.is_table:
            say(message)
        else:
            self.data(answer if answer is not None else {"message": message})


def as_yaml(value: Any) -> str:
    import yaml

    return yaml.dump(
        value,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        allow_unicode=True,
        width=120,
    )


def printable(text: str, *, keep: str = "") -> str:
    """The text without what would move the cursor, ring the bell, or be read as a command of the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char if char == "\u00a0" else char.encode("unicode_escape").decode("ascii")


def dig(row: Row, column: str) -> Any:
    """`pack.version` is a field of a field."""
    value: Any = row
    for part in column.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _says_something(value: Any) -> bool:
    return value is not None and value != "" and value != [] and value != {}
