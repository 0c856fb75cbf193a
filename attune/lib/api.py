"""What every API view shares: JSON in and out, the envelope, pages, errors. No tables, no rooms."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import IntegrityError, OperationalError
from django.db.models import Model, QuerySet
from django.http import Http404
from django.urls import register_converter
from django.urls.converters import StringConverter
from rest_framework import exceptions, serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.pagination import BasePagination
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from attune.lib import strictjson
from attune.lib.errors import AttuneError, InvalidInput
from attune.lib.loglines import fact

logger = logging.getLogger(__name__)

MAX_PAGE_SIZE = 200
LONGEST_KEY = 200  # characters of an Idempotency-Key
MOST_COUNTED = 100_000  # rows that a total counts
DEEP = 1000  # rows that a page may skip as they are
DEEPEST = 100  # levels of nesting in a request


class RefConverter(StringConverter):
    """A part of an address that names something: no slash, and no NUL, which PostgreSQL refuses."""

    regex = r"[^/\x00]+"


register_converter(RefConverter, "ref")


class TooLarge(exceptions.APIException):
    status_code, default_code = 413, "too_large"
    default_detail = "The request is too large."


def too_large(limit: int) -> str:
    """What to tell somebody whose request has more bytes than that."""
    return f"The request is larger than {limit} bytes; send less at a time."


def timestamp(moment: datetime | None) -> str | None:
    """`YYYY-MM-DDTHH:MM:SS.ffffff+00:00`, never `Z`: Python 3.10's fromisoformat cannot read that."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else None


class Timestamp(serializers.DateTimeField):
    """A moment as the wire has it."""

    def to_representation(self, value: datetime) -> str | None:  # type: ignore[override]
        return timestamp(value)


class Id(serializers.IntegerField):
    """The number of a row, as far as a database can count."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=2**63 - 1, **kwargs)


class Encoder(JSONEncoder):
    def default(self, obj: Any) -> Any:
        return timestamp(obj) if isinstance(obj, datetime) else super().default(obj)


class Renderer(JSONRenderer):
    """JSON, with our timestamps wherever one is met."""

    encoder_class = Encoder


class AnyAccept(DefaultContentNegotiation):
    """Takes the first renderer, whatever the Accept header wishes for."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class Parser(JSONParser):
    """JSON that our databases can keep: no NaN or infinity, no NUL or lone surrogate, no bottomless nesting."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(too_large(limit))
        if is_cut_off(raw, parser_context["request"].META if parser_context else {}):
            raise exceptions.ParseError("The request broke off before its end; send it again.")
        try:
            return strictjson.read(raw, max_depth=DEEPEST)
        except strictjson.BadJson as error:
            raise exceptions.ParseError(f"The request {error}.") from None


def declared_length(meta: Mapping[str, Any]) -> int:
    """What the request says of its body's length; 0 for nothing, and for what is no number."""
    declared = meta.get("CONTENT_LENGTH") or ""
    return int(declared[:20]) if declared.isascii() and declared.isdigit() else 0


def is_cut_off(body: bytes, meta: Mapping[str, Any]) -> bool:
    """Whether less came than the request's Content-Length says: its sender hung up half-way."""
    return len(body) < declared_length(meta)


# Answers -------------------------------------------------------------------------------------------------------------
def answer(data: Any, *, message: str = "", status: int = 200) -> Response:
    """The envelope of a single thing: `{"data": …, "message"?: …}`."""
    return Response({"data": data} | ({"message": message} if message else {}), status=status)


def answer_both(data: dict[str, Any], *, status: int = 200) -> Response:
    """The fields at top level and again under `data`: client generations differ in where they look."""
    return Response({**data, "data": data}, status=status)


def done(message: str) -> Response:
    """The answer to a deletion."""
    return Response({"message": message, "success": True})


class PageQuery(serializers.Serializer):
    """What every list understands; a list's own query adds its filters."""

    page = serializers.IntegerField(min_value=1, max_value=1_000_000, default=1)
    page_size = serializers.IntegerField(min_value=1, default=50, help_text=f"At most {MAX_PAGE_SIZE} are given.")
    per_page = serializers.IntegerField(min_value=1, required=False, help_text="Another name of page_size.")
    include_total = serializers.BooleanField(default=False, help_text="Count the rows, up to 100,000.")


class CursorQuery(PageQuery):
    """What lists by number, latest first, understand besides: cursors reach any depth as fast as the first page."""

    before = Id(required=False, help_text="Only what is older than the one of this id: the next page's way in.")
    after = Id(required=False, help_text="Only what is newer than the one of this id, from there on.")


class Pages(BasePagination):
    """Pages by number. It looks one row further instead of counting, unless the total is asked for."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        asked = query_of(request, PageQuery)
        page, size = asked["page"], min(asked.get("per_page") or asked["page_size"], MAX_PAGE_SIZE)
        start = (page - 1) * size
        rows = _slice(queryset, start, start + size + 1)
        self.about: dict[str, Any] = {
            "page": page,
            "page_size": size,
            "has_next": len(rows) > size,
            "has_previous": page > 1,
        }
        if asked["include_total"]:
            self.about |= _total(queryset, size)
        return rows[:size]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"items": data, "data": data, "pagination": self.about})


class Cursors(Pages):
    """Pages by number, or from a row on: of lists by number, latest first."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        asked = query_of(request, CursorQuery)
        before, after = asked.get("before"), asked.get("after")
        counted, upwards = queryset, after is not None and before is None
        if before is not None:
            queryset = queryset.filter(pk__lt=before)
        if after is not None:
            queryset = queryset.filter(pk__gt=after)
        if not upwards:
            rows = super().paginate_queryset(queryset, request, view)
            self.about["has_previous"] |= before is not None
        else:
            rows = super().paginate_queryset(queryset.order_by("pk"), request, view)[::-1]
            more_new = self.about["has_next"]
            self.about |= {"has_next": True, "has_previous": more_new}
        if asked["include_total"]:
            self.about |= _total(counted, self.about["page_size"])
        self.about |= {"before": rows[-1].pk if rows else None, "after": rows[0].pk if rows else None}
        return rows


def _slice(rows: Any, start: int, end: int) -> list[Any]:
    """Rows from start to end. Deep down only the numbers are walked over, not the rows."""
    if start < DEEP or isinstance(rows, list):
        return list(rows[start:end])
    numbers = list(rows.values_list("pk", flat=True)[start:end])
    return list(rows.filter(pk__in=numbers))


def _total(rows: Any, size: int) -> dict[str, Any]:
    """How many there are; of a long list only that there are so many at least."""
    total = len(rows) if isinstance(rows, list) else rows.order_by()[: MOST_COUNTED + 1].count()
    capped = {"total_is_capped": True} if total > MOST_COUNTED and not isinstance(rows, list) else {}
    total = MOST_COUNTED if capped else total
    return {"total_items": total, "total_pages": math.ceil(total / size), **capped}


def page_of(
    request: Request,
    rows: QuerySet[Any] | list[Any],
    serializer: type[serializers.BaseSerializer],
    *,
    cursors: bool = False,
    **context: Any,
) -> Response:
    """One page of rows, under `items` and again under `data`: client generations differ in where they look.

    `cursors`: the rows are in the order of their numbers, latest first, and the list's query is a CursorQuery.
    """
    pages = Cursors() if cursors else Pages()
    shown = pages.paginate_queryset(rows, request)
    return pages.get_paginated_response(serializer(shown, many=True, context=context).data)


# Questions -----------------------------------------------------------------------------------------------------------
def query_of(request: Request, serializer: type[serializers.Serializer]) -> dict[str, Any]:
    """The query parameters that `serializer` knows, checked; empty ones count as absent, others are ignored.

    Raises: ValidationError naming the parameter.
    """
    given = {name: value for name, value in request.query_params.items() if value != ""}
    asked = serializer(data=given)
    asked.is_valid(raise_exception=True)
    return asked.validated_data


def body_of(request: Request, serializer: type[serializers.Serializer], *, partial: bool = False) -> dict[str, Any]:
    """The request's JSON object, checked by `serializer`; with `partial` only the fields given.

    Raises: ValidationError naming the fields.
    """
    asked = serializer(data=request.data, partial=partial)
    asked.is_valid(raise_exception=True)
    return asked.validated_data


def idempotency_key(request: Request) -> str:
    """The request's Idempotency-Key, empty if it has none. Raises: InvalidInput for one that cannot be kept."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise InvalidInput(f"Idempotency-Key has at most {LONGEST_KEY} characters, all of them printable.")
    return key


def narrowed(rows: QuerySet[Any], asked: dict[str, Any], lookups: dict[str, str]) -> QuerySet[Any]:
    """The rows that meet the filters asked for. `lookups` maps a parameter to the only ORM look-up it may cause."""
    for name, lookup in lookups.items():
        if asked.get(name) is not None:
            rows = rows.filter(**{lookup: asked[name]})
            if isinstance(asked[name], str):
                rows = rows.exclude(**{lookup: ""})  # as partial indexes say: SQLite takes them only if told so
    return rows


def one_of(rows: QuerySet[Any], what: str, **by: Any) -> Any:
    """The one row, by `ref` or `pk`. Raises: Http404 naming what was looked for."""
    found: Model | None = rows.filter(**by).first()
    if found is None:
        raise Http404(f"There is no {what} {next(iter(by.values()))}.")
    return found


SIGN_IN = "Sign in first: send a token as `Authorization: Bearer …`."


# Errors --------------------------------------------------------------------------------------------------------------
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "broken_off",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "validation_error",
    429: "too_many_requests",
    503: "unavailable",
}


def problem(status: int, message: str, *, code: str = "", details: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body of every error."""
    body: dict[str, Any] = {"error": code or _CODES.get(status, "error"), "message": message}
    return body | ({"details": details} if details else {})


def answer_error(error: Exception, context: dict[str, Any]) -> Response:
    """Every error of a view as `{"error", "message", "details"?}` with the right status."""
    headers: dict[str, str] = {}
    if isinstance(error, AttuneError):
        if "retry_after" in error.details:
            headers["Retry-After"] = str(error.details["retry_after"])
        body = problem(error.status_code, error.message, code=error.code, details=error.details)
        return Response(body, status=error.status_code, headers=headers)
    if isinstance(error, exceptions.ValidationError):
        faults = list(_faults(error.detail))
        first = faults[0]["path"] + ": " if faults and faults[0]["path"] else ""
        message = first + faults[0]["message"] if faults else "The request is not valid."
        return Response(problem(422, message, details={"faults": faults}), status=422)
    if isinstance(error, Http404):
        return Response(problem(404, str(error) or "There is no such thing."), status=404)
    if isinstance(error, PermissionDenied):
        return Response(problem(403, str(error) or "You may not do this."), status=403)
    if isinstance(error, RequestDataTooBig):
        return Response(problem(413, too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)), status=413)
    if isinstance(error, exceptions.APIException):
        if getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
        message = _sentence(error, context)
        return Response(problem(error.status_code, message), status=error.status_code, headers=headers)
    if isinstance(error, IntegrityError):
        logger.warning("Two changes met: %s", error)
        body = problem(409, "Somebody else changed the same thing in this moment; look at it again.")
        return Response(body, status=409)
    if isinstance(error, OperationalError):
        logger.warning("The database did not answer: %s", error)
        body = problem(503, "The database is busy or away; try again in a moment.")
        return Response(body, status=503, headers={"Retry-After": "1"})
    number = str(fact("request_id")) or secrets.token_hex(6)
    where = context.get("request")
    logger.error("Error %s in %s %s", number, getattr(where, "method", ""), getattr(where, "path", ""), exc_info=error)
    return Response(broken(number), status=500)


def _sentence(error: exceptions.APIException, context: dict[str, Any]) -> str:
    """What the framework found, with the remedy where it gives none."""
    if isinstance(error, exceptions.NotAuthenticated):
        return SIGN_IN
    if isinstance(error, exceptions.UnsupportedMediaType):
        kind = context["request"].content_type if "request" in context else ""
        return f"The body must be JSON, sent as Content-Type application/json, not {kind or 'without any'}."
    return str(error.detail)


def broken(number: str) -> dict[str, Any]:
    """The body of an error that is our fault; the number leads to the server's log."""
    return problem(
        500, f"Something broke on the server; its log has the details under {number}.", code="internal_error"
    )


def _faults(detail: Any, path: str = "") -> Any:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _faults(inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _faults(inner, f"{path}.{position}".lstrip(".") if nested else path)
    else:
        yield {"path": path, "message": str(detail)}
