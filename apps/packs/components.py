'''The kinds of component a pack folder may hold: how each folder's files are read, and how they become rows.

This room registers `triggers`, `actions` and `sensors` itself. A room to the left adds its own kind when it loads:

    # apps/rules/apps.py
    def ready(self):
        from apps.packs import components
        from apps.rules import loading
        components.register_kind("rules", read=loading.read, register=loading.register)

    # apps/rules/loading.py
    def read(document: Document, pack_ref: str) -> Spec | None:
        """Pure: one YAML file to one spec, or None when it is not usable. No database."""
        identity = document.identity(pack_ref)
        trigger_ref = document.text("trigger_ref", "trigger", required=True)
        ...
        document.warn_of_unknown()
        return identity and Spec(identity.ref, identity.enabled, {"label": identity.label, ...}, document)

    def register(pack: Pack, specs: list[Spec]) -> Changes:
        """Inside the load's transaction, after this pack's triggers, actions and sensors are rows."""
        for spec in specs:
            if spec.fields["action_ref"] not in known:
                spec.document.fault("there is no action …", "action_ref")    # nothing is committed then
        ...
        return Changes(added=[...], changed=[...], removed=[...], unchanged=[...])

`read` sees a document that is a mapping. `register` is called at every load, with an empty list when the folder has no
files, so that what is gone from disk is removed. Both note faults on the document and carry on; the loader rolls
everything back if there is one. In a check without writing they run just the same and are always rolled back.
'''

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apps.packs.documents import Document, Spec

if TYPE_CHECKING:
    from apps.packs.models import Pack


@dataclass
class Changes:
    """What registering one kind did, as refs."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


Read = Callable[[Document, str], Spec | None]
Register = Callable[["Pack", list[Spec]], Changes]


@dataclass(frozen=True)
class Kind:
    """One folder of a pack: `read` turns a file into a spec, `register` the specs into rows."""

    folder: str
    read: Read
    register: Register


# Folders that other Attune servers read; their files are reported as not loaded unless a room registers the kind.
FOREIGN = frozenset(
    {
        "aliases",
        "caches",
        "dashboards",
        "permission_sets",
        "policies",
        "queues",
        "rules",
        "runtimes",
        "workflows",
    }
)

_FIRST = ("triggers", "actions", "sensors")
_kinds: dict[str, Kind] = {}


def register_kind(folder: str, *, read: Read, register: Register) -> None:
    """Make the loader read `<pack>/<folder>/*.yaml` with `read`, and hand what came of it to `register`."""
    _kinds[folder] = Kind(folder, read, register)


def kinds() -> list[Kind]:
    """All kinds, those that others refer to first: triggers, actions, sensors, then those of other rooms."""
    return sorted(_kinds.values(), key=lambda kind: _FIRST.index(kind.folder) if kind.folder in _FIRST else len(_FIRST))
