"""The admin's pages for packs, how they come and go, what they define, runtimes and keys."""

from apps.packs.admin import actions, indices, installations, keys, pack_tests, packs, runtimes, sensors, triggers

__all__ = [
    "actions",
    "indices",
    "installations",
    "keys",
    "pack_tests",
    "packs",
    "runtimes",
    "sensors",
    "triggers",
]
