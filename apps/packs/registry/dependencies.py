"""What packs need of one another: the order to install them in, and what stands in the way.

`resolve` is pure. It takes the newest version of each pack that all needs known by then allow, and looks again as long
as what it took brings further needs; it does not go back to an older version of one pack to suit another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from apps.packs import manifests
from apps.packs.models import Pack, PackIndex
from apps.packs.registry import lookup
from apps.packs.registry.errors import NotInAnyIndex
from apps.packs.registry.precedence import allows, both

ROUNDS = 200  # until needs that keep changing one another's answer are given up
MOST_COMPARED = 30  # needs of one pack, each with each, to say which two cannot agree


@dataclass(frozen=True)
class Need:
    """A pack that is needed, in which versions, and by whom: a pack's ref, or empty for whoever asked."""

    ref: str
    constraint: str = ""
    by: str = ""

    def __str__(self) -> str:
        wanted = f"{self.ref} {self.constraint}".strip()
        return f"{self.by} needs {wanted}" if self.by else f"{wanted} was asked for"


@dataclass(frozen=True)
class Candidate:
    """A version of a pack that could be installed, and what it needs."""

    ref: str
    version: str
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Conflict:
    """Needs of one pack that cannot be met together."""

    ref: str
    sides: tuple[Need, ...]
    reason: str = ""

    def __str__(self) -> str:
        sides = ", but ".join(map(str, self.sides))
        return f"{sides}; {self.reason}" if self.reason else f"{sides}; no version of {self.ref} suits all of them"


@dataclass
class Plan:
    """What to install, dependencies first, and what stands in the way."""

    install: list[Candidate] = field(default_factory=list)
    satisfied: list[Need] = field(default_factory=list)  # by what is installed
    missing: list[Need] = field(default_factory=list)  # nowhere to be had
    conflicts: list[Conflict] = field(default_factory=list)
    circles: list[tuple[str, ...]] = field(default_factory=list)  # ("a", "b", "a")

    @property
    def ok(self) -> bool:
        return not (self.missing or self.conflicts or self.circles)

    @property
    def problems(self) -> list[str]:
        """What stands in the way, as sentences."""
        missing = [
            f"{need}, which no index has; add it to one, or load it from a folder first" for need in self.missing
        ]
        circles = [
            f"the packs need one another in a circle: {' → '.join(path)}; one must do without" for path in self.circles
        ]
        return [*missing, *map(str, self.conflicts), *circles]


Available = Callable[[str, str], Candidate | None]


def wanted_of(dependencies: Mapping[str, Any] | Sequence[Any], *, by: str = "") -> list[Need]:
    """The packs that a manifest's `dependencies` (the object, or the bare list) name; what cannot be read is not."""
    packs = dependencies.get("packs") if isinstance(dependencies, Mapping) else dependencies
    found = [manifests.dependency(text) for text in packs or () if isinstance(text, str)]
    return [Need(ref, constraint, by) for ref, constraint in filter(None, found)]


def resolve(
    root: Need | Candidate,
    *,
    installed: Mapping[str, str],
    available: Available,
    held: Iterable[Need] = (),
) -> Plan:
    """How to install `root`: something that is asked for by name, or a pack whose files are here already.

    `installed` are the versions that are in use, `held` what these need (their needs must still be met afterwards),
    `available` gives the newest version that meets a constraint, or None.
    """
    return _Resolution(root, installed, available, tuple(held)).plan()


class _Resolution:
    def __init__(
        self, root: Need | Candidate, installed: Mapping[str, str], available: Available, held: tuple[Need, ...]
    ) -> None:
        self.root, self.installed, self.available, self.held = root, installed, available, held
        self.chosen: dict[str, Candidate] = {root.ref: root} if isinstance(root, Candidate) else {}
        self.result = Plan()

    def plan(self) -> Plan:
        asked: dict[str, tuple[Need, ...]] = {}
        for _ in range(ROUNDS):
            needs = self._needs()
            if needs == asked:
                break
            self.chosen = {ref: one for ref, one in self.chosen.items() if ref in needs or one is self.root}
            for ref in needs:
                if needs[ref] != asked.get(ref):
                    self._choose(ref, needs[ref])
            asked = needs
        else:
            unsettled, sides = next(one for one in self._needs().items() if one[1] != asked.get(one[0]))
            self.result.conflicts.append(Conflict(unsettled, sides, f"{ROUNDS} looks have not settled what to take"))
        self._judge(asked)
        self._order()
        return self.result

    def _needs(self) -> dict[str, tuple[Need, ...]]:
        """Who needs what, by the pack that is needed, as far as it follows from what is chosen by now."""
        found: dict[str, dict[Need, None]] = {}
        waiting = [self.root] if isinstance(self.root, Need) else list(self._needs_of(self.root))
        while waiting:
            need = waiting.pop(0)
            sides = found.setdefault(need.ref, {})
            first = not sides
            sides[need] = None
            if first and need.ref in self.chosen:
                waiting += self._needs_of(self.chosen[need.ref])
        return {ref: tuple(sides) for ref, sides in found.items()}

    def _needs_of(self, candidate: Candidate) -> list[Need]:
        return [replace(need, by=candidate.ref) for need in candidate.needs]

    def _choose(self, ref: str, sides: tuple[Need, ...]) -> None:
        """What is installed if it will do, else the newest version that suits all sides and those who use it now."""
        if isinstance(self.root, Candidate) and ref == self.root.ref:
            return
        self.chosen.pop(ref, None)
        if ref in self.installed and not _unmet(sides, self.installed[ref]):
            return
        found = self._newest(ref, (*sides, *self._users(ref))) or self._newest(ref, sides)
        if found is not None:
            self.chosen[ref] = found

    def _newest(self, ref: str, sides: Iterable[Need]) -> Candidate | None:
        try:
            return self.available(ref, both(*(need.constraint for need in sides)))
        except ValueError:  # as many alternatives as nobody means
            return None

    def _users(self, ref: str) -> list[Need]:
        """What the installed packs need of this one: those that stay as they are, and are content with it today."""
        present = self.installed.get(ref)
        return [
            need
            for need in self.held
            if need.ref == ref and need.by not in self.chosen and present and not _unmet([need], present)
        ]

    def _judge(self, needs: dict[str, tuple[Need, ...]]) -> None:
        """Say of every need whether it is met, and by what; else what is in the way."""
        plan = self.result
        for ref, sides in needs.items():
            taken = self.chosen.get(ref)
            if taken is None and ref in self.installed and not _unmet(sides, self.installed[ref]):
                plan.satisfied += sides
            elif taken is not None and not _unmet(sides, taken.version):
                continue
            elif (offered := taken or self._newest(ref, ())) is None:
                plan.missing += sides
            else:
                plan.conflicts.append(self._conflict(ref, sides, offered))
        for ref, candidate in self.chosen.items():
            if ref in self.installed and (broken := _unmet(self._users(ref), candidate.version)):
                wanted = _unmet(needs.get(ref, ()), self.installed[ref])[:1] or [Need(ref, candidate.version)]
                reason = f"{ref} {candidate.version} would take the place of {self.installed[ref]}"
                plan.conflicts.append(Conflict(ref, (*wanted, *broken), reason))

    def _conflict(self, ref: str, sides: tuple[Need, ...], offered: Candidate) -> Conflict:
        """Between two sides where two cannot agree, else of a need with what there is."""
        alone = [need for need in sides if self._newest(ref, [need]) is None]
        if isinstance(self.root, Candidate) and ref == self.root.ref:
            return Conflict(ref, tuple(_unmet(sides, offered.version)), f"{ref} {offered.version} is to be installed")
        if alone:
            return Conflict(ref, tuple(alone), f"the newest one to be had is {offered.version}")
        for one, other in combinations(sides[:MOST_COMPARED], 2):
            if self._newest(ref, [one, other]) is None:
                return Conflict(ref, (one, other))
        return Conflict(ref, sides)

    def _order(self) -> None:
        """Dependencies first; where they go round in a circle it is named once, and cut."""
        done: set[str] = set()

        def visit(ref: str, path: tuple[str, ...]) -> None:
            if ref in path:
                circle = path[path.index(ref) :]
                start = circle.index(min(circle))
                named = (*circle[start:], *circle[:start], circle[start])
                if named not in self.result.circles:
                    self.result.circles.append(named)
                return
            if ref in done or ref not in self.chosen:
                return
            for need in self.chosen[ref].needs:
                visit(need.ref, (*path, ref))
            done.add(ref)
            self.result.install.append(self.chosen[ref])

        visit(self.root.ref, ())


def _unmet(needs: Iterable[Need], version: str) -> list[Need]:
    return [need for need in needs if not allows(need.constraint, version)]


def from_indices(indices: Sequence[PackIndex] | None = None) -> Available:
    """What the indices have to offer."""
    asked = lookup.chosen() if indices is None else indices

    def newest(ref: str, constraint: str) -> Candidate | None:
        try:
            entry = lookup.find(ref, constraint, indices=asked).entry
        except NotInAnyIndex:
            return None
        return Candidate(entry.ref, entry.version, tuple(wanted_of(entry.dependencies, by=entry.ref)))

    return newest


# Of the packs that are installed -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Dependent:
    """An installed pack that needs another."""

    pack_ref: str
    constraint: str = ""

    def __str__(self) -> str:
        return f"{self.pack_ref} ({self.constraint})" if self.constraint else self.pack_ref


def installed_versions() -> dict[str, str]:
    """The packs that are installed, with their versions."""
    return dict(Pack.objects.values_list("ref", "version"))


def held_needs() -> list[Need]:
    """What the installed packs need of one another."""
    rows = Pack.objects.order_by("ref").values_list("ref", "dependencies")
    return [need for ref, dependencies in rows for need in wanted_of(dependencies or {}, by=ref)]


def dependents_of(ref: str) -> list[Dependent]:
    """The installed packs that need this one."""
    return [Dependent(need.by, need.constraint) for need in held_needs() if need.ref == ref and need.by != ref]


def breaks(ref: str, version: str) -> list[Dependent]:
    """The installed packs that are content with this pack as it is, and would not be with that version of it."""
    present = Pack.objects.filter(ref=ref).values_list("version", flat=True).first()
    return [
        found
        for found in dependents_of(ref)
        if present and allows(found.constraint, present) and not allows(found.constraint, version)
    ]
