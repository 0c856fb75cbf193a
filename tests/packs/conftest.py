"""Pack folders made on the spot, as broken as a test wants them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from apps.packs import services
from apps.packs.models import Installation

MANIFEST = {"ref": "demo", "label": "Demo", "description": "A test's pack", "version": "1.0.0"}
ACTION = {"ref": "demo.hello", "description": "Says hello", "runner_type": "shell", "entry_point": "hello.sh"}
TRIGGER = {"ref": "demo.rang", "description": "The bell rang", "type": "custom"}
SENSOR = {"ref": "demo.bell", "description": "Listens", "entry_point": "bell.py", "trigger_types": ["demo.rang"]}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write({"actions/hello.yaml": {...}}, version="2.0.0")`: texts and bytes as they are, anything else as YAML.

    A value of None removes the file. The same folder each time, unless `folder` names another.
    """

    def put(files: dict[str, Any] | None = None, *, folder: str = "demo", **manifest: Any) -> Path:
        root = tmp_path / folder
        for name, content in ({"pack.yaml": MANIFEST | manifest} | (files or {})).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return root

    return put


@pytest.fixture
def whole(write: Write) -> Path:
    """A pack with one of each, its scripts included."""
    return write(
        {
            "actions/hello.yaml": ACTION | {"parameters": {"name": {"type": "string", "default": "world"}}},
            "actions/hello.sh": 'echo "hello $ATTUNE_ACTION_NAME"\n',
            "triggers/rang.yaml": TRIGGER,
            "sensors/bell.yaml": SENSOR,
            "sensors/bell.py": "print('{}')\n",
        }
    )


@pytest.fixture
def versions_folder(settings: Any, tmp_path: Path, known_runtimes: None) -> Path:
    """A place of the test's own for installed versions."""
    settings.ATTUNE_VERSIONS_DIR = tmp_path / "versions"
    settings.ATTUNE_LOCAL_REPOSITORIES = True
    return settings.ATTUNE_VERSIONS_DIR


@pytest.fixture
def install(workers: Any, versions_folder: Path) -> Callable[..., Installation]:
    """Ask for an installation and wait for its end."""

    def do(source: Path | str, **options: Any) -> Installation:
        return services.wait_for(services.request_installation(str(source), actor="test", **options), seconds=60)

    return do
