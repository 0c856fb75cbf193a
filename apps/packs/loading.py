"""Load a pack's folder: read everything, check everything, then write it in one transaction, or nothing at all."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.packs import configs, manifests, registering, runtimes, versions
from apps.packs.components import FOREIGN, Changes, Kind, kinds
from apps.packs.documents import Document, Finding, Findings, Spec
from apps.packs.folders import Folder, walk
from apps.packs.models import Action, Pack
from attune.lib.yamlfiles import MAX_BYTES, InvalidYaml, parse

BY_THEMSELVES = (Action.Runner.NATIVE, Action.Runner.DOCKER)  # scripts that no interpreter of ours reads
_REF = re.compile(r"[a-z][a-z0-9_-]*\.[a-z0-9_-]+")


@dataclass
class LoadReport:
    """What a load found and did. With a single fault it did nothing."""

    path: Path
    ref: str = ""
    version: str = ""
    pack: Pack | None = None  # the row; None where there are faults, or it was only a check
    pack_change: str = "unchanged"  # or added, changed
    checked_only: bool = False
    findings: Findings = field(default_factory=Findings)
    not_loaded: list[Finding] = field(default_factory=list)
    changes: dict[str, Changes] = field(default_factory=dict)  # by folder: actions, triggers, …
    manifest: Spec | None = None  # what the files say; None where the manifest is of no use
    specs: dict[str, list[Spec]] = field(default_factory=dict)  # by folder
    unread: set[str] = field(default_factory=set)  # refs of components whose own files could not be read

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def faults(self) -> list[Finding]:
        return self.findings.faults

    @property
    def warnings(self) -> list[Finding]:
        return self.findings.warnings

    @property
    def added(self) -> list[str]:
        return [ref for changes in self.changes.values() for ref in changes.added]

    @property
    def changed(self) -> list[str]:
        return [ref for changes in self.changes.values() for ref in changes.changed]

    @property
    def removed(self) -> list[str]:
        return [ref for changes in self.changes.values() for ref in changes.removed]

    @property
    def unchanged(self) -> list[str]:
        return [ref for changes in self.changes.values() for ref in changes.unchanged]

    @property
    def changed_anything(self) -> bool:
        return self.pack_change != "unchanged" or bool(self.added or self.changed or self.removed)

    def as_dict(self) -> dict[str, object]:
        """For the API and the audit log."""
        return {
            "ref": self.ref,
            "version": self.version,
            "ok": self.ok,
            "faults": [finding.as_dict() for finding in self.faults],
            "warnings": [finding.as_dict() for finding in self.warnings],
            "not_loaded": [finding.as_dict() for finding in self.not_loaded],
            "added": self.added,
            "changed": self.changed,
            "removed": self.removed,
            "unchanged": len(self.unchanged),
        }


def load_pack(path: Path, *, check_only: bool = False) -> LoadReport:
    """Load the pack in this folder, and report. Nothing is raised for what is wrong in the folder: see `report.faults`.

    With `check_only` all is done that a load does, the database's part included, and then undone.
    """
    report = read_pack(path)
    report.checked_only = check_only
    if report.manifest is None:
        return report
    findings, in_the_files = report.findings, len(report.faults)
    for attempt in (1, 2):
        try:
            _write(report.manifest, report.specs, report)
        except IntegrityError:  # another process made the same pack in this moment; now its row is there to be locked
            if attempt == 2:
                raise
            continue
        break
    # What refers to a component whose own file could not be read has no fault of its own.
    findings.faults[in_the_files:] = [
        fault for fault in report.faults[in_the_files:] if not report.unread & set(_REF.findall(fault.message))
    ]
    if report.faults:
        report.changes, report.pack_change = {}, "unchanged"
    if report.faults or check_only:
        report.pack = None
    return report


def read_pack(path: Path) -> LoadReport:
    """What the files in this folder say, and what is wrong with them by themselves; no database is asked."""
    report = LoadReport(path.resolve(), checked_only=True)
    findings = report.findings
    if not report.path.is_dir():
        findings.fault("", f"{report.path} is not a folder; give the folder that holds {manifests.MANIFEST}")
        return report
    folder = walk(report.path, findings)
    manifest = report.manifest = _read_manifest(folder, report)
    if manifest is None:
        return report
    report.specs = {kind.folder: _read_kind(kind, folder, manifest.ref, findings, report.unread) for kind in kinds()}
    _check_scripts(folder, report.specs)
    _check_versions(manifest)
    report.not_loaded = _not_loaded(folder)
    manifest.fields["path"], manifest.fields["digest"] = str(report.path), folder.digest()
    return report


# Reading -------------------------------------------------------------------------------------------------------------
def _read_manifest(folder: Folder, report: LoadReport) -> Spec | None:
    if manifests.MANIFEST not in folder.files:
        report.findings.fault(manifests.MANIFEST, f"{manifests.MANIFEST} is missing; every pack begins with one")
        return None
    document = _document(folder, manifests.MANIFEST, report.findings)
    config_schema = None
    if manifests.CONFIG_SCHEMA in folder.files:
        config_schema = _document(folder, manifests.CONFIG_SCHEMA, report.findings)
    manifest = manifests.read(document, config_schema) if document else None
    if manifest is not None:
        report.ref, report.version = manifest.ref, manifest.fields["version"]
        if manifest.fields["system"] and not _ships_with_attune(folder.path):
            manifest.fields["system"] = False
            manifest.document.warn(
                "only packs that ship with Attune may be system packs; it is loaded as a plain one", "system"
            )
    return manifest


def _document(folder: Folder, name: str, findings: Findings) -> Document | None:
    """The file as a document; None, with its faults noted, where it cannot be read."""
    try:
        parsed = parse(folder.read(name, limit=MAX_BYTES))
    except InvalidYaml as error:
        for line, message in error.faults:
            findings.fault(name, message, line)
        return None
    except OSError as error:
        findings.fault(name, f"the file cannot be read: {error.strerror}")
        return None
    before = len(findings.faults)
    document = Document(name, parsed, findings)
    return document if len(findings.faults) == before else None


def _read_kind(kind: Kind, folder: Folder, pack_ref: str, findings: Findings, unread: set[str]) -> list[Spec]:
    """What the files of a kind describe; the refs that those of unusable files seem to have go into `unread`."""
    specs: dict[str, Spec] = {}
    for name in folder.yaml_files(kind.folder):
        document = _document(folder, name, findings)
        spec = kind.read(document, pack_ref) if document else None
        if spec is None:
            unread.add(f"{pack_ref}.{Path(name).stem}")
            continue
        if spec.ref in specs:
            spec.document.fault(f"{spec.ref} is described in {specs[spec.ref].document.file} too; remove one", "ref")
        specs.setdefault(spec.ref, spec)
    return list(specs.values())


def _check_scripts(folder: Folder, specs: dict[str, list[Spec]]) -> None:
    """A script that is not there is a warning: the pack's description is of use without it."""
    for kind in ("actions", "sensors"):
        for spec in specs.get(kind, ()):
            script = f"{kind}/{spec.fields['entry_point']}"
            if not manifests.stays_inside(spec.fields["entry_point"]):
                continue
            if script not in folder.files:
                spec.document.warn(
                    f"entry point {script} is not there: the {kind[:-1]} will refuse to run until it is", "entry_point"
                )
            elif spec.fields["runner_type"] in BY_THEMSELVES and not folder.files[script] & stat.S_IXUSR:
                spec.document.warn(f"entry point {script} is not executable; run: chmod +x {script}", "entry_point")


def _not_loaded(folder: Folder) -> list[Finding]:
    registered = {kind.folder for kind in kinds()}
    return [
        Finding(name, None, "not loaded: no such component kind here")
        for kind in sorted(FOREIGN - registered)
        for name in folder.yaml_files(kind)
    ]


def _ships_with_attune(path: Path) -> bool:
    return path.is_relative_to(settings.ATTUNE_SYSTEM_PACKS_DIR.resolve())


# Writing -------------------------------------------------------------------------------------------------------------
@transaction.atomic
def _write(manifest: Spec, specs: dict[str, list[Spec]], report: LoadReport) -> None:
    """Everything into the database; undone at the end if a fault came up, or if it was only a check.

    The pack's row is locked first, so that two loads of one pack follow each other (SQLite: so does every transaction).
    """
    report.changes = {}
    pack = _write_pack(manifest, report)
    if pack is not None:
        _check_dependencies(manifest)
        for kind in kinds():
            report.changes[kind.folder] = kind.register(pack, specs[kind.folder])
        report.pack = pack
    if report.faults or report.checked_only:
        transaction.set_rollback(True)


def _write_pack(manifest: Spec, report: LoadReport) -> Pack | None:
    pack = Pack.objects.select_for_update().filter(ref=manifest.ref).first()
    if pack is None:
        report.pack_change = "added"
        enabled = True if manifest.enabled is None else manifest.enabled
        return Pack.objects.create(ref=manifest.ref, enabled=enabled, loaded_at=timezone.now(), **manifest.fields)
    if pack.is_adhoc:
        manifest.document.fault(
            f"{pack.ref} is a pack made in a form; delete that one first, or choose another ref", "ref"
        )
        return None
    if pack.system and _ships_with_attune(pack.folder) and not _ships_with_attune(report.path):
        manifest.document.fault(f"{pack.ref} ships with Attune and cannot be replaced; choose another ref", "ref")
        return None
    config = configs.open_config(pack)
    for message in manifests.misfits(manifest.fields["conf_schema"], config):
        manifest.document.warn(f"the configuration in use does not meet the schema: {message}", "conf_schema")
    different = registering.bring_into_line(pack, manifest)
    if "conf_schema" in different:  # what is secret may be another part of it now
        different = [*different, *configs.put(pack, config)]
    report.pack_change = "changed" if different else "unchanged"
    if different:
        pack.loaded_at = pack.updated
        pack.save(update_fields=[*different, "loaded_at", "updated"])
    return pack


def _check_versions(manifest: Spec) -> None:
    """Of Attune and Node.js; which Python is used is decided when its environment is built."""
    wanted = manifest.fields["dependencies"]
    here = {
        "attune_version": ("Attune", settings.ATTUNE_VERSION),
        "nodejs_version": ("Node.js", runtimes.installed("nodejs").version if "nodejs_version" in wanted else ""),
    }
    for key, (name, version) in here.items():
        if key in wanted and not (version and versions.meets(version, wanted[key])):
            found = f"{version} is here" if version else "it is not here"
            manifest.document.warn(f"it needs {name} {wanted[key]}, but {found}", "dependencies", key)


def _check_dependencies(manifest: Spec) -> None:
    """A pack that this one needs and that is not here is a warning: it may be brought later."""
    wanted = manifest.fields["dependencies"]
    packs = [found for text in wanted.get("packs", ()) if (found := manifests.dependency(text))]
    if not packs:
        return
    loaded = dict(Pack.objects.filter(ref__in=[ref for ref, _ in packs]).values_list("ref", "version"))
    for ref, constraint in packs:
        if ref not in loaded:
            manifest.document.warn(f"it needs the pack {ref}, which is not loaded; load it too", "dependencies")
        elif not versions.meets(loaded[ref], constraint):
            manifest.document.warn(f"it needs {ref} {constraint}, but {loaded[ref]} is loaded", "dependencies")
