"""Install, update, roll back and test packs. A worker does it; one may wait for it, or listen to its stream."""

from __future__ import annotations

from typing import Any

from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import principal_of
from apps.access.reach import find, narrow
from apps.access.rights import Role
from apps.packs import services
from apps.packs.errors import InstallFailed
from apps.packs.models import Installation, Pack
from apps.packs.serializers.installing import (
    InstallationDetail,
    Installed,
    InstallQuery,
    InstallRequest,
    RollbackRequest,
    UpdateRequest,
    UploadRequest,
    WaitRequest,
)
from apps.packs.serializers.packs import PackDetail
from apps.packs.views.packs import pack_of_ref
from attune.lib.api import answer, body_of, narrowed, page_of, query_of
from attune.lib.openapi import describe, describe_list

FAILS = {409: "It would break something, or its tests fail.", 422: "The source or the pack has faults."}
_HERE = ("wait", "dry_run")


def outcome(installation: Installation, given: dict[str, Any], *, status: int = 200) -> Response:
    """The answer to whoever asked for an installation: 202 at once, else what became of it. Raises InstallFailed."""
    if given.get("wait", True):
        installation = services.wait_for(installation, seconds=float(given.get("timeout") or services.PATIENCE))
    result = installation.result
    if installation.status == Installation.Status.FAILED:
        raise InstallFailed.of(installation)
    data: dict[str, Any] = {
        "install_id": installation.pk,
        "install_status": installation.status,
        "stream": f"/api/v1/packs/install/{installation.pk}/stream",
        "tests_skipped": result.get("tests_skipped", True),
        "unchanged": result.get("unchanged", False),
        "warnings": result.get("plan", {}).get("warnings", []),
    }
    data |= {name: result[name] for name in ("provenance", "test_result", "plan") if result.get(name)}
    pack = Pack.objects.filter(ref=installation.pack_ref).first()
    if pack is not None:
        data["pack"] = PackDetail(pack).data
    return answer(data, status=status if installation.is_final else 202)


def options_of(given: dict[str, Any], *but: str) -> dict[str, Any]:
    """What of a request's body is an option of the installation."""
    return {name: value for name, value in given.items() if name not in (*_HERE, *but)}


class Installations(APIView):
    needs = {"GET": Role.VIEWER, "POST": Role.ADMIN}

    @describe_list(
        "list_pack_installs", "List installations, latest first", answers=InstallationDetail, query=InstallQuery
    )
    def get(self, request: Request) -> Response:
        asked = query_of(request, InstallQuery)
        rows = narrow(principal_of(request), Installation.objects.all())
        filters = {"pack_ref": "pack_ref", "status": "status", "kind": "kind"}
        return page_of(request, narrowed(rows, asked, filters), InstallationDetail)

    @describe("install_pack", "Install a pack from anywhere", body=InstallRequest, answers=Installed, also=FAILS)
    def post(self, request: Request) -> Response:
        given = body_of(request, InstallRequest)
        options = options_of(given, "source")
        asked = services.request_installation(
            given["source"], actor=principal_of(request), preview=given["dry_run"], **options
        )
        return outcome(asked, given)


class InstallationView(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_pack_install", "Show an installation", answers=InstallationDetail)
    def get(self, request: Request, pk: int) -> Response:
        return answer(InstallationDetail(find(request, Installation.objects.all(), "installation", pk=pk)).data)


class LatestInstallation(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_pack_latest_install", "Show a pack's latest installation", answers=InstallationDetail)
    def get(self, request: Request, ref: str) -> Response:
        rows = Installation.objects.exclude(kind=Installation.Kind.PREVIEW)
        return answer(InstallationDetail(find(request, rows, "installation of pack", pack_ref=ref)).data)


class UploadPack(APIView):
    needs = {"POST": Role.ADMIN}
    parser_classes = [MultiPartParser]

    @describe(
        "upload_pack", "Install a pack that is sent", body=UploadRequest, answers=Installed, status=201, also=FAILS
    )
    def post(self, request: Request) -> Response:
        given = body_of(request, UploadRequest)
        sent = given.pop("pack")
        kept = services.keep_upload(sent)
        asked = services.request_installation(
            str(kept), actor=principal_of(request), preview=given["dry_run"], upload_name=sent.name, **options_of(given)
        )
        return outcome(asked, given, status=201)


class UpdatePack(APIView):
    needs = {"POST": Role.ADMIN}

    @describe(
        "update_pack_files", "Install a pack anew from where it came", body=UpdateRequest, answers=Installed, also=FAILS
    )
    def post(self, request: Request, ref: str) -> Response:
        given = body_of(request, UpdateRequest)
        version = given.pop("version", "") or ""
        asked = services.request_update(
            pack_of_ref(request, ref),
            actor=principal_of(request),
            version=version,
            preview=given["dry_run"],
            **options_of(given),
        )
        return outcome(asked, given)


class RollBackPack(APIView):
    needs = {"POST": Role.ADMIN}

    @describe("roll_back_pack", "Use a former version of a pack", body=RollbackRequest, answers=Installed, also=FAILS)
    def post(self, request: Request, ref: str) -> Response:
        given = body_of(request, RollbackRequest)
        named = {name: given.pop(name, "") or "" for name in ("version", "digest")}
        asked = services.request_rollback(
            pack_of_ref(request, ref), actor=principal_of(request), **named, **options_of(given)
        )
        return outcome(asked, given)


class ReloadPack(APIView):
    needs = {"POST": Role.ADMIN}

    @describe("reload_pack", "Pick up edits in a pack's folder", body=WaitRequest, answers=Installed, also=FAILS)
    def post(self, request: Request, ref: str) -> Response:
        given, pack, actor = body_of(request, WaitRequest), pack_of_ref(request, ref), principal_of(request)
        asked = services.request_reload(pack, actor=actor)
        if asked is None:
            services.load_pack_or_refuse(ref, actor=actor)
            asked = services.request_environment(pack, actor=actor)
        return outcome(asked, given)


class TestPack(APIView):
    needs = {"POST": Role.ADMIN}

    @describe("test_pack", "Run a pack's own tests", body=WaitRequest, answers=Installed, status=202)
    def post(self, request: Request, ref: str) -> Response:
        given = body_of(request, WaitRequest)
        return outcome(
            services.request_tests(pack_of_ref(request, ref), actor=principal_of(request)), given, status=202
        )
