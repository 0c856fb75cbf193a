"""Whether a version meets a constraint as packs write it: `>=3.10`, `>=1.0,<2`, `^18`, `~1.2`, `18.x`, `18`. Pure."""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\Z")  # semver.org 2.0.0
_OPERATOR = re.compile(r"(===|==|!=|~=|>=|<=|>|<|=|\^|~)?\s*v?([0-9][0-9A-Za-z.*+_-]*)\Z")


def is_constraint(text: str) -> bool:
    """Whether the text can be read as a constraint; an empty one, `*` and `latest` allow everything."""
    try:
        _alternatives(text)
    except ValueError:
        return False
    return True


def meets(version: str, constraint: str) -> bool:
    """Whether a version (`3.11.7`, `v20.20.2`) is allowed by a constraint. ValueError if either cannot be read."""
    try:
        known = Version(version.strip())
    except InvalidVersion:
        numbers = re.search(r"\d+(\.\d+)*", version)
        if not numbers:
            raise ValueError(f"{version!r} is not a version") from None
        known = Version(numbers.group(0))
    return any(allowed.contains(known, prereleases=True) for allowed in _alternatives(constraint))


def _alternatives(constraint: str) -> list[SpecifierSet]:
    """`a || b` as a list; commas and blanks within one join."""
    return [_specifiers(part.strip()) for part in constraint.split("||")]


def _specifiers(text: str) -> SpecifierSet:
    if text in ("", "*", "x", "latest"):
        return SpecifierSet("")
    joined = re.sub(r"([=<>~^!])\s+", r"\1", text)
    parts: list[str] = []
    for part in filter(None, re.split(r"[,\s]+", joined)):
        match = _OPERATOR.match(part)
        if not match:
            raise ValueError(f"{text!r} is not a version constraint; write something like >=3.10 or >=1.0,<2.0")
        parts += _pep440(match[1] or "", re.sub(r"\.[xX*](\.[xX*])*$", ".*", match[2]))
    try:
        return SpecifierSet(",".join(parts))
    except InvalidSpecifier:
        raise ValueError(f"{text!r} is not a version constraint; write something like >=3.10 or >=1.0,<2.0") from None


def _pep440(operator: str, version: str) -> list[str]:
    """npm's `^`, `~`, `=` and bare versions in the words of PEP 440; the rest is that already."""
    numbers = [int(number) for number in re.findall(r"\d+", re.split(r"[-+a-zA-Z]", version)[0])]
    if operator == "^":  # up to the next change of the first number that is not 0
        index = next((i for i, number in enumerate(numbers) if number), len(numbers) - 1)
        return [f">={version.removesuffix('.*')}", f"<{_next(numbers, index)}"]
    if operator == "~":  # up to the next minor version
        return [f">={version.removesuffix('.*')}", f"<{_next(numbers, min(1, len(numbers) - 1))}"]
    if operator in ("", "="):
        whole = len(numbers) >= 3 or version.endswith(".*")
        return [f"=={version}" if whole else f"=={version}.*"]
    return [f"{operator}{version}"]


def _next(numbers: list[int], index: int) -> str:
    return ".".join(map(str, [*numbers[:index], numbers[index] + 1]))
