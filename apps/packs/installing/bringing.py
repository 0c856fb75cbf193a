"""Bring a pack's files here, verified, into a staging folder: from wherever its source says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.packs.errors import FetchFailed, SourceInvalid
from apps.packs.models import PackIndex
from apps.packs.registry import addresses, indices, lookup
from apps.packs.registry.documents import InstallSource
from apps.packs.sources import fetching, spec
from apps.packs.sources.fetching import Fetched
from apps.packs.sources.spec import Source


@dataclass(frozen=True)
class Asked:
    """What somebody asked to be brought, and how; see `services.request_installation`."""

    source: str
    ref_spec: str = ""
    subdirectory: str = ""
    checksum: str = ""
    registry_id: int | None = None
    registry_url: str = ""  # an index that is asked this once
    no_registry: bool = False
    verify_ssl: bool = True
    pack_ref: str = ""  # the ref it must turn out to have
    upload_name: str = ""  # the source is a file that somebody sent, and this was its name


@dataclass(frozen=True)
class Brought:
    """A pack's files in a folder of ours, and where they came from."""

    folder: Path
    source_type: str  # git, archive, local, registry, upload
    tree: str  # tree checksum
    git_commit: str = ""
    pack_ref: str = ""  # the ref it must have: that of the index, or the one asked for
    provenance: dict[str, Any] = field(default_factory=dict)


def read(text: str, *, ref_spec: str = "", subdirectory: str = "") -> Source:
    """What somebody names as the place of a pack. Raises SourceInvalid."""
    return spec.parse(
        text, ref_spec=ref_spec, subdirectory=subdirectory, allow_local=settings.ATTUNE_LOCAL_REPOSITORIES
    )


def shown(asked: Asked) -> str:
    """Its source as it may be seen: without credentials."""
    return asked.upload_name or spec.without_credentials(asked.source)


def bring(
    asked: Asked, folder: Path, *, say: Callable[[str], None], step: Callable[[str], None], deadline: float
) -> Brought:
    """Fetch, verify and unpack, into a folder that must be new.

    Raises SourceInvalid, FetchFailed, ChecksumMismatch, ArchiveRefused, NotInAnyIndex.
    """
    return _Errand(asked, folder, say, step, deadline).run()


@dataclass(frozen=True)
class _Errand:
    """One pack on its way here."""

    asked: Asked
    folder: Path
    say: Callable[[str], None]
    step: Callable[[str], None]
    deadline: float

    def run(self) -> Brought:
        asked = self.asked
        source = read(asked.source, ref_spec=asked.ref_spec, subdirectory=asked.subdirectory)
        if source.kind == "registry":
            return self._by_name(source)
        fetched = self._fetch(source, self.folder, checksum=asked.checksum, trusted=source.host)
        kind = "upload" if asked.upload_name else fetched.source_type
        provenance = self._provenance(fetched, kind, verified=bool(asked.checksum))
        provenance["git_ref"] = source.ref_spec or None
        return Brought(fetched.folder, kind, fetched.tree, fetched.git_commit, asked.pack_ref, provenance)

    def _by_name(self, source: Source) -> Brought:
        """Try the sources that the index gives one after the other; a checksum that does not match ends it at once."""
        found = lookup.find(source.location, source.ref_spec, indices=self._indices())
        entry, index = found.entry, found.index
        self.say(f"{entry.ref} {entry.version} is in {index}.")
        failed: list[FetchFailed] = []
        for number, offered in enumerate(lookup.sources_of(found)):
            self.say(f"From {offered.type}: {offered.url}")
            try:
                fetched = self._fetch(
                    _source_of(offered),
                    self.folder / str(number),
                    checksum=offered.checksum,
                    trusted=addresses.host_and_port(index.url),
                    headers=indices.headers_for(index, offered.url),
                )
            except FetchFailed as error:
                failed.append(error)
                self.say(f"That did not work: {error.message}")
                continue
            provenance = self._provenance(fetched, offered.type, verified=bool(offered.checksum)) | {
                "git_ref": offered.ref or None,
                "registry_url": index.url,
                "registry_id": index.pk,
                "resolved_pack": f"{entry.ref}@{entry.version}",
                "fallback_occurred": bool(failed),
            }
            return Brought(fetched.folder, "registry", fetched.tree, fetched.git_commit, entry.ref, provenance)
        if not failed:
            raise FetchFailed(f"{index} names no source for {entry.ref} {entry.version}; ask whoever keeps it.")
        raise FetchFailed(
            f"{entry.ref} {entry.version} could not be fetched from any of its {len(failed)} sources; "
            f"the last one said: {failed[-1].message}"
        )

    def _indices(self) -> list[PackIndex]:
        if not self.asked.registry_url:
            return lookup.chosen(self.asked.registry_id)
        try:
            return [PackIndex(url=addresses.index_address(self.asked.registry_url))]
        except ValueError as fault:
            raise SourceInvalid(f"{self.asked.registry_url!r} is no address of an index: {fault}.") from None

    def _fetch(
        self, source: Source, folder: Path, *, checksum: str, trusted: str, headers: dict[str, str] | None = None
    ) -> Fetched:
        """`trusted`: the host that a person or a configured index has named, which may be a private one."""
        return fetching.fetch(
            source,
            folder,
            say=self.say,
            step=self.step,
            deadline=self.deadline,
            allow_local=source.kind != "git" or settings.ATTUNE_LOCAL_REPOSITORIES,
            trusted_hosts=frozenset({trusted} if trusted else ()),
            expected_checksum=checksum,
            verify_ssl=self.asked.verify_ssl,
            headers=headers,
        )

    def _provenance(self, fetched: Fetched, artifact_type: str, *, verified: bool) -> dict[str, Any]:
        """As the wire has it, and under `asked` what is needed to ask for the same again."""
        asked = self.asked
        again = {name: getattr(asked, name) for name in ("ref_spec", "subdirectory", "registry_id")}
        again["source"] = shown(asked)
        return {
            "artifact_type": artifact_type,
            "artifact_url": fetched.final_url or None,
            "checksum": fetched.checksum,
            "checksum_subject": "archive_bytes" if fetched.source_type == "archive" else "directory_content",
            "checksum_verified": verified,
            "fallback_occurred": False,
            "asked": {name: value for name, value in again.items() if value},
        }


def _source_of(offered: InstallSource) -> Source:
    """What an index names; one that is a file on the server names archives beside it by their paths."""
    if "://" not in offered.url:
        return spec.parse(offered.url)
    return spec.from_index({"type": offered.type, "url": offered.url, "ref": offered.ref})
