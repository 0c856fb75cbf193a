"""Signing in to the admin and out of it, and one's own password: by the same limits, with the same lines in the audit
log, as in the API."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from apps.access import audit, services
from apps.access.errors import TooManyAttempts
from apps.access.origin import client_address
from apps.access.sso.configuration import LDAP_BACKEND
from apps.access.sso.errors import NotAdmitted
from apps.access.views import sign_on


class LoginForm(AuthenticationForm):
    """Refuses whoever has failed too often of late, whatever they type now."""

    retry_after = 0  # seconds that somebody who was refused waits

    def clean(self) -> dict[str, Any]:
        if self.errors:
            return self.cleaned_data
        name, origin = self.cleaned_data["username"], client_address(self.request)
        try:
            with services.attempt(origin, name, http_status=200):
                cleaned = super().clean()
        except TooManyAttempts as error:
            self.retry_after = error.retry_after
            raise ValidationError(error.message) from None
        except NotAdmitted as error:  # the password was right
            raise ValidationError(error.message) from None
        audit.record(self.get_user() or name, "auth.login", name, origin=origin)
        return cleaned


def login_page(request: HttpRequest) -> HttpResponseBase:
    """The admin's own page; to somebody who has to wait it says so in its status as well."""
    response = admin.site.login(request, sign_on.offer())
    if request.session.get(BACKEND_SESSION_KEY) == LDAP_BACKEND:
        request.session.set_expiry(settings.ATTUNE_SIGN_ON_SESSION)
    form = (getattr(response, "context_data", None) or {}).get("form")
    if isinstance(form, LoginForm) and form.retry_after:
        response.status_code = 429
        response.headers["Retry-After"] = str(form.retry_after)
    return response


def sign_out(request: HttpRequest) -> HttpResponse:
    """The admin's own signing out, with its line in the log."""
    if request.method == "POST" and isinstance(request.user, AbstractBaseUser):
        audit.record(request.user, services.LOGOUT, request.user.get_username(), origin=client_address(request))
    return admin.site.logout(request)


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """Refuses whoever guesses at the present password; the new one ends the person's other sessions."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.origin = client_address(request)

    def clean_old_password(self) -> str:
        try:
            with services.attempt(self.origin, self.user.get_username(), http_status=200):
                return super().clean_old_password()
        except TooManyAttempts as error:
            raise ValidationError(error.message) from None

    def save(self, commit: bool = True) -> AbstractBaseUser:
        services.keep_password(self.user, self.cleaned_data["new_password1"], origin=self.origin)
        return self.user


def own_password(request: HttpRequest) -> HttpResponseBase:
    """The admin's own page, by the service of the API."""
    request.current_app = admin.site.name  # type: ignore[attr-defined]
    return PasswordChangeView.as_view(
        form_class=partial(OwnPasswordForm, request),
        success_url=reverse("admin:password_change_done"),
        extra_context=admin.site.each_context(request),
    )(request)
