"""The imports of every module, functions' own included, point the way the house's plan says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "access": set(),
    "packs": {"access"},
    "executions": {"packs", "access"},
    "rules": {"executions", "packs", "access"},
    "sensors": {"rules", "packs", "access"},
}
EDGES = {"views", "admin", "management", "serializers", "urls"}
WORKERS_BELOW = {"services", "tasks", *EDGES}

pytestmark = pytest.mark.embedded_only


def modules(folder: str) -> list[Path]:
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in path.parts]


def imports(path: Path) -> set[str]:
    """The dotted names a module imports, `from a import b` as `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_to_its_right(room):
    allowed = {room, *MAY_IMPORT[room]}
    for path in modules(f"apps/{room}"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "apps" and len(parts) > 1:
                assert parts[1] in allowed, f"{names(path)} imports {name}"
            if parts[0] == "attune":
                assert parts[1] == "lib", f"{names(path)} imports {name}: no room sees the roof"


def test_the_drawer_of_tools_knows_no_room_and_no_roof():
    for path in modules("attune/lib"):
        for name in imports(path):
            assert not name.startswith("apps"), f"{names(path)} imports {name}"
            assert not name.startswith("attune") or name.startswith("attune.lib"), f"{names(path)} imports {name}"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_the_stair_inside_a_room_goes_one_way(room):
    """Edges call services, services call tasks, tasks call work modules; work modules call neither."""
    for path in modules(f"apps/{room}"):
        inside = path.relative_to(ROOT / "apps" / room).parts[0].removesuffix(".py")
        if inside in EDGES or inside in ("apps", "services") or inside.startswith(("admin", "templatetags", "forms")):
            continue
        for name in imports(path):
            if name.startswith(f"apps.{room}."):
                used = name.split(".")[2]
                allowed = used not in WORKERS_BELOW or (inside == "tasks" and used not in EDGES | {"services"})
                assert allowed or (used == "tasks" and inside == "tasks"), f"{names(path)} imports {name}"


def test_nobody_uses_signals():
    for folder in ("apps", "attune"):
        for path in modules(folder):
            assert not any(
                "dispatch" in name or "signals" in name for name in imports(path) if name.startswith("django.")
            ), f"{names(path)} uses Django's signals"


def test_every_file_says_what_it_is_for():
    for folder in ("apps", "attune", "benchmarks", "tests"):
        for path in modules(folder):
            if path.name != "__init__.py" and "data" not in path.parts:
                assert ast.get_docstring(ast.parse(path.read_text())), f"{names(path)} has no docstring"
