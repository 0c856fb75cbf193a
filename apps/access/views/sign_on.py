"""Signing in by the OpenID provider: the way there, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.contrib import admin, auth
from django.contrib.auth.models import AbstractUser
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache

from apps.access import audit
from apps.access.errors import TooManyAttempts
from apps.access.origin import client_address
from apps.access.sso import people, refusals
from apps.access.sso.configuration import OIDC_BACKEND, Oidc
from apps.access.sso.errors import ProviderUnavailable, SignOnFailed
from apps.access.throttle import Attempt
from attune.lib.errors import AttuneError

PATIENCE = 600  # seconds that somebody may take to sign in at the provider
_SALT = "attune.sign-on"


def _if_set_up(view: Callable[[HttpRequest, Oidc], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The view with the provider that the settings name; without one there is no such address."""

    @never_cache
    def answer(request: HttpRequest) -> HttpResponse:
        if settings.OIDC is None:
            raise Http404("Single sign-on is not set up here.")
        return view(request, settings.OIDC) if request.method == "GET" else HttpResponseNotAllowed(["GET"])

    return answer


@_if_set_up
def begin(request: HttpRequest, config: Oidc) -> HttpResponse:
    """Send the browser to the provider; what it must bring back goes along in a cookie that only we can write."""
    from apps.access.sso.provider import provider_of

    try:
        url, departure = provider_of(config).begin(
            callback=callback_address(), redirect_to=_local(request.GET.get("redirect_to", ""))
        )
    except ProviderUnavailable as error:
        return _refuse(request, error)
    response = HttpResponseRedirect(url)
    response.set_cookie(
        _cookie(),
        signing.dumps(asdict(departure), salt=_SALT),
        max_age=PATIENCE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@_if_set_up
def finish(request: HttpRequest, config: Oidc) -> HttpResponse:
    """Let in who comes back from the provider, if this browser was sent there not long ago."""
    try:
        response = _let_in(request, config)
    except AttuneError as error:
        response = _refuse(request, error)
    response.delete_cookie(_cookie(), samesite="Lax")
    if settings.SESSION_COOKIE_SECURE:
        response.cookies[_cookie()]["secure"] = True  # else browsers refuse the name
    return response


def _let_in(request: HttpRequest, config: Oidc) -> HttpResponse:
    from apps.access.sso.provider import Departure, provider_of

    try:
        kept = signing.loads(request.COOKIES.get(_cookie(), ""), salt=_SALT, max_age=PATIENCE)
        departure = Departure(**kept)
    except signing.BadSignature:
        kept = None
    if not kept or not constant_time_compare(departure.state, request.GET.get("state", "")):
        raise SignOnFailed(
            f"This sign-in was not begun in this browser, or too long ago. Begin anew at {settings.ATTUNE_API_URL}.",
            reason="The state is not the one that this browser was sent away with.",
        )
    origin = client_address(request)
    attempt = Attempt(origin)
    attempt.refuse_early()
    try:
        arrival = provider_of(config).finish(request.GET.dict(), departure, callback=callback_address())
    except SignOnFailed as error:
        if error.status_code == 401:  # a guess; the others are the provider's fault, or somebody without a role
            attempt.failed()
        raise
    user = people.admit(arrival, config.admission, origin=origin)
    _open_session(request, user)
    told = {"by": arrival.provider, "issuer": arrival.issuer, "subject": arrival.subject}
    audit.record(user, "auth.login", user.get_username(), after=told, origin=origin)
    return HttpResponseRedirect(_local(departure.redirect_to))


def _open_session(request: HttpRequest, user: AbstractUser) -> None:
    auth.login(request, user, backend=OIDC_BACKEND)  # type: ignore[arg-type]
    request.session.set_expiry(settings.ATTUNE_SIGN_ON_SESSION)


def _refuse(request: HttpRequest, error: AttuneError) -> HttpResponse:
    """A page that says why not; the audit log says more."""
    refusals.note(error, provider="oidc", origin=client_address(request))
    more = {"title": "Not signed in", "sentence": error.message, "login_page": reverse("admin:login")}
    context = admin.site.each_context(request) | more
    response = TemplateResponse(request, "attune/sign_on_refused.html", context, status=error.status_code)
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def callback_address() -> str:
    """Where the provider sends people back to. By the settings, not by the Host header."""
    return settings.ATTUNE_API_URL + reverse("sign_on_finish")


def offer() -> dict[str, Any]:
    """What the log-in page says about other ways in."""
    return {
        "single_sign_on": settings.OIDC.name if settings.OIDC else "",
        "only_superusers": not settings.ATTUNE_LOCAL_LOGIN and settings.LDAP is None,
    }


def _local(address: str) -> str:
    """The address if it is a page of ours, else the admin's first page."""
    is_ours = url_has_allowed_host_and_scheme(address, allowed_hosts=None) and address.startswith("/")
    is_ours = is_ours and len(address) <= 1500  # browsers keep no cookie of more than 4096 bytes
    return address if is_ours and not address.startswith(reverse("admin:login")) else reverse("admin:index")


def _cookie() -> str:
    """With the prefix by which browsers take it from nobody but this very host, over https."""
    return "__Host-attune_sign_on" if settings.SESSION_COOKIE_SECURE else "attune_sign_on"
