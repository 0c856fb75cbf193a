"""Runtimes: the interpreters that were found."""

from __future__ import annotations

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.rights import Role
from apps.packs.models import Runtime
from apps.packs.serializers.packs import RuntimeDetail, RuntimeSummary, SearchQuery
from attune.lib.api import answer, one_of, page_of, query_of
from attune.lib.openapi import describe, describe_list


class Runtimes(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_runtimes", "List runtimes", answers=RuntimeSummary, query=SearchQuery)
    def get(self, request: Request) -> Response:
        q = query_of(request, SearchQuery).get("q", "")
        return page_of(request, Runtime.objects.filter(Q(ref__icontains=q) | Q(name__icontains=q)), RuntimeSummary)


class RuntimesOfPack(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_runtimes_by_pack", "List the runtimes a pack brings", answers=RuntimeSummary)
    def get(self, request: Request, pack_ref: str) -> Response:
        return page_of(request, Runtime.objects.filter(ref__startswith=f"{pack_ref}."), RuntimeSummary)


class RuntimeView(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_runtime", "Show a runtime", answers=RuntimeDetail)
    def get(self, request: Request, ref: str) -> Response:
        return answer(RuntimeDetail(one_of(Runtime.objects.all(), "runtime", ref=ref)).data)
