"""What is wanted of a pack's environment: by the pack's files, and by the operator on top of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from apps.packs.models import Pack
from attune.lib.errors import InvalidInput

MOST = 200  # lines
LONGEST = 300  # characters of one
_DEFAULTS = {"allow_scripts": False, "sdk_compatibility": True}


@dataclass(frozen=True)
class Wanted:
    """Everything that an environment depends on besides this machine; the folder need not be that of a loaded pack."""

    ref: str
    folder: Path
    constraints: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    allow_scripts: bool = False  # npm may run those of packages
    sdk_compatibility: bool = True
    python_version: str = ""  # constraints beyond those that the pack's files state
    nodejs_version: str = ""
    digest: str = ""  # of the folder's files, if known: what they state is then read only once

    @classmethod
    def of(cls, pack: Pack, folder: Path | None = None) -> Wanted:
        """As the loaded pack and its operator have it; of its files in another folder (another version), if given."""
        given = read_environment(pack.environment or {})
        return cls(
            ref=pack.ref,
            folder=folder or pack.folder,
            constraints=tuple(given["constraints"]),
            packages=tuple(given["packages"]),
            allow_scripts=given["allow_scripts"],
            sdk_compatibility=given["sdk_compatibility"],
            digest="" if folder else pack.digest,
        )

    def with_packages(self, *names: str) -> Wanted:
        """The same, with more packages besides those of the pack."""
        return replace(self, packages=(*self.packages, *names))


def read_environment(given: Any) -> dict[str, Any]:
    """An operator's wishes, checked and complete: constraints, packages, allow_scripts, sdk_compatibility.

    The lists may also be texts with a line for each. Raises InvalidInput that names each fault and the remedy.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput("The environment must be an object with constraints, packages and the like.")
    faults: list[dict[str, str]] = [
        {"path": str(name), "message": f"`{name}` is not known; use constraints, packages, {', '.join(_DEFAULTS)}"}
        for name in given
        if name not in ("constraints", "packages", *_DEFAULTS)
    ]
    read: dict[str, Any] = {
        "constraints": _lines(given, "constraints", _constraint, faults),
        "packages": _lines(given, "packages", _package, faults),
    }
    for name, default in _DEFAULTS.items():
        read[name] = given.get(name, default)
        if not isinstance(read[name], bool):
            faults.append({"path": name, "message": f"`{name}` must be true or false, not {read[name]!r}"})
    if faults:
        said = "; ".join(fault["message"] for fault in faults[:10])
        raise InvalidInput(f"These wishes for an environment cannot be kept: {said}.", details={"faults": faults})
    return read


def _lines(
    given: Mapping[str, Any], name: str, check: Callable[[Requirement], str], faults: list[dict[str, str]]
) -> list[str]:
    value = given.get(name) or []
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, list | tuple) or not all(isinstance(line, str) for line in lines):
        faults.append({"path": name, "message": f"`{name}` must be a list of lines such as 'requests<3'"})
        return []
    kept = [text for line in lines if (text := " ".join(line.split(" #")[0].split())) and not text.startswith("#")]
    if len(kept) > MOST:
        faults.append({"path": name, "message": f"`{name}` has {len(kept)} lines; at most {MOST} are read"})
        return []
    for number, line in enumerate(kept):
        if fault := _fault_of(line, check):
            faults.append({"path": f"{name}.{number}", "message": f"`{name}` has {line[:LONGEST]!r}, {fault}"})
    return _once(kept)


def _fault_of(line: str, check: Callable[[Requirement], str]) -> str:
    if len(line) > LONGEST:
        return f"which is longer than {LONGEST} characters"
    if line.startswith("-"):
        return "which is an option of pip; only names with versions can stand here"
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        return f"which is not a requirement ({str(error).splitlines()[0]}); write it like 'requests<3'"
    if requirement.url:
        return "which is an address; name the package and its version, and let pip's index settings say where it is"
    return check(requirement)


def _constraint(requirement: Requirement) -> str:
    if requirement.extras:
        return "which names extras; a constraint cannot, so put it among the packages"
    if not requirement.specifier:
        return f"which constrains nothing; add a version, like '{requirement.name}<2'"
    return ""


def _package(_: Requirement) -> str:
    return ""


def _once(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
