"""What holds for every HTTP request, whatever it asks for: each has an id, and can be read.

The id is the sender's X-Request-ID or a new one. It is in every log line about the request, in what the audit log says
of it, and in the answer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.utils.decorators import sync_and_async_middleware

from attune.lib.loglines import about

HEADER = "X-Request-ID"
_GIVEN = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")  # what may stand in a log line as it came


def _number_of(request: HttpRequest) -> str:
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    return given if _GIVEN.match(given) else str(UUID(int=random.getrandbits(128), version=4))


@sync_and_async_middleware
def number(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """The middleware; outermost, so that whatever is said about a request carries its id."""
    if iscoroutinefunction(get_response):

        async def answer_later(request: HttpRequest) -> HttpResponse:
            known = _number_of(request)
            with about(request_id=known, request=request):
                response: HttpResponse = await get_response(request)
            response[HEADER] = known
            return response

        return answer_later

    def answer(request: HttpRequest) -> HttpResponse:
        known = _number_of(request)
        with about(request_id=known, request=request):
            response: HttpResponse = get_response(request)
        response[HEADER] = known
        return response

    return answer


@sync_and_async_middleware
def refuse_nul(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """The middleware; pages look up what stands in their address, and PostgreSQL breaks on a NUL character."""
    if iscoroutinefunction(get_response):

        async def answer_later(request: HttpRequest) -> HttpResponse:
            return _refused(request) or await get_response(request)

        return answer_later

    def answer(request: HttpRequest) -> HttpResponse:
        return _refused(request) or get_response(request)

    return answer


def _refused(request: HttpRequest) -> HttpResponse | None:
    """The API says which of its parameters it is."""
    if "%00" not in request.META.get("QUERY_STRING", "") or not request.path_info.startswith("/admin/"):
        return None
    return HttpResponseBadRequest("There is a NUL character in this address.", content_type="text/plain")
