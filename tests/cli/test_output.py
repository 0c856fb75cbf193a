"""Answers are on stdout, whole and clean; everything else is on stderr; colours are for terminals."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest
import yaml

pytestmark = pytest.mark.embedded_only


def on_a_terminal(command, *arguments, **env):
    """All that a run shows on a terminal of 80 columns."""
    inner, outer = pty.openpty()
    done = subprocess.Popen(
        command.line(*arguments), env=command.env | {"TERM": "xterm", "COLUMNS": "80"} | env, cwd=command.folder,
        stdin=outer, stdout=outer, stderr=outer, close_fds=True,
    )  # fmt: skip
    os.close(outer)
    shown = b""
    while True:
        try:
            piece = os.read(inner, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(inner)
    assert done.wait(60) == 0, shown
    return shown.decode()


def test_a_list_is_a_table_for_people_and_whole_for_machines(attune):
    head, *rows = attune("action", "list").out.splitlines()
    assert head.split() == ["REF", "ENABLED", "RUNNER", "TYPE", "LABEL"]
    assert [row.split()[:2] for row in rows if row.startswith("core.echo")] == [["core.echo", "yes"]]
    found = attune.json("action", "list")
    assert {"core.echo", "core.sleep"} <= {row["ref"] for row in found}
    assert all({"id", "created", "tags"} <= set(row) for row in found)
    assert yaml.safe_load(attune("action", "list", "-o", "yaml").out) == found
    assert attune.json("action", "list", "--search", "echo")[0]["ref"] == "core.echo"


def test_the_format_may_stand_before_the_group(attune):
    assert json.loads(attune("-o", "json", "pack", "list").out) == attune.json("pack", "list")


def test_a_list_has_more_rows_than_a_page(attune, server):
    server.call("POST", "/api/v1/packs", {"ref": "many", "label": "Many"})
    for number in range(205):
        server.call("POST", "/api/v1/triggers", {"ref": f"many.t{number:03}", "label": "T"})
    found = [row["ref"] for row in attune.json("trigger", "list", "--pack", "many")]
    assert found == [f"many.t{number:03}" for number in range(205)]
    assert len(attune.json("trigger", "list", "--pack", "many", "--limit", "3")) == 3


def test_no_rows_are_said_on_stderr_only(attune):
    said = attune("pack", "list", "--search", "no such pack")
    assert (said.out, said.err) == ("", "No packs.\n")
    assert attune.json("pack", "list", "--search", "no such pack") == []


def test_colours_are_for_terminals(attune):
    assert "\x1b[" not in attune("action", "list").out
    assert "\x1b[1m" in on_a_terminal(attune, "action", "list")
    assert "\x1b[1m" in on_a_terminal(attune, "action", "show", "core.echo")
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b[" not in on_a_terminal(attune, "action", "show", "core.echo", **env)


def test_names_are_whole_on_a_narrow_terminal(attune):
    assert "core.http_request" in on_a_terminal(attune, "action", "list", NO_COLOR="1")


def test_a_label_can_neither_move_the_cursor_nor_be_markup(attune, server):
    label = "\x1b[2J\x07[bold red]boo[/]:smile:\r\n\x9b31m"
    server.call("POST", "/api/v1/packs", {"ref": "hostile", "label": label})
    for shown in (attune("pack", "list").out, attune("pack", "show", "hostile").out):
        assert "\x1b" not in shown and "\x07" not in shown and "\x9b" not in shown and "\r" not in shown
        assert "[bold red]boo[/]:smile:" in shown
    assert "[bold red]boo[/]:smile:" in on_a_terminal(attune, "pack", "list", NO_COLOR="1", COLUMNS="200")
    assert attune.json("pack", "show", "hostile")["label"] == label.strip()


def test_it_can_speak_to_a_terminal_that_knows_ascii_only(attune, server):
    server.call("POST", "/api/v1/packs", {"ref": "umlaut", "label": "Übermut ☃"})
    said = attune("pack", "list", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert "\\xdcbermut \\u2603" in said.out


def test_a_verb_says_what_it_did_or_gives_what_came_back(attune):
    said = attune("action", "disable", "core.noop")
    assert (said.out, said.err) == ("", "Action core.noop is disabled.\n")
    assert attune.json("action", "enable", "core.noop")["enabled"] is True
