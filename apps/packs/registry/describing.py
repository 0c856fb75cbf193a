"""What an index says of a pack, read from the pack's own files. No database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from apps.packs.documents import Spec
from apps.packs.errors import PackInvalid
from apps.packs.loading import read_pack
from apps.packs.registry.documents import Entry, InstallSource, Named
from attune.lib.refs import name_of

NO_LICENSE = "NOASSERTION"  # SPDX's word for one that nobody has named


def describe(folder: Path, sources: Iterable[InstallSource] = (), *, shown: Path | None = None) -> Entry:
    """The entry of the pack in this folder, which people know as `shown`. Raises PackInvalid, with all its faults."""
    report = read_pack(folder)
    if report.manifest is None or report.faults:
        first = "; ".join(map(str, report.faults[:5]))
        raise PackInvalid(f"The pack in {shown or folder} cannot be published: {first}", details=report.as_dict())
    return _entry(report.manifest, report.specs, tuple(sources))


def _entry(manifest: Spec, specs: dict[str, list[Spec]], sources: tuple[InstallSource, ...]) -> Entry:
    fields, meta = manifest.fields, manifest.fields["meta"]
    actions = specs.get("actions", [])
    workflows = [spec for spec in actions if spec.fields["workflow_file"]]
    names_none = manifest.document.data.get("dependencies") is None
    return Entry(
        ref=manifest.ref,
        version=fields["version"],
        label=fields["label"],
        description=fields["description"],
        author=fields["author"],
        license=fields["license"] or _text(meta, "license") or NO_LICENSE,
        keywords=tuple(sorted({*(_texts(meta, "keywords") or fields["tags"])})),
        runtime_deps=tuple(fields["runtime_deps"]),
        install_sources=sources,
        contents={
            "actions": _named(spec for spec in actions if spec not in workflows),
            "workflows": _named(workflows),
            **{kind: _named(specs.get(kind, ())) for kind in ("sensors", "triggers", "rules")},
        },
        meta={"category": category} if (category := _text(meta, "category")) else {},
        repository=_text(meta, "repository_url"),
        email=fields["email"],
        homepage=fields["homepage"] or _text(meta, "documentation_url"),
        dependencies={} if names_none else {"packs": [], **fields["dependencies"]},
    )


def _named(specs: Iterable[Spec]) -> tuple[Named, ...]:
    return tuple(sorted((Named(name_of(spec.ref), spec.fields["description"]) for spec in specs), key=_name))


def _name(named: Named) -> str:
    return named.name


def _text(meta: dict[str, Any], name: str) -> str:
    return value.strip() if isinstance(value := meta.get(name), str) else ""


def _texts(meta: dict[str, Any], name: str) -> list[str]:
    values = meta.get(name)
    return [value for value in values if isinstance(value, str) and value] if isinstance(values, list) else []
