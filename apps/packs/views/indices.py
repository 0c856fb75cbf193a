"""Registry indices: which ones are asked, in which order, and what packs are in them."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import principal_of
from apps.access.reach import may
from apps.access.rights import Role
from apps.packs.models import PackIndex
from apps.packs.registry import dependencies, indices, lookup
from apps.packs.serializers.indices import (
    BrowseQuery,
    IndexChange,
    IndexDetail,
    IndexDetails,
    IndexedPack,
    IndexedPacks,
    IndexRequest,
)
from attune.lib.api import answer, body_of, done, one_of, query_of
from attune.lib.openapi import Done, describe


def _index(pk: int) -> PackIndex:
    return one_of(PackIndex.objects.defer("content"), "pack index", pk=pk)


def _here(request: Request) -> dict[str, Any]:
    """How it stands here with packs that an index has, as far as one may know."""
    who, installed = principal_of(request), dependencies.installed_versions()
    return {"installed": {ref: version for ref, version in installed.items() if may(who, Role.VIEWER, ref)}}


class Indices(APIView):
    needs = {"GET": Role.VIEWER, "POST": Role.ADMIN}

    @describe("list_pack_indices", "List registry indices, in the order they are asked", answers=IndexDetails)
    def get(self, request: Request) -> Response:
        return answer(IndexDetails(PackIndex.objects.defer("content")).data)

    @describe(
        "create_pack_index",
        "Add a registry index",
        body=IndexRequest,
        answers=IndexDetail,
        status=201,
        also={409: "There is one with that address."},
    )
    def post(self, request: Request) -> Response:
        given = body_of(request, IndexRequest)
        index = indices.create_index(
            url=given["url"],
            name=given.get("name") or "",
            position=given.get("position"),
            enabled=given["enabled"],
            headers=given.get("headers"),
            actor=principal_of(request),
        )
        return answer(IndexDetail(index).data, status=201)


class IndexView(APIView):
    needs = {"GET": Role.VIEWER, "PUT": Role.ADMIN, "DELETE": Role.ADMIN}

    @describe("get_pack_index", "Show a registry index", answers=IndexDetail)
    def get(self, request: Request, pk: int) -> Response:
        return answer(IndexDetail(_index(pk)).data)

    @describe(
        "update_pack_index",
        "Change a registry index",
        body=IndexChange,
        answers=IndexDetail,
        also={409: "There is another one with that address."},
    )
    def put(self, request: Request, pk: int) -> Response:
        index = indices.update_index(_index(pk), actor=principal_of(request), **body_of(request, IndexChange))
        return answer(IndexDetail(index).data)

    @describe("delete_pack_index", "Remove a registry index; packs from it stay", answers=Done, bare=True)
    def delete(self, request: Request, pk: int) -> Response:
        index = _index(pk)
        indices.delete_index(index, actor=principal_of(request))
        return done(f"Index {index} is removed.")


class RefreshIndex(APIView):
    needs = {"POST": Role.ADMIN}

    @describe("refresh_pack_index", "Read a registry index now", answers=IndexDetail)
    def post(self, request: Request, pk: int) -> Response:
        return answer(IndexDetail(indices.refresh(_index(pk), force=True)).data)


class BrowseIndexedPacks(APIView):
    needs = {"GET": Role.VIEWER}

    @describe(
        "browse_indexed_packs",
        "Find packs that can be installed by name, best match first",
        query=BrowseQuery,
        answers=IndexedPacks,
    )
    def get(self, request: Request) -> Response:
        asked = query_of(request, BrowseQuery)
        rows = lookup.chosen(asked.get("registry_id"), include_disabled=asked["include_disabled"])
        found = lookup.search(asked.get("q", ""), indices=rows)[: asked["limit"]]
        return answer(IndexedPacks(found, context=_here(request)).data)


class IndexedPackView(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_indexed_pack", "Show what the first index that has a pack says of it", answers=IndexedPack)
    def get(self, request: Request, ref: str) -> Response:
        return answer(IndexedPack(lookup.find(ref), context=_here(request)).data)
