"""Each HTTP request has an id: the sender's X-Request-ID or a new one.

It is in every log line about the request, in what the audit log says of it, and in the answer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
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
