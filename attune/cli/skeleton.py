"""Write a small pack that works, from the files in `new-pack`: those of all runners, and those of the one chosen."""

from __future__ import annotations

import re
from pathlib import Path

from attune.cli.errors import CommandError, Misused

TEMPLATES = Path(__file__).resolve().parent / "new-pack"
_REF = re.compile(r"[a-z][a-z0-9_-]*\Z")
RUNNERS: dict[str, dict[str, str]] = {
    "shell": {
        "runtime": "shell",
        "entry_point": "greet.sh",
        "test": "tests/run_tests.sh",
        "test_type": "script",
    },
    "python": {
        "runtime": "python3",
        "entry_point": "greet.py",
        "test": "tests/test_greet.py",
        "test_type": "unittest",
    },
    "nodejs": {
        "runtime": "nodejs",
        "entry_point": "greet.js",
        "test": "tests/run_tests.sh",
        "test_type": "script",
    },
}


def write(name: str, folder: str, runner: str) -> Path:
    """The folder of the new pack. Raises: Misused, CommandError."""
    if not _REF.match(name):
        raise Misused(f"{name!r} is not a pack ref: use lower-case letters, digits, _ and -, a letter first.")
    if runner not in RUNNERS:
        raise Misused(f"There is no runner {runner}; there are {', '.join(RUNNERS)}.")
    made = Path(folder or name).expanduser()
    words = RUNNERS[runner] | {"pack": name, "label": name.replace("_", " ").replace("-", " ").capitalize()}
    words |= {"runner": runner, "script": f"actions/{words['entry_point']}"}
    try:
        if made.exists() and any(made.iterdir()):
            raise CommandError(f"{made} is not empty; name another folder with --dir.")
        for kind in ("common", runner):
            _copy(TEMPLATES / kind, made, words)
    except OSError as error:
        raise CommandError(f"{error.filename or made} cannot be written: {error.strerror}.") from None
    return made


def _copy(templates: Path, made: Path, words: dict[str, str]) -> None:
    for template in sorted(path for path in templates.rglob("*") if path.is_file()):
        file = made / template.relative_to(templates)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(re.sub(r"__(\w+?)__(?!\w)", lambda found: words.get(found[1], found[0]), template.read_text()))
        if file.suffix == ".sh":
            file.chmod(0o755)
