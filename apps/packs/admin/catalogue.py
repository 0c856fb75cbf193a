"""The catalogue: packs of the indices, what they hold and how they stand here; and which installed ones are behind."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.http import urlencode

from apps.access.principals import Principal, Role
from apps.access.reach import may
from apps.packs.models import PackIndex, PackVersion
from apps.packs.registry import dependencies, indices, lookup
from apps.packs.registry.documents import CONTENTS, Entry
from apps.packs.registry.errors import NotInAnyIndex
from apps.packs.registry.lookup import Found
from apps.packs.registry.precedence import is_pre_release

SHOWN = 60  # packs of one search


def found(words: str, who: Principal) -> dict[str, Any]:
    """What the catalogue's page shows for these words."""
    rows, installed = lookup.chosen(), _installed(who)
    matching = lookup.search(words[:200], indices=rows)
    return {
        "title": "Catalogue",
        "q": words[:200],
        "packs": [_card(one, installed.get(one.entry.ref)) for one in matching[:SHOWN]],
        "count": len(matching),
        "more": max(0, len(matching) - SHOWN),
        "indices": rows,
        "troubled": [row for row in rows if row.problem],
    }


def _installed(who: Principal) -> dict[str, str]:
    """The installed packs that one may know of, with their versions."""
    installed = dependencies.installed_versions()
    return {ref: version for ref, version in installed.items() if may(who, Role.VIEWER, ref)}


def _card(one: Found, installed: str | None) -> dict[str, Any]:
    entry = one.entry
    return {
        "entry": entry,
        "index": one.index,
        "holds": holds(entry),
        "installed": installed,
        "is_newer": one.is_newer_than(installed),
        "url": reverse("admin:packs_packindex_entry", args=[entry.ref]),
    }


def holds(entry: Entry) -> str:
    """How many components of each kind, in words."""
    counted = [(len(entry.contents.get(kind, ())), kind) for kind in CONTENTS]
    return ", ".join(f"{n} {kind if n != 1 else kind[:-1]}" for n, kind in counted if n) or "nothing that it tells of"


def entry(ref: str, version: str = "", *, who: Principal) -> dict[str, Any]:
    """What the page of one pack of the indices shows: the newest version, or the one that is named.

    Raises NotInAnyIndex, InvalidInput.
    """
    one = _one(ref, version)
    listed = indices.read(one.index).by_ref.get(ref, [])
    installed = _installed(who)
    needs = [
        {
            "need": need,
            "installed": installed.get(need.ref),
            "url": reverse("admin:packs_packindex_entry", args=[need.ref]),
        }
        for need in dependencies.wanted_of(one.entry.dependencies)
    ]
    newest = next((other for other in listed if not is_pre_release(other.version)), None)
    return {
        "title": one.entry.label,
        "entry": one.entry,
        "index": one.index,
        "holds": holds(one.entry),
        "contents": [(kind, one.entry.contents.get(kind, ())) for kind in CONTENTS if one.entry.contents.get(kind)],
        "sources": lookup.sources_of(one),
        "needs": needs,
        "others": [other.version for other in listed if other.version != one.entry.version],
        "installed": installed.get(ref),
        "is_newer": one.is_newer_than(installed.get(ref)),
        "source_text": ref if newest is one.entry else f"{ref}@{one.entry.version}",
        "more_options_url": f"{reverse('admin:packs_installation_add')}?{urlencode({'source': ref})}",
    }


def _one(ref: str, version: str) -> Found:
    """As `find` gives it; of a pack of pre-releases alone the newest of these."""
    try:
        return lookup.find(ref, version)
    except NotInAnyIndex:
        shown = None if version else next((one for one in lookup.search(ref) if one.entry.ref == ref), None)
        if shown is None:
            raise
        return shown


def behind() -> dict[str, tuple[str, str]]:
    """Installed packs that came from an index and have a newer version there: the one here and the one there.

    By what the indices said when they were last read; no server is asked.
    """
    rows = PackVersion.objects.filter(left_at=None, source_type="registry")
    installed = dict(rows.values_list("pack_ref", "version"))
    newer: dict[str, tuple[str, str]] = {}
    seen: set[str] = set()
    for position, row in enumerate(_kept(installed)):
        by_ref = indices.read(row).by_ref
        for ref in installed.keys() & by_ref.keys() - seen:
            seen.add(ref)
            newest = next((one for one in by_ref[ref] if not is_pre_release(one.version)), None)
            if newest and Found(newest, row, position).is_newer_than(installed[ref]):
                newer[ref] = (installed[ref], newest.version)
    return dict(sorted(newer.items()))


def _kept(installed: dict[str, str]) -> list[PackIndex]:
    return [row for row in lookup.chosen() if row.read_at] if installed else []
