"""YAML of strangers: what its values are, what is refused and on which line."""

from __future__ import annotations

from typing import Any

import pytest

from attune.lib.yamlfiles import MAX_BYTES, InvalidYaml, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Off", "Off"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ("~", None),
        ("", None),
        ("Null", None),
        ("1:30", "1:30"),
        ("2024-01-20", "2024-01-20"),
        ("2024-01-20T10:00:00Z", "2024-01-20T10:00:00Z"),
        ("017", 17),
        ("0o17", 15),
        ("0xff", 255),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("'12'", "12"),
        ("<<", "<<"),
        ("=", "="),
        ("snowman ☃", "snowman ☃"),
    ],
)
def test_a_plain_value_means_what_yaml_1_2_says(text: str, value: Any) -> None:
    found = parse(f"key: {text}").data["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3", 3, "twice"),
        ("a: !!python/object:os.system x", 1, "tag"),
        ("a: !mine x", 1, "tag"),
        ("a: [", 2, "not YAML"),
        ("a: b: c", 1, "not YAML"),
        ("a: 1\n\t- b", 2, "not YAML"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: *nowhere", 1, "no &nowhere"),
        ("a: &a [*a]", 1, "inside itself"),
        ("a: .nan", 1, "not a finite number"),
        ("a: 1e999", 1, "not a finite number"),
        ("a: " + "9" * 5000, 1, "too many digits"),
        ('a: 1\nb: "\\0"', 2, "zero byte"),
        ('a: "\\ud800"', 1, ""),
        ("a: \x01", 1, "control character"),
        ("? [a]\n: b", 1, "plain text"),
        (b"a: 1\nb: \xff", 2, "UTF-8"),
        ("[" * 100_000, 1, "nested more than 32"),
        ("- x\n" * 25_000, None, "20,000"),
        ("a: 1 #" + "x" * MAX_BYTES, None, "bytes"),
        ("<<: 5", 1, "mapping"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str | bytes, line: int | None, words: str) -> None:
    with pytest.raises(InvalidYaml) as refused:
        parse(text)
    found, message = refused.value.faults[-1]
    assert words in message
    assert line is None or found == line


def test_every_duplicate_and_tag_is_reported_not_only_the_first() -> None:
    with pytest.raises(InvalidYaml) as refused:
        parse("a: 1\na: 2\nb: !t x\nc: {d: 1, d: 2}")
    assert [line for line, _ in refused.value.faults] == [2, 3, 4]


def test_a_small_file_of_aliases_cannot_become_a_large_value() -> None:
    levels = [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefg", "bcdefgh", strict=True)
    ]
    with pytest.raises(InvalidYaml, match="aliases counted in full"):
        parse("a: &a [x]\n" + "\n".join(levels))


def test_anchors_and_merges_work_and_share_nothing() -> None:
    data = parse("base: &b {x: 1, y: [2]}\none: {<<: *b, x: 3}\ntwo: *b").data
    assert data["one"] == {"x": 3, "y": [2]}
    data["two"]["y"].append(5)
    assert data["base"]["y"] == [2]


def test_the_line_of_a_field_or_of_the_nearest_above_it() -> None:
    parsed = parse("a:\n  b:\n    - x\n    - c: 1\nd: {e: 2}\n")
    assert parsed.line(("a", "b", 1, "c")) == 4
    assert parsed.line(("a", "b", 0)) == 3
    assert parsed.line(("a", "missing", "deeper")) == 1
    assert parsed.line(("d", "e")) == 5
    assert parse("").line(("a",)) is None


def test_a_byte_order_mark_and_windows_line_ends_are_no_trouble() -> None:
    assert parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n").data == {"a": 1, "b": 2}


def test_keys_are_text_whatever_they_look_like() -> None:
    assert parse("1: a\ntrue: b").data == {"1": "a", "true": "b"}
