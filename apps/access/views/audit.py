"""`/api/v1/audit-events…`: who did or tried what, for administrators."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access import exporting
from apps.access.models import AuditEntry
from apps.access.principals import principal_of
from apps.access.reach import narrow
from apps.access.rights import Role, in_packs
from apps.access.serializers import (
    AuditEventDetail,
    AuditEventsAnswer,
    AuditEventSummary,
    AuditExportQuery,
    AuditQuery,
)
from attune.lib.api import answer, narrowed, one_of, page_of, query_of
from attune.lib.long_tables import beginning_with
from attune.lib.openapi import describe, describe_list

MOST_OF_REQUEST = 1000  # entries of one request that are shown
_LOOKUPS = {
    "category": "category",
    "event_type": "action",
    "outcome": "outcome",
    "actor_identity": "identity",
    "actor_login": "actor",
    "resource_id": "target",
    "resource_ref": "target",
    "request_id": "request_id",
    "http_status": "http_status",
    "http_method": "http_method",
    "http_path": "http_path",
    "created_after": "at__gte",
    "created_before": "at__lt",
}


def _readable(request: Request) -> QuerySet[AuditEntry]:
    return narrow(principal_of(request), AuditEntry.objects.all(), role=Role.ADMIN)


def _wanted(request: Request, asked: dict[str, Any]) -> QuerySet[AuditEntry]:
    """The entries that the query asks for, latest first."""
    if asked.get("resource_id") is not None:
        asked = asked | {"resource_id": str(asked["resource_id"])}
    rows = narrowed(_readable(request), asked, _LOOKUPS)
    kind = asked.get("resource_type")
    return beginning_with(rows, "action", f"{kind}.") if kind else rows


class AuditEvents(APIView):
    needs = {"GET": in_packs(Role.ADMIN)}

    @describe_list("list_audit_events", "The audit log, latest first", answers=AuditEventSummary, query=AuditQuery)
    def get(self, request: Request) -> Response:
        rows = _wanted(request, query_of(request, AuditQuery)).defer("before", "after")
        return page_of(request, rows, AuditEventSummary, cursors=True)


class AuditEventView(APIView):
    needs = {"GET": in_packs(Role.ADMIN)}

    @describe("get_audit_event", "Show an entry of the audit log", answers=AuditEventDetail)
    def get(self, request: Request, pk: int) -> Response:
        return answer(AuditEventDetail(one_of(_readable(request), "audit event", pk=pk)).data)


class AuditEventsOfRequest(APIView):
    needs = {"GET": in_packs(Role.ADMIN)}

    @describe(
        "get_audit_events_by_request",
        "What one request did, by its X-Request-ID; in the order in which it was done",
        answers=AuditEventsAnswer,
        bare=True,
    )
    def get(self, request: Request, request_id: str) -> Response:
        rows = _wanted(request, {"request_id": request_id}).order_by("pk")[:MOST_OF_REQUEST]
        return answer(AuditEventDetail(rows, many=True).data)


class ExportOfAuditEvents(APIView):
    needs = {"GET": in_packs(Role.ADMIN)}

    @describe(
        "export_audit_events",
        "The audit log as a file, latest first",
        query=AuditExportQuery,
        text=True,
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        asked = query_of(request, AuditExportQuery)
        kind = exporting.KINDS[asked["format"]]
        name = f"audit-{timezone.now():%Y-%m-%d}.{asked['format']}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        rows = _wanted(request, asked)[: asked["limit"]]
        return StreamingHttpResponse(kind.lines(rows), content_type=kind.content_type, headers=headers)
