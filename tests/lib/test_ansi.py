"""What programs print for terminals, as spans: colours stay, everything else goes, and text stays text."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from attune.lib import ansi

ESC = "\x1b"


def shown(text):
    return "".join(part for part, _ in ansi.spans(text)[0])


@pytest.mark.parametrize(
    ("codes", "classes"),
    [
        ("31", "at-f1"),
        ("1;31", "at-bold at-f1"),
        ("2;3;4;9", "at-dim at-italic at-underline at-strike"),
        ("92", "at-f10"),
        ("44", "at-b4 at-ink-dark"),
        ("103", "at-b11 at-ink-dark"),
        ("97;44", "at-b4 at-r15"),
        ("38;5;208", "at-f208"),
        ("48;5;16", "at-b16 at-ink-light"),
        ("38;2;255;135;0", "at-f208"),
        ("38;2;128;128;128", "at-f244"),
        ("38:2::255:135:0", "at-f208"),
        ("7", "at-b7 at-r0"),
        ("31;7", "at-b1 at-ink-dark"),
        ("30;40", "at-b0 at-ink-light"),
        ("4:3", "at-underline"),
        ("31;39", ""),
        ("1;2;22", ""),
        ("31;1;4;0", ""),
        ("", ""),
        ("38;5;999", ""),
        ("38;5", ""),
        ("38", ""),
        ("5", ""),
        ("8", ""),
        (">4;2", ""),
        ("99999999999999999999", ""),
    ],
)
def test_colours_and_emphasis_become_classes(codes, classes):
    assert ansi.spans(f"{ESC}[{codes}mtext")[0] == [("text", classes)]


def test_a_style_holds_until_it_is_taken_back_and_over_the_ends_of_lines():
    spans, style = ansi.spans(f"a{ESC}[31mb\nc{ESC}[0md{ESC}[1;32m")
    assert spans == [("a", ""), ("b\nc", "at-f1"), ("d", "")]
    assert ansi.spans("e", style)[0] == [("e", "at-bold at-f2")]


@pytest.mark.parametrize("style", ["x", "1;<b>", "1" * 65, f"{ESC}[1m", "\n"])
def test_a_style_from_elsewhere_that_is_none_counts_as_none(style):
    assert ansi.spans("a", style) == ([("a", "")], "")


@pytest.mark.parametrize(
    "hidden",
    [
        f"{ESC}]8;;javascript:alert(1){ESC}\\",
        f"{ESC}]8;id=1;https://evil.example\x07",
        f"{ESC}]0;a title\x07",
        f"{ESC}]52;c;Y2xpcA==\x07",
        f"{ESC}]1337;File=inline=1:AAAA\x07",
        "\x9d0;a title\x9c",
        f"{ESC}[2J",
        f"{ESC}[10;20H",
        f"{ESC}[3A",
        f"{ESC}[?1049h",
        f"{ESC}[?25l",
        f"{ESC}[6n",
        "\x9b5A",
        f"{ESC}P1$qm{ESC}\\",
        f"{ESC}_apc{ESC}\\",
        f"{ESC}^pm{ESC}\\",
        f"{ESC}Xsos{ESC}\\",
        f"{ESC}c",
        f"{ESC}(0",
        f"{ESC}#8",
        f"{ESC}=",
        "\x00",
        "\x07",
        "\x08",
        "\x0b\x0c\x0e\x0f",
        "\x7f",
        "\x85\x8d",
    ],
)
def test_whatever_else_a_terminal_obeys_is_dropped(hidden):
    assert ansi.spans(f"one{hidden}two")[0] == [("onetwo", "")]


def test_what_is_never_ended_swallows_its_own_line_at_most():
    assert shown(f"a{ESC}]8;;http://x\nb{ESC}P never ended\nc{ESC}[1;2") == "a\nb\nc1;2"


def test_the_direction_of_writing_cannot_be_turned():
    assert shown("safe\u202egpj.exe \u2066x\u2069 \u200f") == "safe�gpj.exe �x� �"


@pytest.mark.parametrize(
    ("printed", "stands"),
    [
        ("10%\r20%\r100%\n", "100%\n"),
        ("10%\r20%\r\n", "20%\n"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("kept\n10%\rdone", "kept\ndone"),
        ("10%\r", "10%"),
        (f"10%\r{ESC}[K\nnext", "\nnext"),
        (f"10%{ESC}[2K\rdone", "done"),
        (f"10%\r{ESC}[32mdone", "done"),
        ("a\r\rb", "b"),
    ],
)
def test_a_carriage_return_writes_over_its_line(printed, stands):
    assert shown(printed) == stands


PIECES = st.lists(
    st.sampled_from(
        (ESC, "[", "]", "8;;", "31", ";", "m", "K", "\x07", "\\", "\r", "\n", "\x9b", "\x9d", "P", "<b>", "é", "7")
    ),
    max_size=40,
).map("".join)


@given(PIECES)
def test_nothing_but_text_and_our_own_classes_comes_out(text):
    for part, classes in ansi.spans(text)[0]:
        assert part
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", part)
        assert re.fullmatch(r"(at-[a-z]+(-[a-z]+)?\d*( |$))*", classes)


@given(PIECES, st.integers(0, 40))
def test_a_text_that_comes_in_pieces_looks_as_if_it_had_come_at_once(text, at):
    """The way of the live log: what is settled is never asked for again, what is open is drawn anew."""
    first = text[: ansi.settled(text[:at])]
    done, style = ansi.spans(first)
    rest, _ = ansi.spans(text[len(first) :], style)
    assert ansi._joined(done + rest) == ansi.spans(text)[0]


def test_a_line_without_an_end_is_settled_bit_by_bit():
    assert ansi.settled("a\nbc") == 2
    endless = "x" * (ansi.LONGEST_OPEN + 5)
    assert ansi.settled("a\n" + endless) == len(endless) + 2
    assert ansi.settled(endless + f"{ESC}[3") == len(endless)
    bar = "10%\r" * ansi.LONGEST_OPEN
    assert ansi.settled(bar + "99%") == len(bar)
    assert ansi.spans(bar, overprinted=True)[0] == []


@pytest.mark.parametrize(
    "bomb",
    [ESC, f"{ESC}[", f"{ESC}]", f"{ESC}[9999999", f"{ESC}[1m", f"{ESC}[31ma{ESC}[32mb", "a\rb", "\x9d", "\u202e", "<"],
)
def test_a_megabyte_of_anything_stays_small(bomb):
    text = bomb * (1_000_000 // len(bomb))
    spans, _ = ansi.spans(text)
    assert len(spans) <= ansi.MOST_SPANS + 1
    assert sum(len(part) for part, _ in spans) <= len(text)


def test_every_class_has_its_colour():
    sheet = (settings.BASE_DIR / "attune/static/attune/ansi.css").read_text()
    rules = dict(re.findall(r"\.(at-[a-z-]+\d*) \{ ([^}]+) \}", sheet))
    for number in range(256):
        shade = "#{:02x}{:02x}{:02x}".format(*ansi.colour(number))
        assert rules[f"at-b{number}"] == f"background: {shade};"
        assert rules[f"at-r{number}"] == f"color: {shade};"
        assert _contrast_on_the_log(rules[f"at-f{number}"]) >= 4.5
    for name in ("bold", "dim", "italic", "underline", "strike", "ink-dark", "ink-light"):
        assert f"at-{name}" in rules


def _contrast_on_the_log(rule):
    def luminance(shade):
        parts = [int(shade[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    found = re.fullmatch(r"color: #([0-9a-f]{6});", rule)
    return (luminance(found[1]) + 0.05) / (luminance("0c1118") + 0.05)
