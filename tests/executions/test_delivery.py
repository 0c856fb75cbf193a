"""The three deliveries and three formats, as programs read them."""

import json
import subprocess

import pytest
import yaml

from apps.executions.delivery import SECRETS_MARKER, deliver, variable_for, write

pytestmark = pytest.mark.embedded_only

PARAMETERS = {
    "message": 'it\'s a "test"\nof two lines é 🐢',
    "count": 3,
    "ratio": 0.5,
    "flag": True,
    "nothing": None,
    "tags": ["a", "b c"],
    "login": {"user": "anna", "deep": {"x": 1}},
}


def test_json_is_one_compact_line_and_a_newline():
    given = deliver(PARAMETERS, delivery="stdin", format="json", secrets=None).stdin
    assert given.count(b"\n") == 1 and given.endswith(b"\n")
    assert json.loads(given) == PARAMETERS


def test_yaml_reads_back_as_it_was():
    assert yaml.safe_load(deliver(PARAMETERS, delivery="stdin", format="yaml", secrets=None).stdin) == PARAMETERS


def test_dotenv_is_sorted_quoted_and_dotted():
    lines = write({"b": "x'y", "a": {"deep": {"x": 1}, "list": [1, "2"]}, "c": None, "e": {}}, "dotenv").splitlines()
    assert lines == ["a.deep.x='1'", "a.list='[1,\"2\"]'", "b='x'\\''y'", "c=''", "e='{}'"]


def test_a_shell_reads_dotenv_values_as_they_were_given():
    hostile = "$(touch /nowhere) `id` 'quoted' \"double\" \\ ; rm -rf"
    script = write({"value": hostile}, "dotenv") + '\nprintf %s "$value"'
    assert subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout == hostile


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        (3, "3"),
        (0.5, "0.5"),
        ([1], "[1]"),
        ({"a": 1}, '{"a":1}'),
    ],
)
def test_env_delivery_writes_scalars_as_text_and_the_rest_as_json(value, text):
    given = deliver({"my_name": value}, delivery="env", format="dotenv", secrets=None)
    assert given.env == {"ATTUNE_ACTION_MY_NAME": text}
    assert given.stdin is None and given.file is None
    assert variable_for("my_name") == "ATTUNE_ACTION_MY_NAME"


@pytest.mark.parametrize("delivery", ["env", "stdin", "file"])
def test_secrets_follow_the_marker_on_stdin_whatever_the_delivery(delivery):
    given = deliver({"a": 1}, delivery=delivery, format="json", secrets={"token": "s3cret"})
    before, after = given.stdin.decode().split(SECRETS_MARKER + "\n")
    assert json.loads(after) == {"token": "s3cret"}
    assert before.strip() == ('{"a":1}' if delivery == "stdin" else "")
    assert (given.file is not None) == (delivery == "file")


def test_no_secrets_asked_for_means_no_marker():
    assert deliver({}, delivery="stdin", format="json", secrets=None).stdin == b"{}\n"


def test_texts_no_encoding_knows_do_not_break_the_delivery():
    assert b"\xed" in deliver({"a": "\ud800"}, delivery="stdin", format="json", secrets=None).stdin
