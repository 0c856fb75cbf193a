"""GET /metrics: the figures in Prometheus' text format, for a scraper with a token, a viewer, or this machine."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from apps.access.authentication import principal_from
from apps.access.principals import Principal, Role, principal_for
from attune.figures import Collector
from attune.lib.api import problem

_registry = CollectorRegistry(auto_describe=False)
_registry.register(Collector())
ProcessCollector(registry=_registry)  # of this web server: memory, CPU, open files


def metrics(request: HttpRequest) -> HttpResponse:
    """The text, or 401."""
    if request.method not in ("GET", "HEAD"):
        refused = JsonResponse(problem(405, "Metrics are only read: GET."), status=405)
        refused["Allow"] = "GET, HEAD"
        return refused
    if not _may_read(request):
        message = "Send ATTUNE_METRICS_TOKEN, or a token of a viewer, as `Authorization: Bearer …`."
        refused = JsonResponse(problem(401, message), status=401)
        refused["WWW-Authenticate"] = 'Bearer realm="attune"'
        return refused
    return HttpResponse(generate_latest(_registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _may_read(request: HttpRequest) -> bool:
    """A token costs no look into the database, so a scraper hears from us while that is away."""
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    token = settings.ATTUNE_METRICS_TOKEN
    if scheme.lower() == "bearer":
        if token and constant_time_compare(text.strip(), token):
            return True
        return _sees_all(principal_from(text.strip()))
    if not token and _is_from_here(request):
        return True
    return request.user.is_authenticated and _sees_all(principal_for(request.user))


def _sees_all(principal: Principal | None) -> bool:
    """The figures are those of all packs, so who is limited to some is none of those who read them."""
    return principal is not None and principal.has_role(Role.VIEWER) and not principal.is_limited


def _is_from_here(request: HttpRequest) -> bool:
    """From this machine, and not through a proxy on it."""
    if any(name in request.META for name in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")):
        return False
    try:
        return ip_address(str(request.META.get("REMOTE_ADDR", ""))).is_loopback
    except ValueError:
        return False
