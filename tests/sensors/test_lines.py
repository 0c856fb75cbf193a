"""Lines out of bytes, however the bytes come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.sensors.lines import LineBuffer


def drained(buffer: LineBuffer) -> list[bytes]:
    lines = []
    while (line := buffer.pop()) is not None:
        lines.append(line)
    return lines


@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line), max_size=8), st.integers(1, 5))
def test_lines_come_out_as_they_went_in_wherever_the_pipe_cuts_them(lines: list[bytes], piece: int) -> None:
    stream = b"".join(line + b"\n" for line in lines) + b"half"
    buffer, found = LineBuffer(limit=100), []
    for start in range(0, len(stream), piece):
        buffer.feed(stream[start : start + piece])
        found += drained(buffer)
    assert found == lines
    assert buffer.rest() == b"half"


@pytest.mark.parametrize("piece", [1, 3, 7, 1000])
def test_a_line_too_long_comes_out_cut_and_the_next_one_whole(piece: int) -> None:
    stream = b"a" * 50 + b"\nnext\n"
    buffer, found = LineBuffer(limit=10), []
    for start in range(0, len(stream), piece):
        buffer.feed(stream[start : start + piece])
        found += drained(buffer)
    assert found == [b"a" * 11, b"next"]


def test_a_line_that_never_ends_takes_no_memory() -> None:
    buffer = LineBuffer(limit=10)
    for _ in range(1000):
        buffer.feed(b"x" * 1000)
        drained(buffer)
    assert not buffer.has_line
    assert buffer.rest() == b""


def test_a_line_of_just_the_limit_is_whole() -> None:
    buffer = LineBuffer(limit=10)
    buffer.feed(b"1234567890\n")
    assert drained(buffer) == [b"1234567890"]


def test_what_is_left_at_the_end_is_given_once() -> None:
    buffer = LineBuffer(limit=10)
    buffer.feed(b"one\ntwo")
    assert drained(buffer) == [b"one"]
    assert (buffer.rest(), buffer.rest()) == (b"two", b"")
