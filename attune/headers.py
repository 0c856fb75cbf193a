"""What browsers are told with every answer: what a page may load and run, who may do anything with an answer, and that
nobody is to keep it.

A page runs no script that stands in it, whatever came to stand in it: only the server's own files. Every other answer
may load nothing at all. The policies are constants, made once, since every webhook and every call of the API passes
here too.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",  # no <style> either, but for the attribute: widgets place things with it
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    )
)
UNUSED = ", ".join(
    f"{name}=()" for name in ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")
)
# For an answer that is given before any middleware is reached.
ALONE = {"Content-Security-Policy": NOTHING, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}


@sync_and_async_middleware
def protect(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """The middleware; before all that may answer by itself, so that no answer goes without."""
    if iscoroutinefunction(get_response):

        async def answer_later(request: HttpRequest) -> HttpResponseBase:
            return protected(await get_response(request))

        return answer_later

    def answer(request: HttpRequest) -> HttpResponseBase:
        return protected(get_response(request))

    return answer


def protected(response: HttpResponseBase) -> HttpResponseBase:
    """The answer with its headers; nosniff, referrers, openers and frames are Django's own middleware's."""
    headers = response.headers
    if headers.get("Content-Type", "").startswith("text/html"):
        headers["Content-Security-Policy"] = PAGE
        headers["Permissions-Policy"] = UNUSED
    else:
        headers["Content-Security-Policy"] = NOTHING
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers.setdefault("Cache-Control", "no-store")  # tokens, secrets, what somebody may see today
    return response
