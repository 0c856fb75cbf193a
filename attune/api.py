"""The API as a whole: the OpenAPI document and its page, and errors where no view was reached."""

from __future__ import annotations

import logging
import sys
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost, PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views import defaults
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.views import SpectacularAPIView

from apps.access.rights import ANYBODY
from apps.access.tokens import read_run_token
from attune.lib.api import broken, problem
from attune.lib.loglines import fact

logger = logging.getLogger(__name__)

API_PATHS = ("/api/", "/auth/", "/health", "/api-spec/")
AGAIN = 5  # seconds until a page is asked for again while the database is away


# The document --------------------------------------------------------------------------------------------------------
class BearerScheme(OpenApiAuthenticationExtension):
    """How drf-spectacular describes our tokens."""

    target_class = "apps.access.authentication.BearerToken"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class SessionScheme(OpenApiAuthenticationExtension):
    """How it describes the session of the admin's own pages."""

    target_class = "apps.access.authentication.AdminSession"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class Document(SpectacularAPIView):
    """The OpenAPI document; it holds nothing that is not public."""

    authentication_classes = []
    needs = {"GET": ANYBODY}
    renderer_classes = [OpenApiJsonRenderer]

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        _refuse_runs(request)


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The document for people: a page of ours that reads it, without anything from elsewhere."""
    _refuse_runs(request)
    return render(request, "attune/docs.html")


def _refuse_runs(request: HttpRequest) -> None:
    """Anybody may read this without a token; that of a run opens what is named for it and nothing else.

    Raises: PermissionDenied.
    """
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer" and read_run_token(text.strip()):
        raise PermissionDenied("The token of a run does not reach this page.")


# Errors before any view ----------------------------------------------------------------------------------------------
def _wants_json(request: HttpRequest) -> bool:
    return request.path.startswith(API_PATHS)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not _wants_json(request):
        return defaults.bad_request(request, exception)
    message = "The request is not one that this server can read."
    if isinstance(exception, DisallowedHost):
        message = "This server does not go by the host name of this request; its operator may add it to ALLOWED_HOSTS."
    return JsonResponse(problem(400, message), status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not _wants_json(request):
        return defaults.permission_denied(request, exception)
    return JsonResponse(problem(403, str(exception) or "You may not do this."), status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if not _wants_json(request):
        return defaults.page_not_found(request, exception)
    return JsonResponse(problem(404, f"There is nothing at {request.path}."), status=404)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """What nobody caught. While the database is away that is said, and a page looks again by itself."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        logger.warning("The database did not answer: %s", sys.exc_info()[1])
        answer: HttpResponse
        if _wants_json(request):
            answer = JsonResponse(problem(503, "The database is busy or away; try again in a moment."), status=503)
        else:
            answer = render(request, "attune/away.html", status=503)
        answer["Retry-After"] = str(AGAIN)
        return answer
    if not _wants_json(request):
        return defaults.server_error(request)
    number = str(fact("request_id"))
    logger.error("Error %s in %s %s", number, request.method, request.path, exc_info=sys.exc_info())
    return JsonResponse(broken(number), status=500)
