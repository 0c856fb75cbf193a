"""Where the environment for some wishes is, or would be: a folder named by the hash of all that it depends on."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from apps.packs.building import Built, ready
from apps.packs.environments import files
from apps.packs.environments.interpreters import Interpreter, node_for, pythons_for
from apps.packs.environments.stating import NODEJS, PYTHON
from apps.packs.environments.wanting import Wanted
from apps.packs.models import Pack
from attune.lib.errors import AttuneError


@dataclass(frozen=True)
class Home:
    """Where the environment for some wishes is, or would be."""

    kind: str
    folder: Path
    interpreter: Interpreter
    is_bare: bool = False

    def ready(self) -> Built | None:
        return ready(self.kind, self.folder)


def wanted_of(of: Pack | Wanted) -> Wanted:
    """The wishes themselves, or those of a loaded pack."""
    return Wanted.of(of) if isinstance(of, Pack) else of


def is_sdk_compatible(wanted: Wanted) -> bool:
    """Whether attune-sdk gets its compatibility hook, should it be installed."""
    return bool(settings.ATTUNE_SDK_COMPATIBILITY) and wanted.sdk_compatibility


def homes_of(wanted: Wanted) -> list[Home]:
    """Those of today, for Python and Node.js; one that this machine has no interpreter for is left out."""
    found: list[Home] = []
    with contextlib.suppress(AttuneError):
        found.append(next((home for home in python_homes(wanted) if home.ready()), None) or python_home(wanted))
    with contextlib.suppress(AttuneError):
        found += filter(None, [nodejs_home(wanted)])
    return found


def python_home(wanted: Wanted) -> Home:
    """Where it is built. Raises RuntimeMissing if no Python of this machine is what the pack asks for."""
    return next(python_homes(wanted))


def python_homes(wanted: Wanted) -> Iterator[Home]:
    """The same for every Python that would do, the first choice first: another may have been asked for by a build."""
    asked = files.requirements(wanted.folder)
    for interpreter in pythons_for(wanted):
        yield _python_home(wanted, asked, interpreter)


def _python_home(wanted: Wanted, asked: bytes, interpreter: Interpreter) -> Home:
    machine = [interpreter.version.encode(), interpreter.path.encode()]
    if not asked and not wanted.packages:
        return Home(PYTHON, _folder("python-bare", machine), interpreter, is_bare=True)
    lines = [*wanted.constraints, "", *wanted.packages]
    hook = [b"sdk"] if is_sdk_compatible(wanted) else []
    return Home(PYTHON, _folder("python", [asked, *map(str.encode, lines), *hook, *machine]), interpreter)


def nodejs_home(wanted: Wanted) -> Home | None:
    """Raises EnvironmentBroken for a package.json that is not JSON, RuntimeMissing for want of a Node.js that fits."""
    asked = files.node_files(wanted.folder)
    interpreter = node_for(wanted, is_needed=bool(asked))
    if not asked or interpreter is None:
        return None
    parts = [part for name, content in sorted(asked.items()) for part in (name.encode(), content)]
    scripts = [b"scripts"] if wanted.allow_scripts else []
    major = interpreter.version.partition(".")[0].encode()
    return Home(NODEJS, _folder("nodejs", [*parts, *scripts, major]), interpreter)


def _folder(kind: str, parts: Iterable[bytes]) -> Path:
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    return settings.ATTUNE_ENVS_DIR / f"{kind}-{digest[:20]}"
