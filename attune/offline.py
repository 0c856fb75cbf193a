"""What packs need no server for: `python -m attune.offline check FOLDER`, `… index FOLDER`. JSON comes out.

It is the server's own loader, on a database that is in memory for as long as this takes. Only those parts of the
server are imported that it needs: a check should take less than a second.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOMS = ("apps.access", "apps.packs", "apps.executions", "apps.rules")  # those with a kind of component, and below them
_REF = re.compile(r"'([a-z][a-z0-9_-]*)\.[a-z0-9_.-]+'")  # as faults name what they miss


def check(arguments: argparse.Namespace) -> tuple[Any, int]:
    """What a load of the folder would say. What other packs would have to bring is a warning: they are not here."""
    from django.conf import settings

    from apps.packs.loading import load_pack
    from apps.packs.manifests import MANIFEST

    folder = Path(arguments.folder).resolve()
    if not (folder / MANIFEST).is_file():  # whatever it is, it need not be walked through
        missing = {"file": MANIFEST, "line": None, "message": f"{MANIFEST} is missing; every pack begins with one"}
        return NOTHING | {"faults": [missing]}, 1
    make_tables()
    core = settings.ATTUNE_SYSTEM_PACKS_DIR / "core"
    if any((folder / kind).is_dir() for kind in ("rules", "sensors")) and folder != core:
        load_pack(core)
    report = load_pack(folder, check_only=True)
    elsewhere = [fault for fault in report.faults if _is_elsewhere(fault.message, report.ref)]
    faults = [fault for fault in report.faults if fault not in elsewhere]
    told = {
        "ref": report.ref,
        "version": report.version,
        "ok": not faults,
        "faults": _in_order(faults),
        "warnings": _in_order([*report.warnings, *elsewhere]),
        "not_loaded": _in_order(report.not_loaded),
        "components": {kind: len(specs) for kind, specs in report.specs.items() if specs},
    }
    return NOTHING | told, int(bool(faults))


NOTHING: dict[str, Any] = {
    "ref": "",
    "version": "",
    "ok": False,
    "faults": [],
    "warnings": [],
    "not_loaded": [],
    "components": {},
}


def _in_order(findings: Iterable[Any]) -> list[dict[str, Any]]:
    """By file and line, as one goes through them with an editor."""
    return sorted((found.as_dict() for found in findings), key=lambda found: (found["file"], found["line"] or 0))


def _is_elsewhere(message: str, ref: str) -> bool:
    """Whether a fault is only that another pack's trigger or action is not here."""
    missing = _REF.findall(message) if "there is no " in message else []
    return bool(missing) and not {ref, "core"} & set(missing)


def index(arguments: argparse.Namespace) -> tuple[Any, int]:
    """An index of all packs in the folder; with `--to` it is written there, and an archive of each pack beside it."""
    from apps.packs.registry import building

    target = Path(arguments.to) if arguments.to else None
    file = target / building.INDEX if target else None
    previous = json.loads(file.read_bytes()) if file and file.exists() else None
    made = building.build_index(
        Path(arguments.folder),
        name=arguments.name or (previous or {}).get("registry_name", ""),
        url=arguments.url or (previous or {}).get("registry_url", ""),
        base_url=arguments.base_url,
        previous=previous,
        archives_to=target,
    )
    if file:
        file.write_bytes(building.as_bytes(made))
    return made, 0


COMMANDS: dict[str, Callable[[argparse.Namespace], tuple[Any, int]]] = {"check": check, "index": index}


def set_up(data: str) -> None:
    """Django with a database in memory; its folders are below `data`."""
    given = {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "ATTUNE_ENCRYPTION_KEY")}
    os.environ |= {"ATTUNE_MODE": "embedded", "ATTUNE_DATA_DIR": data, **given}
    import django
    from django.conf import settings

    import attune.settings as ours

    values = {name: getattr(ours, name) for name in dir(ours) if name.isupper()}
    values |= {
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes", *ROOMS],
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        "LOGGING_CONFIG": None,
    }
    settings.configure(**values)
    django.setup()


def make_tables() -> None:
    """As tests do: from the models, without the history of migrations."""
    from django.apps import apps
    from django.db import connection

    with connection.schema_editor() as editor:
        for model in apps.get_models():
            editor.create_model(model)


def main(given: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m attune.offline")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("folder")
    parser.add_argument("--name", default="")
    parser.add_argument("--url", default="")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--to", default="")
    parser.add_argument("--output", default="json", choices=["json"])
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory(prefix="attune-offline-") as data:
        set_up(data)
        from attune.lib.errors import AttuneError

        try:
            answer, code = COMMANDS[arguments.command](arguments)
        except AttuneError as error:
            answer, code = {"error": error.code, "message": error.message, "details": error.details}, 2
        except (OSError, ValueError) as error:
            answer, code = {"error": "failed", "message": str(error)}, 2
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
