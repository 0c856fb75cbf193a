"""The front door of installing: ask for it, wait for it, go back, uninstall. A worker does the work."""

from __future__ import annotations

import shutil
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.access import audit, reach
from apps.access.audit import Actor
from apps.access.principals import Role
from apps.packs import environments, sealing, tasks, versions
from apps.packs.errors import InUse, NotEditable, PackNotFound, SourceInvalid
from apps.packs.installing import batch, bringing, recovery, store, switching, tidying
from apps.packs.installing.bringing import Asked
from apps.packs.models import Action, Installation, Pack, PackIndex, PackVersion, Trigger
from apps.packs.registry import dependencies, indices
from apps.packs.sources import spec

Kind = Installation.Kind
PATIENCE = 3600.0  # seconds that somebody waits for an installation
POLL = 0.1  # seconds between two looks at an installation that somebody waits for
OPTIONS = frozenset(
    (
        *(
            "ref_spec",
            "subdirectory",
            "checksum",
            "registry_id",
            "no_registry",
            "verify_ssl",
            "pack_ref",
            "upload_name",
        ),
        *("force", "skip_tests", "with_dependencies", "skip_deps", "timeout", "force_rebuild", "version", "digest"),
    )
)


def request_installation(
    source: str, *, actor: Actor, preview: bool = False, reason: str = "install", **options: Any
) -> Installation:
    """Ask for a pack to be installed from anywhere; a worker does it. With `preview` it only says what would change.

    `source` is a folder or archive on the server, an http(s) address of an archive, a git address, or a name in the
    pack indices (`slack`, `slack@^1.2`). `options`: see OPTIONS. Raises SourceInvalid.
    """
    _refuse_file_address(source)
    given = {name: value for name, value in options.items() if value not in (None, "", False)}
    found = bringing.read(source, ref_spec=given.get("ref_spec", ""), subdirectory=given.get("subdirectory", ""))
    if found.kind == "registry":
        if given.get("no_registry"):
            raise SourceInvalid(f"{source!r} is a name in the pack indices, which were not to be asked.")
        given.setdefault("pack_ref", found.location)
    return _ask(
        Kind.PREVIEW if preview else Kind.INSTALL,
        actor=actor,
        reason=reason,
        source=found.shown,
        sealed_source=sealing.seal(source, about=sealing.INSTALLATION) if found.shown != source else "",
        pack_ref=given.get("pack_ref", ""),
        options=given,
    )


def request_update(
    pack: Pack, *, actor: Actor, version: str = "", preview: bool = False, reason: str = "update", **options: Any
) -> Installation:
    """Ask for the pack anew from where it came: the index, the repository, the folder. Raises PackNotFound."""
    now = switching.current(pack.ref)
    asked = dict((now.provenance if now else {}).get("asked", {}))
    source = asked.pop("source", "")
    if not source or (now and now.source_type == "upload"):
        where = "was sent as a file" if now else f"was loaded from {pack.path}" if pack.path else "has no files"
        raise PackNotFound(f"Where {pack.ref} came from is not known: it {where}. Say what to install.")
    if "…@" in source:
        raise SourceInvalid(f"{source} holds credentials, which were not kept; install it from its whole address.")
    if now and now.source_type == "registry":
        source, asked = pack.ref, {"registry_id": asked.get("registry_id"), "ref_spec": version}
    elif version:
        asked["ref_spec"] = version
    options.setdefault("pack_ref", pack.ref)
    return request_installation(source, actor=actor, preview=preview, reason=reason, **(asked | options))


def request_reload(pack: Pack, *, actor: Actor) -> Installation | None:
    """Pick up edits: of a local folder that was installed, as a new version; None where `load_pack` does it."""
    now = switching.current(pack.ref)
    if now is None or not store.is_stored(pack.path):
        return None
    if now.source_type != "local":
        remedy = "send it again" if now.source_type == "upload" else "update it"
        raise NotEditable(
            f"{pack.ref} {pack.version} was installed from {now.source}, and an installed version never changes; "
            f"{remedy}."
        )
    return request_update(pack, actor=actor, reason="reload")


def request_rollback(pack: Pack, *, actor: Actor, version: str = "", digest: str = "", **options: Any) -> Installation:
    """Ask for a former version, the last one if none is named. Raises NotFound naming those that are kept."""
    former = switching.former(pack.ref, version=version, digest=digest)
    chosen = options | {"version": former.version, "digest": former.digest.removeprefix("sha256:")}
    return _ask(
        Kind.ROLLBACK,
        actor=actor,
        reason="rollback",
        pack_ref=pack.ref,
        pack_version=former.version,
        from_version=pack.version,
        source=former.source,
        options=chosen,
    )


def request_environment(pack: Pack, *, actor: Actor, **options: Any) -> Installation:
    """Ask for the pack's environment to be built, anew if `force_rebuild`."""
    return _about(Kind.ENVIRONMENT, pack, actor, "build", options)


def request_tests(pack: Pack, *, actor: Actor) -> Installation:
    """Ask for the pack's own tests to be run."""
    return _about(Kind.TEST, pack, actor, "manual", {})


def keep_upload(sent: Any) -> Path:
    """Put what was sent into a file of ours, for the worker, who removes it. What it really is, its content says."""
    folder = settings.ATTUNE_VERSIONS_DIR / store.UPLOADS
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=folder, suffix=".tar.gz", delete=False) as file:
        shutil.copyfileobj(sent, file)
    return Path(file.name)


def wait_for(installation: Installation, *, seconds: float = PATIENCE) -> Installation:
    """The installation when it is over, or as it is after so many seconds, or sooner, if no worker begins with it."""
    began = time.monotonic()
    while not installation.is_final:
        waits = installation.status == Installation.Status.REQUESTED
        if time.monotonic() - began >= (min(settings.ATTUNE_INSTALL_BEGIN, seconds) if waits else seconds):
            break
        time.sleep(POLL)
        installation.refresh_from_db()
    return installation


# Several at once, without the workers -------------------------------------------------------------------------------
def download_pack(
    source: str,
    *,
    destination_dir: str | None = "",
    timeout: float = 300.0,
    registry_url: str | None = "",
    **asked: Any,
) -> dict[str, Any]:
    """Bring a pack into a folder, without installing it; what the wire says of it. Raises AttuneError."""
    _refuse_file_address(source)
    given = {name: value for name, value in asked.items() if value not in (None, "")}
    wanted = Asked(source=source, registry_url=registry_url or "", **given)
    return batch.download(wanted, destination=destination_dir or "", timeout=timeout)


def shown_source(source: str) -> str:
    """A source as it may be seen, whether it can be read or not: without credentials."""
    return spec.without_credentials(source)


def analyse_pack(path: Path, *, strict: bool) -> dict[str, Any]:
    """What the pack in a folder needs: `pack_ref`, `needs` as the wire has them, `runtime`. Raises AttuneError."""
    found = batch.analyse(path, strict=strict)
    installed = dependencies.installed_versions()
    needs = [
        {
            "pack_ref": need.ref,
            "version_spec": need.constraint or "*",
            "required_by": need.by,
            "already_installed": need.ref in installed and versions.meets(installed[need.ref], need.constraint),
        }
        for need in found["needs"]
    ]
    return {"pack_ref": found["report"].ref, "needs": needs, "runtime": found["runtime"]}


def build_folder(path: Path, **options: Any) -> dict[str, Any]:
    """Build the environments for a folder with a pack in it, see `batch.build`. Raises AttuneError."""
    return batch.build(path, **options)


def environment_facts(pack: Pack) -> dict[str, Any]:
    """What the pack's code needs besides itself and whether it is there, for people: python, nodejs, build_log."""
    return environments.facts_of(pack) if pack.path else {"python": {}, "nodejs": {}, "build_log": ""}


def size_of_version(folder: Path) -> int:
    """Bytes of a version's folder."""
    return store.size(folder)


def ensure_configured_indices() -> list[PackIndex]:
    """Rows for the pack indices that the settings name; those that were made now. Raises InvalidInput."""
    return indices.ensure_configured()


def sweep() -> int:
    """Ring again for installations that nobody works on."""
    found = recovery.forgotten()
    for pk in found:
        tasks.nudge(pk)
    return len(found)


def tidy() -> int:
    """Remove versions, environments and leftovers that nothing needs any more."""
    return tidying.tidy()


@transaction.atomic
def remove_pack(pack: Pack, *, actor: Actor) -> None:
    """Forget a pack that comes from files and all it defines; history stays, and its files for a day.

    Raises NotEditable for a system pack, InUse naming the packs that need it and other packs' rules that use it.
    """
    reach.require(actor, Role.ADMIN, pack)
    if pack.system:
        raise NotEditable(f"Pack {pack.ref} ships with Attune and cannot be uninstalled; disable it instead.")
    rules = set(pack.rules.filter(is_adhoc=True).values_list("ref", flat=True))  # type: ignore[attr-defined]
    components: list[Trigger | Action] = [*pack.triggers.all(), *pack.actions.all()]
    for component in components:
        rules.update(component.rules.exclude(pack=pack, is_adhoc=False).values_list("ref", flat=True))
    packs = sorted(dependent.pack_ref for dependent in dependencies.dependents_of(pack.ref))
    if rules or packs:
        named = {"packs": packs, "rules": sorted(rules)}
        used = [f"the {noun} {', '.join(refs[:10])}" for noun, refs in named.items() if refs]
        raise InUse(
            f"Pack {pack.ref} is needed by {' and '.join(used)}; remove or change them first.",
            details=named,
        )
    audit.record(actor, "pack.remove", pack.ref, before={"version": pack.version, "path": pack.path})
    PackVersion.objects.filter(pack_ref=pack.ref, left_at=None).update(left_at=timezone.now())
    pack.delete()


def _refuse_file_address(source: str) -> None:
    if "file://" in source.lower():
        raise SourceInvalid(
            f"{shown_source(source)!r} is a file:// address; give the plain path of the folder or archive."
        )


def _about(kind: str, pack: Pack, actor: Actor, reason: str, options: dict[str, Any]) -> Installation:
    if not pack.path:
        raise NotEditable(f"Pack {pack.ref} was made in a form and has no files.")
    return _ask(kind, actor=actor, reason=reason, pack_ref=pack.ref, pack_version=pack.version, options=options)


def _ask(kind: str, *, actor: Actor, reason: str, options: dict[str, Any], **columns: Any) -> Installation:
    reach.require_all(actor)
    unknown = options.keys() - OPTIONS
    if unknown:
        raise TypeError(f"An installation has no option {', '.join(sorted(unknown))}.")
    with transaction.atomic():
        installation = Installation.objects.create(
            kind=kind,
            trigger_reason=reason,
            requested_by=audit.actor_name(actor)[:200],
            origin=getattr(actor, "origin", "")[:100],
            options=options,
            **columns,
        )
        transaction.on_commit(partial(tasks.nudge, installation.pk), robust=True)
    return installation
