"""Actions: look at them, find them, switch them on and off."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import principal_of
from apps.access.reach import find, narrow
from apps.access.rights import Role, in_packs
from apps.packs import services
from apps.packs.models import Action
from apps.packs.serializers.components import ActionChange, ActionDetail, ActionQuery, ActionSummary
from attune.lib.api import answer, body_of, narrowed, page_of, query_of
from attune.lib.openapi import describe, describe_list


def _actions() -> QuerySet[Action]:
    return Action.objects.select_related("pack", "runtime")


def _listed(request: Request, **fixed: Any) -> Response:
    asked = query_of(request, ActionQuery) | fixed
    rows = narrowed(narrow(principal_of(request), _actions()), asked, {"pack_ref": "pack__ref", "enabled": "enabled"})
    if asked.get("packs"):
        rows = rows.filter(pack__ref__in=[ref.strip() for ref in asked["packs"].split(",")])
    for word in asked.get("q", "").split():
        rows = rows.filter(Q(ref__icontains=word) | Q(label__icontains=word) | Q(description__icontains=word))
    big = ("parameters_schema", "output_schema", "examples", "pack__conf_schema", "pack__config", "pack__meta")
    return page_of(request, rows.defer(*big), ActionSummary)


class Actions(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_actions", "List actions", answers=ActionSummary, query=ActionQuery)
    def get(self, request: Request) -> Response:
        return _listed(request)


class SearchActions(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("search_actions", "Find actions by words", answers=ActionSummary, query=ActionQuery)
    def get(self, request: Request) -> Response:
        return _listed(request)


class ActionsOfPack(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_actions_by_pack", "List a pack's actions", answers=ActionSummary, query=ActionQuery)
    def get(self, request: Request, pack_ref: str) -> Response:
        return _listed(request, pack_ref=pack_ref)


class ActionView(APIView):
    needs = {"GET": Role.VIEWER, "PUT": in_packs(Role.OPERATOR)}

    @describe("get_action", "Show an action", answers=ActionDetail)
    def get(self, request: Request, ref: str) -> Response:
        return answer(ActionDetail(find(request, _actions(), "action", ref=ref)).data)

    @describe("update_action", "Enable or disable an action", body=ActionChange, answers=ActionDetail)
    def put(self, request: Request, ref: str) -> Response:
        action = find(request, _actions(), "action", ref=ref)
        services.set_enabled(action, body_of(request, ActionChange)["enabled"], actor=principal_of(request))
        return answer(ActionDetail(action).data)
