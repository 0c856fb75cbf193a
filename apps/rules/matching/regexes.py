"""Regular expressions that cannot run away: Python's way of writing them, RE2's linear time.

The pattern is rewritten where the two differ and RE2 can follow: `\\d`, `\\w` and `\\s` are those of Unicode, `$` also
stands before a last newline, `\\Z` is the very end, `[[:x:]]` has no special meaning. What RE2 cannot do (look-around,
back-references, atomic groups) is refused. Differences that remain: `\\b` knows ASCII only; a repetition may not
exceed 1000.
Source: the syntax pages of Python's `re` and of RE2.
"""

import re
import warnings
from functools import lru_cache
from typing import Any

import re2

MAX_PATTERN = 4096
MAX_CLASSES = 100  # [a-z] and their like: a thousand, each of all letters, take seconds to compile

# Python warns of [[ in a pattern, as it may mean something one day; whoever wrote the rule would never see it.
warnings.filterwarnings("ignore", "Possible (nested set|set )", FutureWarning, __name__)

_CLASSES = {"d": r"\p{Nd}", "w": r"\p{L}\p{N}_", "s": r"\t-\r\x1c-\x20\x{85}\p{Z}"}
# What these leave, for brackets, where RE2 knows no complement of a class made of several.
_OTHERS = {
    "W": r"\p{M}\p{S}\p{Z}\p{C}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}"
    r"\x{203f}\x{2040}\x{2054}\x{fe33}\x{fe34}\x{fe4d}-\x{fe4f}\x{ff3f}",  # the connecting marks but for _
    "S": r"\x00-\x08\x0e-\x1b\x21-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}"
    r"\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}",
}
_GROUP = re.compile(r"\(\?(?:(P<|:)|(#[^)]*\))|([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)])|(P=|P>|<?[=!]|>|\(|.?))", re.DOTALL)
_REFUSED = {
    "=": "look-ahead",
    "!": "look-ahead",
    "<=": "look-behind",
    "<!": "look-behind",
    "P=": "back-references",
    "P>": "recursion",
    ">": "atomic groups",
    "(": "conditional groups",
}
_REMEDY = "cannot be used here, as the time they take has no bound; rewrite the pattern without"


class RegexError(ValueError):
    """Raised when a pattern is not a regular expression, or one that cannot be run in bounded time."""


@lru_cache(maxsize=128)  # one may weigh up to 8 MB
def compiled(pattern: str, *, dot_all: bool = False, ignore_case: bool = False, groups: bool = False) -> Any:
    """The pattern ready for use: `.search(text)` anywhere, `.match(text)` at the start.

    Without `groups` a match knows only where it is, which RE2 finds much faster. Raises RegexError with what is wrong.
    """
    if len(pattern) > MAX_PATTERN:
        raise RegexError(f"the pattern is longer than {MAX_PATTERN} characters; make it shorter")
    if pattern.count("[") > MAX_CLASSES:
        raise RegexError(f"the pattern has more than {MAX_CLASSES} classes in brackets; make it simpler")
    options = re2.Options()
    options.log_errors, options.never_capture = False, not groups
    options.dot_nl, options.case_sensitive = dot_all, not ignore_case
    try:
        re.compile(pattern)  # never run: it only says whether this is a pattern at all
        return re2.compile(_rewritten(pattern), options)
    except re.error as error:
        raise RegexError(str(error)) from error
    except UnicodeEncodeError as error:
        raise RegexError("the pattern is not valid Unicode text") from error
    except (RecursionError, OverflowError, MemoryError) as error:
        raise RegexError("the pattern is too complex; make it simpler") from error
    except re2.error as error:
        said = error.args[0] if error.args else "not a regular expression"
        raise RegexError(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from error


def _rewritten(pattern: str) -> str:
    if pattern.isalnum():
        return pattern
    multi_line = re.search(r"\(\?[a-zA-Z]*m", pattern) is not None
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            part, position = _escape(pattern, position)
        elif character == "[":
            part, position = _bracketed(pattern, position)
        elif pattern.startswith("(?", position):
            part, position = _group(pattern, position)
        elif character == "$" and not multi_line:
            part, position = r"(?:\n?\z)", position + 1
        elif character == "{" and (least := re.compile(r"\{,(\d+)\}").match(pattern, position)):
            part, position = f"{{0,{least[1]}}}", least.end()
        elif character in "*+?" and pattern[position + 1 : position + 2] == "+":
            raise RegexError(f"possessive repetitions {_REMEDY} them")
        else:
            part, position = character, position + 1
        parts.append(part)
    return "".join(parts)


def _escape(pattern: str, position: int, *, inside: bool = False) -> tuple[str, int]:
    letter = pattern[position + 1 : position + 2]
    after = position + 2
    if letter in "uU":
        digits = pattern[after : after + (4 if letter == "u" else 8)]
        return rf"\x{{{digits}}}", after + len(digits)
    if letter in "dws":
        return (_CLASSES[letter] if inside else f"[{_CLASSES[letter]}]"), after
    if letter == "D":
        return r"\P{Nd}", after
    if inside and letter in _OTHERS:
        return _OTHERS[letter], after
    if inside:
        return (r"\x08" if letter == "b" else "\\" + letter if letter.isascii() else letter), after
    if letter in "WS":
        return f"[^{_CLASSES[letter.lower()]}]", after
    if letter == "Z":
        return r"\z", after
    if letter in "123456789" and not re.compile(r"[0-3][0-7]{2}").match(pattern, position + 1):
        raise RegexError(f"back-references {_REMEDY} them")
    return ("\\" + letter if letter.isascii() else letter), after


def _bracketed(pattern: str, position: int) -> tuple[str, int]:
    start = position
    position += 2 if pattern.startswith("[^", position) else 1
    parts = [pattern[start:position]]
    first = True
    while position < len(pattern):
        character = pattern[position]
        if character == "]" and not first:
            return "".join(parts) + "]", position + 1
        if character == "\\":
            part, position = _escape(pattern, position, inside=True)
        else:
            part, position = (r"\[" if character == "[" else r"\]" if character == "]" else character), position + 1
        parts.append(part)
        first = False
    raise RegexError("a [ has no matching ]")


def _group(pattern: str, position: int) -> tuple[str, int]:
    group = _GROUP.match(pattern, position)
    assert group is not None  # the last alternative accepts anything
    plain, comment, flags, off, closing, odd = group.groups()
    if plain:
        return group[0], group.end()
    if comment:
        return "", group.end()
    if closing:
        if (set(flags) | set(off or "")) - set("imsu"):
            raise RegexError(f"the flags {group[0]} are not known here; use i, m and s")
        kept, dropped = flags.replace("u", ""), f"-{off}" if off else ""
        return (f"(?{kept}{dropped}{closing}" if kept or dropped or closing == ":" else ""), group.end()
    for sign, name in _REFUSED.items():
        if odd == sign:
            raise RegexError(f"{name} {_REMEDY} {'it' if name.startswith('look') or name == 'recursion' else 'them'}")
    raise RegexError(f"(?{odd} has no meaning in a pattern")
