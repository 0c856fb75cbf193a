"""The shell completes commands, options and what there is on the server; it is never disturbed."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.embedded_only


def complete(command, line, shell="bash", **env):
    """What the shell is offered for the last word of the line."""
    words = line.split(" ")
    asked = {"_ATTUNE_COMPLETE": f"complete_{shell}", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    asked["_TYPER_COMPLETE_ARGS"] = line
    said = command(code=None, **asked | env)
    assert said.err == ""
    return said.out.split() if shell == "bash" else said.out


def test_commands_and_options_are_completed(offline):
    assert complete(offline, "attune pa") == ["pack"]
    assert {"install", "index", "installs", "info"} == set(complete(offline, "attune pack in"))
    assert "--with-dependencies" in complete(offline, "attune pack install --w")
    assert complete(offline, "attune pack list --output ") == ["table", "json", "yaml"]


def test_what_there_is_on_the_server_is_completed(attune):
    assert complete(attune, "attune action show core.ec") == ["core.echo"]
    assert "core.intervaltimer" in complete(attune, "attune trigger fire core.")
    assert complete(attune, "attune sensor restart core.ti") == ["core.timer_sensor"]
    assert complete(attune, "attune rule create x.y --action core.ec") == ["core.echo"]
    assert "core.echo" in complete(attune, "attune action show core.ec", shell="zsh")
    assert "core.echo" in complete(
        attune, "attune action show core.ec", shell="fish", _TYPER_COMPLETE_FISH_ACTION="get-args"
    )


def test_whatever_is_wrong_the_line_stays_clean(attune, offline, website):
    assert complete(offline, "attune pack show ", ATTUNE_API_URL="http://127.0.0.1:1") == []
    assert complete(offline, "attune pack show ", ATTUNE_API_URL="nonsense") == []
    website.on("/api/v1/packs", 500, b"<html>")
    assert complete(offline, "attune pack show ", ATTUNE_API_URL=website.url) == []
    website.requests.clear()
    website.on("/api/v1/packs", 503, b"{}")
    assert complete(offline, "attune pack show ", ATTUNE_API_URL=website.url) == [] and len(website.requests) == 1
    assert complete(attune, "attune pack show ", ATTUNE_API_TOKEN="wrong") == []
    attune.config.write_text("not toml")
    assert complete(attune, "attune pack show ") == []
    assert complete(attune, "attune pack show --profile nope ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_can_be_had(offline, shell):
    said = offline(code=None, _ATTUNE_COMPLETE=f"source_{shell}")
    assert "attune" in said.out and "_ATTUNE_COMPLETE" in said.out
