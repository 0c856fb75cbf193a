"""What goes wrong has an exit code, a sentence, and the next thing to do; never a traceback."""

from __future__ import annotations

import json
import subprocess

import pytest

pytestmark = pytest.mark.embedded_only


def test_a_server_that_is_not_there(offline):
    said = offline("pack", "list", ATTUNE_API_URL="http://127.0.0.1:1", code=5)
    assert said.out == ""
    assert "The server at http://127.0.0.1:1 cannot be reached" in said.err and "attune auth login" in said.err


def problem(message, **details):
    return json.dumps({"error": "x", "message": message, "details": details}).encode()


@pytest.mark.parametrize(
    ("status", "body", "code", "told"),
    [
        (500, problem("Something broke; see 12ab."), 5, "Something broke; see 12ab."),
        (502, b"<html>Bad gateway</html>", 5, "status 502"),
        (503, problem("The database is busy."), 5, "The database is busy."),
        (200, b"<html>It works!</html>", 5, "not Attune"),
        (403, problem("Only an admin may."), 4, "attune auth whoami"),
        (404, problem("There is no such thing."), 3, "There is no such thing."),
        (409, problem("In use.", packs=["a"], rules=["b.c"]), 1, "rules: b.c"),
        (409, problem("No.", breaks=[{"kind": "rule", "ref": "a.b", "reason": "gone"}]), 1, "rule a.b: gone"),
        (422, problem("No.", faults=[{"path": "a.b", "message": "bad"}]), 1, "a.b: bad"),
        (422, problem("No.", faults=[{"file": "p.yaml", "line": 3, "message": "bad"}]), 1, "p.yaml:3: bad"),
        (429, problem("Too many.", retry_after=7), 1, "in 7 seconds"),
        (400, b"[]", 1, "status 400"),
        (418, b'{"message": {"odd": 1}, "details": 3}', 1, "odd"),
    ],
)
def test_every_answer_of_a_server_has_its_exit_code(offline, website, status, body, code, told):
    website.on("/api/v1/packs/demo", status, body)
    said = offline("pack", "show", "demo", ATTUNE_API_URL=website.url, code=code)
    assert said.out == "" and told in said.err


def test_a_redirect_is_not_followed_with_the_token(offline, website, other_website):
    website.on("/api/v1/packs", 301, Location=other_website.url)
    said = offline("pack", "list", ATTUNE_API_URL=website.url, ATTUNE_API_TOKEN="secret", code=1)
    assert other_website.url in said.err and other_website.requests == []


def test_a_question_is_asked_again_over_a_bad_line_and_an_order_without_a_key_is_not(offline, website):
    offline("pack", "list", ATTUNE_API_URL=website.url, code=None)
    website.requests.clear()
    website.on("/api/v1/packs", 503, b"{}")
    website.on("/api/v1/rules/a.b/enable", 503, b"{}")
    website.on("/api/v1/events", 503, b"{}")
    offline("pack", "list", ATTUNE_API_URL=website.url, code=5)
    offline("rule", "enable", "a.b", ATTUNE_API_URL=website.url, code=5)
    offline("trigger", "fire", "core.alert", ATTUNE_API_URL=website.url, code=5)
    asked = [request["path"].partition("?")[0] for request in website.requests]
    assert asked == ["/api/v1/packs"] * 3 + ["/api/v1/rules/a.b/enable"] + ["/api/v1/events"] * 3
    keys = {request["headers"]["Idempotency-Key"] for request in website.requests[-3:]}
    assert len(keys) == 1 and "" not in keys


@pytest.mark.parametrize(
    "arguments",
    [
        ["pakc"],
        ["pack", "lits"],
        ["pack", "list", "--nonsense"],
        ["pack", "list", "-o", "xml"],
        ["pack", "show"],
        ["execution", "show", "abc"],
        ["execution", "show", "0"],
        ["rule", "test"],
        ["rule", "test", "a.b"],
        ["key", "set", "a", "--pack", "a", "--action", "b.c"],
    ],
    ids=" ".join,
)
def test_what_is_not_understood_ends_with_2(offline, arguments):
    said = offline(*arguments, code=2)
    assert said.out == "" and "Error:" in said.err


def test_a_mistyped_command_is_guessed(offline):
    assert "Did you mean 'list'?" in offline("pack", "lits", code=2).err


def test_what_is_not_there_ends_with_3(attune):
    for arguments in (
        ["pack", "show", "nope"],
        ["action", "execute", "core.nope", "a=1"],
        ["execution", "show", "999999"],
        ["execution", "logs", "999999"],
        ["execution", "logs", "999999", "--follow"],
        ["execution", "watch", "999999"],
        ["rule", "show", "../../auth/me"],
        ["key", "get", "no.such/key"],
        ["worker", "drain", "nobody"],
    ):
        said = attune(*arguments, code=3)
        assert said.out == "" and "Error:" in said.err


def test_a_name_with_a_slash_or_a_question_mark_stays_a_name(attune):
    assert "There is no trigger ä?ö=%41." in attune("trigger", "show", "ä?ö=%41", code=3).err
    assert "Error:" in attune("pack", "show", "a/b", code=3).err


def test_whoever_reads_too_little_of_the_answer_is_no_error(attune):
    line = subprocess.list2cmdline([*attune.line("action", "list"), "-o", "json"])
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -c 1"], env=attune.env, cwd=attune.folder, capture_output=True, text=True
    )
    assert done.stdout == "[" and "Traceback" not in done.stderr


def test_a_fault_of_its_own_is_one_line(offline, website):
    website.on("/api/v1/packs/demo/versions", body=json.dumps({"items": 3}).encode())
    said = offline("pack", "versions", "demo", ATTUNE_API_URL=website.url, code=1)
    assert "fault of its own" in said.err
