"""What belongs to an installed pack: its versions, environment, configuration and tests."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import principal_of
from apps.access.reach import find
from apps.access.rights import Role, in_packs
from apps.packs import configs, services
from apps.packs.models import Pack, PackTest, PackVersion
from apps.packs.serializers.installing import (
    ConfigDetail,
    ConfigRequest,
    ConfigVerdict,
    EnvironmentDetail,
    EnvironmentRequest,
    EnvironmentWishes,
    Installed,
    PackTestDetail,
    VersionDetail,
)
from apps.packs.serializers.packs import masked
from apps.packs.views.installing import FAILS, options_of, outcome
from apps.packs.views.packs import pack_of_ref
from attune.lib.api import PageQuery, answer, body_of, page_of
from attune.lib.openapi import describe, describe_list
from attune.lib.schemas import SchemaMismatch


class Versions(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list(
        "list_pack_versions", "List the versions of a pack that are kept, latest first", answers=VersionDetail
    )
    def get(self, request: Request, ref: str) -> Response:
        pack = pack_of_ref(request, ref)
        rows = PackVersion.objects.filter(pack_ref=ref).order_by("-id")
        return page_of(request, rows, VersionDetail, current=pack.path, size=services.size_of_version)


class Environment(APIView):
    needs = {"GET": Role.VIEWER, "PUT": Role.ADMIN, "POST": Role.ADMIN}

    @describe(
        "get_pack_environment", "Show what a pack's code needs, and whether it is there", answers=EnvironmentDetail
    )
    def get(self, request: Request, ref: str) -> Response:
        return answer(_environment(pack_of_ref(request, ref)))

    @describe("set_pack_environment", "Pin or add packages", body=EnvironmentWishes, answers=EnvironmentDetail)
    def put(self, request: Request, ref: str) -> Response:
        pack = pack_of_ref(request, ref)
        wishes = pack.environment | dict(body_of(request, EnvironmentWishes))
        services.set_pack_environment(pack, wishes, actor=principal_of(request))
        return answer(_environment(pack), message="It holds from the next build on.")

    @describe("build_pack_environment", "Build it", body=EnvironmentRequest, answers=Installed, also=FAILS)
    def post(self, request: Request, ref: str) -> Response:
        given = body_of(request, EnvironmentRequest)
        asked = services.request_environment(
            pack_of_ref(request, ref), actor=principal_of(request), **options_of(given)
        )
        return outcome(asked, given)


def _environment(pack: Pack) -> dict[str, object]:
    return EnvironmentDetail({"environment": pack.environment} | services.environment_facts(pack)).data


class Config(APIView):
    needs = {"GET": Role.VIEWER, "PUT": in_packs(Role.EDITOR)}

    @describe("get_pack_config", "Show a pack's configuration", answers=ConfigDetail)
    def get(self, request: Request, ref: str) -> Response:
        return answer(_config(pack_of_ref(request, ref)))

    @describe("set_pack_config", "Replace the operator's own configuration", body=ConfigRequest, answers=ConfigDetail)
    def put(self, request: Request, ref: str) -> Response:
        pack = pack_of_ref(request, ref)
        given = configs.unmasked(pack, body_of(request, ConfigRequest)["config"])
        services.set_pack_config(pack, given, actor=principal_of(request))
        return answer(_config(pack))


class ConfigCheck(APIView):
    needs = {"POST": Role.VIEWER}

    @describe("validate_pack_config", "Say whether a configuration fits", body=ConfigRequest, answers=ConfigVerdict)
    def post(self, request: Request, ref: str) -> Response:
        pack = pack_of_ref(request, ref)
        given = configs.unmasked(pack, body_of(request, ConfigRequest)["config"])
        faults = _faults(pack, given)
        return answer({"valid": not faults, "faults": faults})


def _config(pack: Pack) -> dict[str, object]:
    shown = {name: masked(getattr(pack, name), pack.conf_schema) for name in ("config", "effective_config")}
    return shown | {"schema": pack.conf_schema or {}, "faults": _faults(pack, configs.open_config(pack))}


def _faults(pack: Pack, config: object) -> list[dict[str, str]]:
    try:
        services.check_pack_config(pack, config)
    except SchemaMismatch as mismatch:
        return mismatch.details.get("faults") or [{"path": "", "message": mismatch.message}]
    return []


class Tests(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("get_pack_test_history", "List the runs of a pack's tests", answers=PackTestDetail, query=PageQuery)
    def get(self, request: Request, ref: str) -> Response:
        pack = pack_of_ref(request, ref)
        return page_of(request, PackTest.objects.filter(pack_ref=ref), PackTestDetail, pack_id=pack.pk)


class LatestTest(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_pack_latest_test", "Show the latest run of a pack's tests", answers=PackTestDetail)
    def get(self, request: Request, ref: str) -> Response:
        return _test(find(request, PackTest.objects.all(), "test of pack", pack_ref=ref))


class OneTest(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_pack_test", "Show a run of a pack's tests", answers=PackTestDetail)
    def get(self, request: Request, pk: int) -> Response:
        return _test(find(request, PackTest.objects.all(), "test", pk=pk))


def _test(row: PackTest) -> Response:
    pack_id = Pack.objects.filter(ref=row.pack_ref).values_list("pk", flat=True).first() or 0
    return answer(PackTestDetail(row, context={"pack_id": pack_id}).data)
