"""The benchmarks' table: what it says of a figure, and that the page about performance names all of it."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import __main__ as command
from benchmarks import pages, peers, scale
from benchmarks.table import Figure, Table
from tests.live import ROOT

pytestmark = pytest.mark.embedded_only

PAGE = (ROOT / "docs" / "performance.md").read_text()


@pytest.mark.parametrize(
    ("figure", "goal", "met"),
    [
        (Figure("server", "share", 0.16, least=0.16), "≥ 0.16", True),
        (Figure("server", "share", 0.159, least=0.16), "≥ 0.16", False),
        (Figure("server", "time", 15.1, " ms", most=15), "≤ 15 ms", False),
        (Figure("server", "time", 0.0, " ms", most=15), "≤ 15 ms", True),
        (Figure("server", "memory", 166.0, " MiB"), "", None),
    ],
)
def test_a_figure_is_held_against_its_goal(figure: Figure, goal: str, met: bool | None) -> None:
    assert (figure.goal, figure.is_met) == (goal, met)


def test_the_table_has_every_figure_once_more_in_markdown() -> None:
    table = Table()
    table.add(Figure("embedded", "true", 0.1234, least=0.14))
    table.add(Figure("node-red", "true", 0.0712))
    assert str(table).splitlines() == [
        "| mode | what | measured | goal | met |",
        "| --- | --- | --- | --- | --- |",
        "| embedded | true | 0.123 | ≥ 0.14 | no |",
        "| node-red | true | 0.0712 |  |  |",
    ]
    assert table.find("node-red", "true") == 0.0712 and table.find("server", "true") is None


def test_the_page_about_performance_explains_every_part() -> None:
    explained = set(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE))
    assert explained == {*command.PARTS, *scale.PARTS, command.FLOOR, "--peers"}


def test_pages_that_walk_are_among_those_measured() -> None:
    assert {f"API: {name}" for name in pages.API} >= pages.WALKED


def test_the_peer_compares_the_same_command_as_the_throughput() -> None:
    assert command.COMMANDS[peers.TRUE][2] == peers.BARE
    known = {node["id"] for node in peers.FLOW}
    wired = {aim for node in peers.FLOW for wires in node.get("wires", []) for aim in wires}
    assert wired <= known and json.loads(json.dumps(peers.FLOW)) == peers.FLOW
