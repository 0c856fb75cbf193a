"""Packs: look at them, configure them, switch them on and off, make ad-hoc ones, load one from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import principal_of
from apps.access.reach import find, may, narrow
from apps.access.rights import Role, in_packs
from apps.packs import configs, services
from apps.packs.models import Pack
from apps.packs.serializers.packs import (
    PackChange,
    PackDetail,
    PackRequest,
    PackSummary,
    Registered,
    RegisterRequest,
    SearchQuery,
)
from attune.lib.api import answer, body_of, done, page_of, query_of
from attune.lib.openapi import Done, describe, describe_list


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """What was really given: null means that it stays as it is."""
    return {name: value for name, value in values.items() if value is not None}


def pack_of_ref(request: Request, ref: str) -> Pack:
    """The pack of that ref, for what the request's method does to it. Raises: Http404, OutOfReach."""
    return find(request, Pack.objects.all(), "pack", ref=ref)


class Packs(APIView):
    needs = {"GET": Role.VIEWER, "POST": in_packs(Role.EDITOR)}

    @describe_list("list_packs", "List packs", answers=PackSummary, query=SearchQuery)
    def get(self, request: Request) -> Response:
        q = query_of(request, SearchQuery).get("q", "")
        rows = narrow(principal_of(request), Pack.objects.all())
        rows = rows.filter(Q(ref__icontains=q) | Q(label__icontains=q) | Q(description__icontains=q))
        big = ("conf_schema", "config", "config_defaults", "meta", "testing")
        return page_of(request, rows.defer(*big), PackSummary)

    @describe("create_pack", "Make an ad-hoc pack", body=PackRequest, answers=PackDetail, status=201)
    def post(self, request: Request) -> Response:
        principal, given = principal_of(request), _given(body_of(request, PackRequest))
        config = given.pop("config", None)
        with transaction.atomic():
            pack = services.save_adhoc_pack(actor=principal, **given)
            if config:
                services.set_pack_config(pack, config, actor=principal)
        return answer(PackDetail(pack).data, status=201, message=f"Pack {pack.ref} is created.")


class PackView(APIView):
    needs = {
        "GET": Role.VIEWER,
        "PUT": in_packs(Role.EDITOR),
        "DELETE": in_packs(Role.EDITOR),  # of packs from files: ADMIN
    }

    @describe("get_pack", "Show a pack", answers=PackDetail)
    def get(self, request: Request, ref: str) -> Response:
        return answer(PackDetail(pack_of_ref(request, ref)).data)

    @describe(
        "update_pack",
        "Change a pack's configuration; of an ad-hoc one also the rest",
        body=PackChange,
        answers=PackDetail,
    )
    def put(self, request: Request, ref: str) -> Response:
        principal, pack = principal_of(request), pack_of_ref(request, ref)
        given = _given(body_of(request, PackChange))
        config, enabled = given.pop("config", None), given.pop("enabled", None)
        with transaction.atomic():
            if given:
                services.save_adhoc_pack(ref=ref, pack=pack, actor=principal, **given)
            if config is not None:
                services.set_pack_config(pack, configs.unmasked(pack, config), actor=principal)
            if enabled is not None:
                services.set_enabled(pack, enabled, actor=principal)
        return answer(PackDetail(pack).data)

    @describe(
        "delete_pack",
        "Uninstall a pack, or delete an ad-hoc one",
        answers=Done,
        bare=True,
        also={409: "It is needed by packs or rules (details.packs, details.rules), or ships with Attune."},
    )
    def delete(self, request: Request, ref: str) -> Response:
        pack, principal = pack_of_ref(request, ref), principal_of(request)
        if pack.is_adhoc:
            services.delete_adhoc_pack(pack, actor=principal)
            return done(f"Pack {ref} is deleted.")
        if not may(principal, Role.ADMIN, pack):
            raise PermissionDenied("Only an administrator may uninstall a pack that comes from files.")
        services.remove_pack(pack, actor=principal)
        return done(f"Pack {ref} is uninstalled.")


class EnablePack(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("enable_pack", "Enable a pack", answers=PackDetail)
    def post(self, request: Request, ref: str) -> Response:
        pack = pack_of_ref(request, ref)
        services.set_enabled(pack, True, actor=principal_of(request))
        return answer(PackDetail(pack).data)


class DisablePack(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("disable_pack", "Disable a pack: none of its actions, triggers and sensors runs", answers=PackDetail)
    def post(self, request: Request, ref: str) -> Response:
        pack = pack_of_ref(request, ref)
        services.set_enabled(pack, False, actor=principal_of(request))
        return answer(PackDetail(pack).data)


class RegisterPack(APIView):
    needs = {"POST": Role.ADMIN}

    @describe(
        "register_pack",
        "Load a pack from a folder on the server",
        body=RegisterRequest,
        answers=Registered,
        status=201,
        also={422: "The pack has faults; details.faults lists them with file and line."},
    )
    def post(self, request: Request) -> Response:
        folder = Path(body_of(request, RegisterRequest)["path"])
        report = services.load_pack_or_refuse(folder, actor=principal_of(request))
        about = report.as_dict()
        data = {"pack": PackDetail(report.pack).data, "tests_skipped": True}
        data |= {name: about[name] for name in ("warnings", "added", "changed", "removed")}
        return answer(data, status=201, message=f"Pack {report.ref} {report.version} is loaded.")
