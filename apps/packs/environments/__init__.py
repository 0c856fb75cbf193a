"""What a pack's code imports: a virtual environment or node_modules, kept by the hash of what was asked for.

Two packs that ask for the same share one.
"""

from apps.packs.building import Built
from apps.packs.environments.cleaning import folders_of, remove, unused
from apps.packs.environments.ensuring import (
    TIMEOUT,
    Environment,
    build_log,
    ensure,
    ensure_nodejs,
    ensure_python,
    facts_of,
    node_modules_of,
    nodejs_built_for,
    python_built_for,
    python_of,
)
from apps.packs.environments.interpreters import base_python
from apps.packs.environments.wanting import Wanted, read_environment

__all__ = [
    "TIMEOUT",
    "Built",
    "Environment",
    "Wanted",
    "base_python",
    "build_log",
    "ensure",
    "ensure_nodejs",
    "ensure_python",
    "facts_of",
    "folders_of",
    "node_modules_of",
    "nodejs_built_for",
    "python_built_for",
    "python_of",
    "read_environment",
    "remove",
    "unused",
]
