"""What an action printed, read and judged."""

import pytest

from apps.executions.outputs import Unreadable, exit_code_of, parse, read_outcome

pytestmark = pytest.mark.embedded_only

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(  # 300 bytes that stand for 50 million texts
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


def outcome(stdout="", stderr="", *, exit_code=0, format="json", schema=None, cut=False):
    return read_outcome(stdout.encode(), stderr, exit_code=exit_code, format=format, schema=schema or {}, cut=cut)


@pytest.mark.parametrize(
    ("format", "text", "data"),
    [
        ("text", "hello\n", "hello\n"),
        ("json", '{"a": 1}', {"a": 1}),
        ("json", 'loading…\ndone\n{"a": 1}\n', {"a": 1}),
        ("json", "[1,\n 2]", [1, 2]),
        ("yaml", "a: 1\nb: [x]", {"a": 1, "b": ["x"]}),
        ("yaml", "when: 2026-11-20", {"when": "2026-11-20"}),
        ("yaml", "state: Off\non: true\n2026-01-01: x", {"state": "Off", "on": True, "2026-01-01": "x"}),
        ("json", '\ufeff{"a": 1}', {"a": 1}),
        ("jsonl", '{"a":1}\n\n{"a":2}\n', [{"a": 1}, {"a": 2}]),
        ("json", "   \n", None),
    ],
)
def test_each_format_is_read(format, text, data):
    found = outcome(text, format=format)
    assert found.ok and found.result == data


@pytest.mark.parametrize(
    ("format", "text", "reason"),
    [
        ("json", "garbage", "The output is not JSON: Expecting value at line 1, column 1."),
        ("json", "log\n{bad", "The output is not JSON"),
        ("json", '{"a": NaN}', "NaN, which is not JSON"),
        ("json", "1e999", "too large"),
        ("json", "1" * 6000, "too many digits"),
        ("json", "[" * 100_000, "nested more than 100 levels"),
        ("json", "[" * 900 + "]" * 900, "nested more than 100 levels"),
        ("jsonl", '{"a":1}\nnope', "Line 2 of the output is not JSON"),
        ("yaml", "a: [1", "cannot be read as YAML: line"),
        ("yaml", "[" * 900 + "]" * 900, "nested more than 100"),
        ("yaml", "!!python/object/apply:os.system ['id']", "tag"),
        ("yaml", "a: 1\n---\nb: 2", "second document"),
        ("yaml", BOMB, "more than 200,000 values"),
    ],
    ids=lambda text: text[:20],
)
def test_a_lying_action_fails_with_a_sentence_and_keeps_its_stdout(format, text, reason):
    found = outcome(text, format=format)
    assert not found.ok and found.result == text
    assert reason in found.error and f"Print nothing but {format} on stdout" in found.error


def test_data_that_breaks_the_output_schema_fails_the_run():
    schema = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
    assert outcome('{"count": 3}', schema=schema).ok
    found = outcome('{"count": "three"}', schema=schema)
    assert found.error.endswith("output_schema: field 'count' must be of type integer, not 'three'")
    assert not found.ok and found.result == {"count": "three"}


def test_the_older_schema_of_stdout_and_exit_code_is_not_checked():
    schema = {"type": "object", "properties": {"stdout": {"type": "string"}, "exit_code": {"type": "integer"}}}
    assert outcome('{"x": 1}', schema=schema).ok


@pytest.mark.parametrize(
    ("stdout", "stderr", "exit_code", "error"),
    [
        ("", "first\nlast line\n\n", 1, "last line"),
        ('{"error": "no such host"}', "", 1, "no such host"),
        ('{"error": {"code": 1}}', "", 3, "exited with code 3"),
        ("", "  \n", 4, "exited with code 4"),
        ("", "", 137, "Ended by signal SIGKILL (exit code 137)."),
    ],
)
def test_a_failed_run_says_why(stdout, stderr, exit_code, error):
    assert outcome(stdout, stderr, exit_code=exit_code).error == error


def test_a_failed_run_keeps_its_stdout_parsed_where_it_parses():
    assert outcome('{"success": false, "error": "x"}', exit_code=1).result == {"success": False, "error": "x"}
    assert outcome("not json", exit_code=1).result == "not json"


def test_output_that_was_cut_is_not_guessed_at():
    found = outcome('{"a": 1}', cut=True)
    assert not found.ok and "longer than what is kept" in found.error


def test_signals_are_told_as_the_shell_does():
    assert exit_code_of(-9) == 137 and exit_code_of(3) == 3


def test_unreadable_is_raised_in_one_line():
    with pytest.raises(Unreadable) as error:
        parse("a: [1\nb", "yaml")
    assert "\n" not in str(error.value)
