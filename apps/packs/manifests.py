"""Read a pack's manifest, `pack.yaml`. Pure: a document in, a spec out, findings noted on the document."""

from __future__ import annotations

import re
from typing import Any

from apps.packs import versions
from apps.packs.documents import Document, Spec
from apps.packs.models import Sandbox, Start
from attune.lib import schemas
from attune.lib.refs import PACK_REF, title_of

MANIFEST = "pack.yaml"
CONFIG_SCHEMA = "config.schema.yaml"
RUNTIMES = ("python", "python3", "nodejs", "node", "shell", "bash", "sh", "native")
_DEPENDENCY = re.compile(r"([a-z][a-z0-9_-]*)\s*(?:@\s*(.*)|([<>=~^!].*))?\Z")


def read(document: Document, config_schema: Document | None = None) -> Spec | None:
    """The pack as its manifest describes it; None where it has no usable ref. `config_schema` is the separate file."""
    ref = document.pack_ref()
    version = document.text("version", required=True, limit=60)
    if version and not versions.SEMVER.match(version):
        document.fault(f"version {version!r} is not a semantic version; write it like 1.0.0", "version")
    conf_schema = _conf_schema(document, config_schema)
    config = document.mapping("config")
    fields: dict[str, Any] = {
        "label": document.text("label", "name", required=True, limit=200) or title_of(ref),
        "description": document.text("description", required=True, limit=20_000),
        "version": version,
        "author": document.text("author", limit=200),
        "email": document.text("email", limit=200),
        "license": document.text("license", limit=100),
        "homepage": document.text("homepage", limit=500),
        "system": document.flag("system") or False,
        "conf_schema": conf_schema,
        "config_defaults": config,
        "meta": document.mapping("meta", "metadata"),
        "tags": document.strings("tags", "keywords"),
        "runtime_deps": _runtime_deps(document),
        "dependencies": _dependencies(document),
        "testing": _testing(document),
        "runner": start_of(document),
        "sandbox": sandbox_of(document),
    }
    enabled = document.flag("enabled")
    document.warn_of_unknown()
    for message in misfits(conf_schema, config):
        document.warn(f"the default configuration does not meet its schema: {message}", "config")
    return Spec(ref, enabled, fields, document) if ref else None


def schema(document: Document, *names: str, any_shape: bool = False) -> dict[str, Any]:
    """A schema field in normal form, its faults and doubtful defaults noted with their lines."""
    name, value = document.raw(*names)
    return _normal(document, value, (name,), name, any_shape)


def start_of(document: Document) -> str:
    """`runner`: how Python scripts are started; empty where the file leaves it open."""
    given = document.raw("runner")[1]
    return "" if given is None else document.choice("runner", among=Start.values, default="")


def sandbox_of(document: Document) -> str:
    """`sandbox`: what keeps its programs from the rest of the machine; empty where the file leaves it open."""
    given = document.raw("sandbox")[1]
    if given is None:
        return ""
    chosen = document.choice("sandbox", among=Sandbox.values, default="")
    if chosen == Sandbox.NONE:
        document.warn("it asks to run outside the sandbox; ATTUNE_SANDBOX=bwrap overrules that", "sandbox")
    return chosen


def misfits(conf_schema: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """What in a configuration does not meet its schema; what is merely missing may still be given by the operator."""
    if not conf_schema or not config:
        return []
    try:
        schemas.check(conf_schema | {"required": []}, config, noun="setting")
    except schemas.SchemaMismatch as mismatch:
        return [fault["message"] for fault in mismatch.details["faults"]]
    return []


def dependency(text: str) -> tuple[str, str] | None:
    """`ref`, `ref@range` or `ref>=1.0` as (ref, range); None where it is neither."""
    match = _DEPENDENCY.match(text.strip())
    wanted = (match[2] or match[3] or "").strip() if match else ""
    return (match[1], wanted) if match and versions.is_constraint(wanted) else None


def _normal(
    document: Document, value: Any, path: tuple[str, ...], where: str, any_shape: bool = False
) -> dict[str, Any]:
    normal, faults = schemas.normalise(value, where=where, any_shape=any_shape)
    for fault in faults:
        document.fault(fault.message, *path, *fault.path)
    if faults:
        return {}
    for doubt in schemas.misfit_defaults(normal):
        given = doubt.path if isinstance(value, dict) and doubt.path[0] in value else doubt.path[1:]
        document.warn(f"{doubt.message}; it is refused whenever it is used", *path, *given)
    return normal


def _conf_schema(document: Document, file: Document | None) -> dict[str, Any]:
    """From the manifest, else from `config.schema.yaml`, where it may stand below `conf_schema` or by itself."""
    inside = schema(document, "conf_schema", "config_schema")
    if file is None:
        return inside
    if inside:
        file.warn(f"the configuration is described in {MANIFEST} too; that one counts")
        return inside
    inner = next((name for name in ("conf_schema", "config_schema") if isinstance(file.data.get(name), dict)), None)
    return _normal(file, file.data[inner] if inner else file.data, (inner,) if inner else (), CONFIG_SCHEMA)


def _runtime_deps(document: Document) -> list[str]:
    wanted = document.strings("runtime_deps")
    for number, name in enumerate(wanted):
        if re.split(r"[\s<>=~^!@]", name)[0].lower() not in RUNTIMES:
            document.warn(f"runtime {name!r} is not one Attune looks after; see to it yourself", "runtime_deps", number)
    return wanted


def _dependencies(document: Document) -> dict[str, Any]:
    """The list of packs, or the object with `packs` and versions, as that object."""
    name, value = document.raw("dependencies")
    if value is None or value == []:
        return {}
    given = {"packs": value} if isinstance(value, list) else value
    if not isinstance(given, dict):
        document.fault("`dependencies` must be a list of packs, such as `- core@>=1.0.0`, or a mapping", name)
        return {}
    result: dict[str, Any] = {}
    for key, wanted in given.items():
        if key == "packs":
            result["packs"] = [text for item in wanted or [] if (text := _pack_dependency(document, item))]
        elif key in ("attune_version", "python_version", "nodejs_version"):
            if isinstance(wanted, str) and versions.is_constraint(wanted):
                result[key] = wanted
            else:
                document.fault(f"`{key}` must be a version constraint such as '>=3.10'", name, key)
        else:
            document.warn(f"`{key}` is not a dependency that Attune knows; it is ignored", name, key)
    return result


def _pack_dependency(document: Document, item: Any) -> str:
    text = item
    if isinstance(item, dict):
        text = "@".join(str(part) for part in (item.get("ref") or item.get("name"), item.get("version")) if part)
    found = dependency(text) if isinstance(text, str) else None
    if found is None or not PACK_REF.match(found[0]):
        document.fault(f"{item!r} is not a dependency; write a pack's ref, or `ref@>=1.0.0`", "dependencies")
        return ""
    return "@".join(part for part in found if part)


def _testing(document: Document) -> dict[str, Any]:
    testing = document.mapping("testing")
    runners = testing.get("runners")
    if runners is not None and not isinstance(runners, dict):
        document.fault("`runners` must be a mapping of names to runners", "testing", "runners")
        return testing
    for name, runner in (runners or {}).items():
        entry = runner.get("entry_point") if isinstance(runner, dict) else None
        if not isinstance(entry, str) or not stays_inside(entry):
            document.fault(
                f"the test runner {name!r} needs an `entry_point` within the pack", "testing", "runners", name
            )
    return testing


def stays_inside(path: str) -> bool:
    """Whether a relative path, as text, cannot lead out of its folder."""
    parts = path.split("/")
    return bool(path) and not path.startswith("/") and "\\" not in path and "\0" not in path and ".." not in parts
