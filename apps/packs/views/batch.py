"""Manage several packs at once: download, analyse, build, register. Each has a result; a bad one fails no other."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import Principal, principal_of
from apps.access.rights import Role, open_to
from apps.packs import services
from apps.packs.errors import InstallFailed
from apps.packs.models import Installation, Pack
from apps.packs.serializers.batch import (
    BuildRequest,
    Builds,
    Dependencies,
    DependenciesRequest,
    DownloadRequest,
    Downloads,
    RegisterBatchRequest,
    Registrations,
)
from attune.lib.api import answer, body_of
from attune.lib.errors import AttuneError, Conflict
from attune.lib.openapi import describe

NEEDS = {"POST": open_to(Role.ADMIN, execution=True)}  # executions: those that carry a person's right, see `_manager`
COUNTED = ("actions", "sensors", "triggers", "rules", "workflows", "policies")


def _manager(request: Request) -> Principal:
    """Who manages packs here: an administrator, or the one whom a core action works for. Raises PermissionDenied."""
    principal = principal_of(request)
    if principal.kind == "execution" and principal.rights_of is not None:
        principal = replace(principal.rights_of, origin=principal.name)
    if not principal.has_role(Role.ADMIN):
        raise PermissionDenied(
            "Packs are managed by administrators, or by a core action that an administrator has asked for."
        )
    return principal


def _path(text: str, base: str | None) -> Path:
    return Path(base or "/") / text


class DownloadPacks(APIView):
    needs = NEEDS

    @describe("download_packs", "Download packs from anywhere", body=DownloadRequest, answers=Downloads)
    def post(self, request: Request) -> Response:
        _manager(request)
        given = body_of(request, DownloadRequest)
        downloaded, failed = [], []
        for source in given["packs"]:
            try:
                downloaded.append(services.download_pack(source, **{k: v for k, v in given.items() if k != "packs"}))
            except AttuneError as error:
                failed.append({"source": services.shown_source(source), "error": error.message})
        counts = {"total_count": len(given["packs"]), "success_count": len(downloaded), "failure_count": len(failed)}
        return answer({"downloaded_packs": downloaded, "failed_packs": failed, **counts})


class PackDependencies(APIView):
    needs = NEEDS

    @describe("get_pack_dependencies", "Say what packs need", body=DependenciesRequest, answers=Dependencies)
    def post(self, request: Request) -> Response:
        _manager(request)
        given = body_of(request, DependenciesRequest)
        found: dict[str, Any] = {"dependencies": [], "runtime_requirements": {}, "analyzed_packs": [], "errors": []}
        for text in given["pack_paths"]:
            try:
                one = services.analyse_pack(Path(text), strict=not given["skip_validation"])
            except AttuneError as error:
                found["errors"].append({"pack_path": text, "error": error.message})
                continue
            needs, ref = one["needs"], one["pack_ref"]
            found["dependencies"] += needs
            found["runtime_requirements"][ref] = one["runtime"]
            found["analyzed_packs"].append(
                {
                    "pack_ref": ref,
                    "pack_path": text,
                    "has_dependencies": bool(needs),
                    "dependency_count": len(needs),
                }
            )
        together = found["runtime_requirements"].keys()
        missing = [
            need for need in found["dependencies"] if not need["already_installed"] and need["pack_ref"] not in together
        ]
        return answer(found | {"missing_dependencies": missing})


class BuildPackEnvironments(APIView):
    needs = NEEDS

    @describe("build_pack_envs", "Build the environments of packs", body=BuildRequest, answers=Builds)
    def post(self, request: Request) -> Response:
        _manager(request)
        given = body_of(request, BuildRequest)
        options = {name: given.get(name) or "" for name in ("python_version", "nodejs_version")}
        options |= {name: given[name] for name in ("skip_python", "skip_nodejs", "timeout")}
        built, failed, began = [], [], time.monotonic()
        for text in given["pack_paths"]:
            path, start = _path(text, given.get("packs_base_dir")), time.monotonic()
            try:
                one = services.build_folder(path, force=given["force_rebuild"], **options)
                built.append(one | {"duration_ms": _ms(start)})
            except AttuneError as error:
                about = {"pack_ref": error.details.get("ref", ""), "runtime": error.details.get("runtime", "")}
                failed.append({**about, "pack_path": str(path), "error": error.message})
        summary = {
            "total_packs": len(given["pack_paths"]),
            "success_count": len(built),
            "failure_count": len(failed),
            "python_envs_built": sum("python" in one["environments"] for one in built),
            "nodejs_envs_built": sum("nodejs" in one["environments"] for one in built),
            "total_duration_ms": _ms(began),
        }
        return answer({"built_environments": built, "failed_environments": failed, "summary": summary})


class RegisterPacks(APIView):
    needs = NEEDS

    @describe("register_packs_batch", "Install packs from folders", body=RegisterBatchRequest, answers=Registrations)
    def post(self, request: Request) -> Response:
        manager = _manager(request)
        given = body_of(request, RegisterBatchRequest)
        registered, failed, began = [], [], time.monotonic()
        options = {"force": given["force"], "skip_tests": given["skip_tests"], "skip_deps": given["skip_validation"]}
        for text in given["pack_paths"]:
            path = _path(text, given.get("packs_base_dir"))
            try:
                registered.append(_registered(path, manager, options))
            except InstallFailed as error:
                stage, ref = error.details.get("step", ""), error.details.get("ref", "")
                failed.append({"pack_ref": ref, "pack_path": text, "error": error.message, "error_stage": stage})
            except AttuneError as error:
                failed.append({"pack_ref": "", "pack_path": text, "error": error.message, "error_stage": "fetch"})
        summary = {
            "total_packs": len(given["pack_paths"]),
            "success_count": len(registered),
            "failure_count": len(failed),
            "total_components": sum(sum(one["components_registered"].values()) for one in registered),
            "duration_ms": _ms(began),
        }
        return answer({"registered_packs": registered, "failed_packs": failed, "summary": summary})


def _registered(path: Path, manager: Principal, options: dict[str, Any]) -> dict[str, Any]:
    """Install one folder and wait for it; what the wire says of it. Raises AttuneError."""
    asked = services.request_installation(str(path), actor=manager, reason="register", **options)
    over = services.wait_for(asked)
    if not over.is_final:
        raise Conflict(f"No worker has begun with it yet; it is installation {over.pk}, and begins when one is free.")
    if over.status != Installation.Status.COMPLETED:
        raise InstallFailed.of(over)
    pack = Pack.objects.get(ref=over.pack_ref)
    result: dict[str, Any] = {
        "pack_ref": pack.ref,
        "pack_id": pack.pk,
        "pack_version": pack.version,
        "storage_path": pack.path,
        "components_registered": {kind: getattr(pack, kind).count() if hasattr(pack, kind) else 0 for kind in COUNTED},
        "validation_results": {"valid": True, "errors": over.result.get("plan", {}).get("warnings", [])},
        "install_id": over.pk,
        "install_status": over.status,
    }
    return result | ({"test_result": over.result["test_result"]} if over.result.get("test_result") else {})


def _ms(since: float) -> int:
    return round(1000 * (time.monotonic() - since))
