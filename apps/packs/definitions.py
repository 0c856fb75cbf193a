"""Read the files of actions, triggers and sensors, in both dialects. Pure: a document in, a spec out."""

from __future__ import annotations

import json
import re
from typing import Any

from apps.packs import versions
from apps.packs.documents import Document, Spec
from apps.packs.manifests import sandbox_of, schema, start_of, stays_inside
from apps.packs.models import Action, Sandbox, Trigger
from apps.packs.runtimes import ref_of
from attune.lib import images, labels, schemas
from attune.lib.confining import limits
from attune.lib.refs import ADHOC_TRIGGER_REF

RUNNER_ALIASES = {"sh": "shell", "bash": "shell", "python3": "python", "node": "nodejs", "javascript": "nodejs"}
TRIGGER_ALIASES = {"event": "custom"}
ADVISORY = ("log_retention_policy", "log_retention_limit")
PERMISSION_SETS = ("standard",)  # what the token of every execution holds
# The core pack's actions whose token may manage packs as far as the person may who asked for them.
CARRY_RIGHTS = frozenset(
    f"core.{name}" for name in ("download_packs", "get_pack_dependencies", "build_pack_envs", "register_packs")
)
ENV_NAME = re.compile(r"[A-Z_][A-Z0-9_]*\Z")
# What every action finds in its environment; a parameter delivered there must not hide one.
RESERVED_ENV = frozenset(
    [
        "ATTUNE_ACTION",
        "ATTUNE_PACK_REF",
        "ATTUNE_EXEC_ID",
        "ATTUNE_API_URL",
        "ATTUNE_API_TOKEN",
        "ATTUNE_RULE",
        "ATTUNE_TRIGGER",
        "ATTUNE_PARAMETER_DELIVERY",
        "ATTUNE_PARAMETER_FORMAT",
        "ATTUNE_PARAMETER_FILE",
        "ATTUNE_ARTIFACTS_DIR",
        "ATTUNE_TRACE_TAG",
        "PATH",
        "HOME",
        "USER",
        "PWD",
        "TMPDIR",
        "LANG",
    ]
)


def read_action(document: Document, pack_ref: str) -> Spec | None:
    """An `actions/*.yaml`."""
    identity = document.identity(pack_ref)
    runner = document.choice("runner_type", among=Action.Runner.values, default="shell", aliases=RUNNER_ALIASES)
    delivery = document.choice("parameter_delivery", among=Action.Delivery.values, default="env")
    workflow = document.text("workflow_file", limit=300)
    parameters = schema(document, "parameters")
    fields = _runner_fields(document, runner, required=not workflow) | {
        "parameter_delivery": delivery,
        "parameter_format": document.choice(
            "parameter_format",
            among=Action.ParameterFormat.values,
            default="dotenv" if delivery == "env" else "json",
        ),
        "output_format": document.choice("output_format", among=Action.OutputFormat.values, default="text"),
        "parameters_schema": parameters,
        "output_schema": schema(document, "output_schema", "output", any_shape=True),
        "timeout": document.number("timeout", "timeout_seconds", minimum=1),
        "max_retries": document.number("max_retries") or 0,
        "idempotent": bool(document.flag("idempotent")),
        "runner": start_of(document),
        "secrets": document.strings("secrets"),
        "env_vars": _env_vars(document),
        "permission_set_refs": _permission_sets(document),
        "worker_selector": _worker_selector(document),
        "limits": _limits(document),
        "sandbox": sandbox_of(document),
        "network": _network(document),
        "examples": document.sequence("examples"),
        "workflow_file": workflow,
    }
    fields["image"] = _image(document, runner)
    _advisory(document)
    if workflow and not stays_inside(workflow):
        document.fault(f"`workflow_file` {workflow!r} leaves its folder", "workflow_file")
    elif workflow:
        document.warn("it is a workflow, which this version of Attune cannot run", "workflow_file")
    if delivery == "env":
        _check_env_delivery(document, parameters)
    if runner == Action.Runner.DOCKER:
        document.refuse_unknown(
            "is nothing that can be said of a container; what weakens it is the operator's to decide"
        )
    else:
        document.warn_of_unknown()
    return _spec(document, identity, fields)


def read_trigger(document: Document, pack_ref: str) -> Spec | None:
    """A `triggers/*.yaml`."""
    identity = document.identity(pack_ref)
    fields = {
        "type": document.choice("type", among=Trigger.Type.values, default="custom", aliases=TRIGGER_ALIASES),
        "parameters_schema": schema(document, "parameters_schema", "parameters"),
        "payload_schema": schema(document, "payload_schema", "output"),
        "examples": document.sequence("examples"),
    }
    document.warn_of_unknown()
    return _spec(document, identity, fields)


def read_sensor(document: Document, pack_ref: str) -> Spec | None:
    """A `sensors/*.yaml`. That its triggers are there is for the loader to see."""
    identity = document.identity(pack_ref)
    runner = document.choice("runner_type", among=Action.Runner.values, default="python", aliases=RUNNER_ALIASES)
    triggers = document.strings("trigger_types", "trigger_type", required=True)
    for number, ref in enumerate(triggers):
        if not ADHOC_TRIGGER_REF.match(ref):
            document.fault(f"{ref!r} is not a trigger's ref; write `<pack>.<name>`", "trigger_types", number)
    fields = _runner_fields(document, runner, required=True) | {
        "trigger_refs": [ref for ref in dict.fromkeys(triggers) if ADHOC_TRIGGER_REF.match(ref)],
        "parameters_schema": schema(document, "parameters"),
        "config": document.mapping("config"),
        "poll_interval": document.number("poll_interval", whole=False),
        "meta": document.mapping("meta", "metadata"),
    }
    if runner == Action.Runner.DOCKER:
        document.fault("only actions run in containers; choose another runner for a sensor", "runner_type")
    _advisory(document)
    document.warn_of_unknown("examples")
    return _spec(document, identity, fields)


def _advisory(document: Document) -> None:
    """Keys that mean something to other servers. How long logs are kept is a setting of the installation here."""
    for name in ADVISORY:
        document.raw(name)


def _spec(document: Document, identity: Any, fields: dict[str, Any]) -> Spec | None:
    if identity is None:
        return None
    common = {"label": identity.label, "description": identity.description, "tags": identity.tags}
    return Spec(identity.ref, identity.enabled, common | {"source": document.file} | fields, document)


def _runner_fields(document: Document, runner: str, *, required: bool) -> dict[str, Any]:
    """What says how a script is run; `runtime` is a ref here, the loader puts the row in its place."""
    entry_point = document.text("entry_point", required=required, limit=300)
    if entry_point and not stays_inside(entry_point):
        document.fault(
            f"`entry_point` {entry_point!r} leaves its folder; give a path below it, without `..`", "entry_point"
        )
    constraint = document.text("runtime_version", limit=100)
    if not versions.is_constraint(constraint):
        document.fault(
            f"`runtime_version` {constraint!r} is not a constraint; write something like '>=3.10'", "runtime_version"
        )
    return {
        "runner_type": runner,
        "runtime": ref_of(runner),
        "runtime_version": constraint,
        "entry_point": entry_point,
    }


def _image(document: Document, runner: str) -> str:
    """The image of the container it runs in; what else could be said of that, there is no place for."""
    image = document.text("image", limit=images.LONGEST)
    if runner != Action.Runner.DOCKER:
        if image:
            document.fault("an image is for `runner_type: docker`; say that, or leave out `image`", "image")
        return ""
    if not image:
        document.fault("`image` is missing; add the image that it runs in, such as `image: alpine:3.20`", "image")
    elif fault := images.fault_of(image):
        document.fault(f"`image`: {fault}", "image")
    for name in ("sandbox", "runtime_version", "runner"):
        if document.raw(name)[1] is not None:
            document.fault(f"`{name}` means nothing in a container, whose image says it all; leave it out", name)
    return image


def _env_vars(document: Document) -> list[str]:
    names = document.strings("env_vars")
    for number, name in enumerate(names):
        if not ENV_NAME.match(name) or name in RESERVED_ENV or name.startswith("ATTUNE_"):
            document.fault(
                f"{name!r} cannot be a caller's variable; use A-Z, 0-9 and _, and none that Attune sets itself",
                "env_vars",
                number,
            )
    return names


def _worker_selector(document: Document) -> dict[str, str]:
    """The labels that a worker must have to run it; numbers and truth values count as the text they are written as."""
    name = "worker_selector"
    given = {
        label: json.dumps(value) if isinstance(value, bool | int | float) else value
        for label, value in document.mapping(name).items()
    }
    fault = labels.fault_of(given)
    if fault:
        document.fault(f"`{name}`: {fault}", name)
        return {}
    return given


def _limits(document: Document) -> dict[str, int]:
    """How much of the machine it may use; what is null is left to the installation."""
    given = {name: value for name, value in document.mapping("limits").items() if value is not None}
    faults = limits.fault_of(given)
    for name, fault in faults.items():
        document.fault(fault, "limits", name)
    return {} if faults else given


def _network(document: Document) -> bool:
    allowed = document.flag("network") is not False
    if not allowed and document.raw("sandbox")[1] == Sandbox.NONE:
        document.fault("only a sandbox can keep it from the network; leave out `sandbox: none`", "network")
    return allowed


def _permission_sets(document: Document) -> list[str]:
    name = "default_execution_permission_set_refs"
    refs = document.strings(name)
    for number, ref in enumerate(refs):
        if ref not in PERMISSION_SETS:
            document.warn(
                f"there is no permission set {ref!r} here: the action is refused unless a request names others",
                name,
                number,
            )
    return refs


def _check_env_delivery(document: Document, parameters: dict[str, Any]) -> None:
    """Environment variables can be read by others on the machine, and their names are few."""
    where = document.raw("parameters")[0]
    base = (where, "properties") if "properties" in (document.data.get(where) or {}) else (where,)
    for path in schemas.secret_paths(parameters):
        document.fault(
            f"the parameter {'.'.join(path)!r} is secret and would be delivered in the environment, where others can "
            f"read it; add `parameter_delivery: stdin` (or file)",
            *base,
            *_schema_path(path),
        )
    taken: dict[str, str] = {}
    for name in parameters.get("properties") or {}:
        variable = f"ATTUNE_ACTION_{name.upper()}"
        if variable in RESERVED_ENV or "=" in name or not name:
            document.fault(f"the parameter {name!r} cannot be delivered as {variable}; rename it", *base, name)
        elif variable in taken:
            document.fault(
                f"the parameters {taken[variable]!r} and {name!r} would both be delivered as {variable}; rename one, "
                f"or add `parameter_delivery: stdin`",
                *base,
                name,
            )
        elif not ENV_NAME.match(variable):
            document.warn(
                f"{variable} is no name that a shell can read; rename the parameter {name!r}, or add "
                f"`parameter_delivery: stdin`",
                *base,
                name,
            )
        taken.setdefault(variable, name)


def _schema_path(path: tuple[str, ...]) -> list[str]:
    """Where the schema says what stands at that path of a value."""
    first, *rest = path
    return [first, *(step for part in rest for step in (["items"] if part == "*" else ["properties", part]))]
