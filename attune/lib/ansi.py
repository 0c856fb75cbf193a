"""What programs print for terminals, as text with colours for a browser. Pure; in linear time, whatever it is given.

Of all that a terminal obeys, colours and emphasis remain (SGR), as names of classes, and a carriage return writes over
the line. All else is dropped: titles, hyperlinks, cursor movements, device commands, control characters. Characters
that turn the direction of writing become visible as `�`, so that a line reads as it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

Span = tuple[str, str]  # a text and its classes

MOST_SPANS = 20_000  # of one text; what comes after them has no colours
LONGEST_OPEN = 16 * 1024  # characters of a line that is not over, beyond which it is not sent again and again

_NORMAL = (0x2E3440, 0xCD4A4A, 0x3FA867, 0xC9A227, 0x4A7FD6, 0xB265C9, 0x2F9FB3, 0xC8CED8)
_BRIGHT = (0x6B7484, 0xF47174, 0x5FD38D, 0xF2D062, 0x7AA8F5, 0xD68BEB, 0x5CCBE0, 0xFFFFFF)
_LEVELS = (0, 95, 135, 175, 215, 255)  # of the 6 x 6 x 6 cube
_GREYS = 232  # the first of 24

# A sequence that is not well-formed loses its introducer alone. None of these looks for an end that may be missing.
_CODES = re.compile(
    r"(?:\x1b\[|\x9b)(?P<arguments>[0-?]{0,128})[ -/]{0,8}(?P<final>[@-~])"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\n\r\x07\x18\x1a\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]{0,8}[0-~]?"
    r"|(?P<line>\n|\r\n)"
    r"|(?P<back>\r)"
    r"|(?P<turn>[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff])"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
_UNFINISHED = re.compile(r"(?:\x1b|[\x90\x98\x9b\x9d-\x9f])[^\n\r\x07\x1b\x9c]{0,256}\Z")
_STYLE = re.compile(r"[0-9;]{0,64}\Z")


@dataclass(frozen=True, slots=True)
class Style:
    """How text is drawn; colours are numbers of the palette of 256."""

    fore: int | None = None
    back: int | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    inverse: bool = False

    def __str__(self) -> str:
        """As the arguments that make it."""
        flags = {"1": self.bold, "2": self.dim, "3": self.italic, "4": self.underline, "7": self.inverse}
        codes = [code for code, on in flags.items() if on] + (["9"] if self.strike else [])
        codes += [] if self.fore is None else [f"38;5;{self.fore}"]
        codes += [] if self.back is None else [f"48;5;{self.back}"]
        return ";".join(codes)


PLAIN = Style()
_SWITCHES: dict[int, dict[str, bool]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    7: {"inverse": True},
    9: {"strike": True},
    21: {"underline": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"inverse": False},
    29: {"strike": False},
}


def spans(text: str, style: str = "", *, overprinted: bool = False) -> tuple[list[Span], str]:
    """The text as it stands in the end, and the style that holds behind it; `style` is the one that held before.

    `overprinted`: more follows, so a carriage return at the very end takes its line away.
    """
    now = styled(PLAIN, style) if _STYLE.match(style) else PLAIN
    drawn: list[Span] = []
    classes, line, at, going_back = classes_of(now), 0, 0, False
    for code in _CODES.finditer(text):
        start = code.start()
        if start > at:
            if going_back:
                del drawn[line:]
                going_back = False
            drawn.append((text[at:start], classes))
        at = code.end()
        kind = code.lastgroup
        if kind == "final":
            if code["final"] == "m" and code["arguments"][:1] not in ("<", "=", ">", "?"):
                now = styled(now, code["arguments"])
                classes = classes_of(now)
            elif code["final"] == "K" and (going_back or code["arguments"] == "2"):
                del drawn[line:]
        elif kind == "line":
            drawn.append(("\n", classes))
            line, going_back = len(drawn), False
        elif kind == "back":
            going_back = True
        elif kind == "turn":
            if going_back:
                del drawn[line:]
                going_back = False
            drawn.append(("�", classes))
    rest = text[at:]
    if going_back and (rest or overprinted):
        del drawn[line:]
    if rest:
        drawn.append((rest, classes))
    return _joined(drawn), str(now)


def _joined(drawn: list[Span]) -> list[Span]:
    """Neighbours of one style as one; what is beyond MOST_SPANS as one without any."""
    joined: list[tuple[list[str], str]] = []
    for text, classes in drawn:
        wanted = classes if len(joined) < MOST_SPANS else ""
        if joined and (joined[-1][1] == wanted or len(joined) > MOST_SPANS):
            joined[-1][0].append(text)
        else:
            joined.append(([text], wanted))
    return [("".join(texts), classes) for texts, classes in joined]


def plain(text: str) -> str:
    """The text alone."""
    return "".join(part for part, _ in spans(text)[0])


def settled(text: str) -> int:
    """How many first characters of a text that still grows will look the same for ever: its whole lines.

    Of a line that grows too long the beginning is settled too, but never in the middle of a sequence.
    """
    end = text.rfind("\n") + 1
    if len(text) - end <= LONGEST_OPEN:
        return end
    back = text.rfind("\r", end, len(text) - 1) + 1
    if back:
        return back
    unfinished = _UNFINISHED.search(text, max(end, len(text) - 300))
    return unfinished.start() if unfinished else len(text)


# Styles --------------------------------------------------------------------------------------------------------------
_CURLY = re.compile(r"(?<![\d:])4:(\d)")  # kinds of underlines
_SPACE = re.compile(r"([34]8:2):\d*(:\d*:\d+:\d+)")  # the space of a colour


@lru_cache(maxsize=512)
def styled(style: Style, arguments: str) -> Style:
    """The style after `ESC [ arguments m`. What is unknown, blinks or hides changes nothing."""
    words = _SPACE.sub(r"\1\2", _CURLY.sub(lambda kind: "24" if kind[1] == "0" else "4", arguments))
    codes = [int(word[:6]) if word.isdigit() else 0 for word in words.replace(":", ";").split(";")]
    at = 0
    while at < len(codes):
        code = codes[at]
        at += 1
        if code == 0:
            style = PLAIN
        elif code in _SWITCHES:
            style = replace(style, **_SWITCHES[code])
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, fore=code - 30 if code < 90 else code - 82)
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = replace(style, back=code - 40 if code < 100 else code - 92)
        elif code == 39:
            style = replace(style, fore=None)
        elif code == 49:
            style = replace(style, back=None)
        elif code in (38, 48):
            colour, used = _extended(codes[at:])
            at += used
            if colour is not None:
                style = replace(style, fore=colour) if code == 38 else replace(style, back=colour)
    return style


def _extended(codes: list[int]) -> tuple[int | None, int]:
    """The colour that `5;n` or `2;r;g;b` stands for, and how many arguments it took."""
    if len(codes) >= 2 and codes[0] == 5:
        return (codes[1] if codes[1] < 256 else None), 2
    if len(codes) >= 4 and codes[0] == 2:
        red, green, blue = (min(255, level) for level in codes[1:4])
        return _nearest(red, green, blue), 4
    return None, len(codes)


def _nearest(red: int, green: int, blue: int) -> int:
    """The number in the palette that comes nearest: of the cube, or of the greys."""
    steps = [min(range(6), key=lambda i: abs(_LEVELS[i] - level)) for level in (red, green, blue)]
    cube = 16 + 36 * steps[0] + 6 * steps[1] + steps[2]
    grey = _GREYS + max(0, min(23, round((sum((red, green, blue)) / 3 - 8) / 10)))

    def distance(number: int) -> int:
        return sum((a - b) ** 2 for a, b in zip(colour(number), (red, green, blue), strict=True))

    return min(cube, grey, key=distance)


def colour(number: int) -> tuple[int, int, int]:
    """Red, green and blue of a colour of the palette."""
    if number < 16:
        packed = (_NORMAL + _BRIGHT)[number]
        return packed >> 16, packed >> 8 & 255, packed & 255
    if number >= _GREYS:
        level = 8 + 10 * (number - _GREYS)
        return level, level, level
    number -= 16
    return _LEVELS[number // 36], _LEVELS[number // 6 % 6], _LEVELS[number % 6]


@lru_cache(maxsize=512)
def classes_of(style: Style) -> str:
    """The classes that draw a style; on a ground of its own, text that could hardly be read gets another colour."""
    fore, back = style.fore, style.back
    if style.inverse:
        fore, back = (0 if back is None else back), (7 if fore is None else fore)
    names = [f"at-{name}" for name in ("bold", "dim", "italic", "underline", "strike") if getattr(style, name)]
    if back is not None:
        names.append(f"at-b{back}")
        readable = fore is not None and _contrast(fore, back) >= 3
        names.append(f"at-r{fore}" if readable else "at-ink-dark" if _luminance(back) > 0.18 else "at-ink-light")
    elif fore is not None:
        names.append(f"at-f{fore}")
    return " ".join(names)


def _luminance(number: int) -> float:
    linear = [(c / 12.92) if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (x / 255 for x in colour(number))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: int, other: int) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
