"""`/auth/…`: signing in and out, and who am I."""

from __future__ import annotations

from django.conf import settings
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access import audit, serializers, services
from apps.access.origin import client_address
from apps.access.principals import principal_of
from apps.access.rights import ANYBODY, SIGNED_IN
from attune.lib.api import answer, body_of
from attune.lib.openapi import describe

SLOWED = {429: "Too many failed attempts; Retry-After says how many seconds to wait."}


class Login(APIView):
    authentication_classes = []
    needs = {"POST": ANYBODY}

    @describe("login", "Sign in", body=serializers.LoginRequest, answers=serializers.SessionAnswer, also=SLOWED)
    def post(self, request: Request) -> Response:
        given = body_of(request, serializers.LoginRequest)
        session = services.sign_in(given["login"], given["password"], origin=client_address(request._request))
        return answer(serializers.SessionAnswer(session).data)


class LdapLogin(Login):
    """What the SDK calls where a directory is offered; its passwords work at the other door as well."""

    @describe(
        "ldap_login",
        "Sign in with a directory's password",
        body=serializers.LoginRequest,
        answers=serializers.SessionAnswer,
        also=SLOWED | {404: "No directory is set up here."},
    )
    def post(self, request: Request) -> Response:
        if settings.LDAP is None:
            raise NotFound("No directory is set up here; sign in by POST /auth/login.")
        return super().post(request)


class Refresh(APIView):
    authentication_classes = []
    needs = {"POST": ANYBODY}

    @describe(
        "refresh_token",
        "Get new tokens",
        body=serializers.RefreshRequest,
        answers=serializers.SessionAnswer,
        also=SLOWED,
    )
    def post(self, request: Request) -> Response:
        text = body_of(request, serializers.RefreshRequest)["refresh_token"]
        session = services.refresh(text, origin=client_address(request._request))
        return answer(serializers.SessionAnswer(session).data)


class TokenLogin(APIView):
    authentication_classes = []
    needs = {"POST": ANYBODY}

    @describe(
        "token_login",
        "Sign in with a personal token",
        body=serializers.TokenLoginRequest,
        answers=serializers.SessionAnswer,
        also=SLOWED,
    )
    def post(self, request: Request) -> Response:
        text = body_of(request, serializers.TokenLoginRequest)["token"]
        session = services.sign_in_with_token(text, origin=client_address(request._request))
        return answer(serializers.SessionAnswer(session).data)


class Logout(APIView):
    """The SDK signs out by GET."""

    needs = {"GET": SIGNED_IN, "POST": SIGNED_IN}

    @describe("logout", "End this session", answers=serializers.Outcome)
    def get(self, request: Request) -> Response:
        services.sign_out(principal_of(request))
        return answer({"message": "Signed out.", "success": True})

    @describe("logout_by_post", "End this session", answers=serializers.Outcome)
    def post(self, request: Request) -> Response:
        return self.get(request)


class Myself(APIView):
    needs = {"GET": SIGNED_IN, "PUT": SIGNED_IN}

    @describe("get_current_user", "Who am I", answers=serializers.Me)
    def get(self, request: Request) -> Response:
        return answer(serializers.me(principal_of(request)))

    @describe("update_current_user", "Change my name", body=serializers.MeChange, answers=serializers.Me)
    def put(self, request: Request) -> Response:
        principal = principal_of(request)
        given = body_of(request, serializers.MeChange)
        user = principal.user
        if user is not None and "display_name" in given:
            before, user.first_name = user.first_name, given["display_name"] or ""
            user.save(update_fields=["first_name"])
            audit.record(
                principal, "user.update", user.username, {"display_name": before}, {"display_name": user.first_name}
            )
        return answer(serializers.me(principal))


class ChangePassword(APIView):
    needs = {"POST": SIGNED_IN}

    @describe(
        "change_password",
        "Change my password; my other sessions end",
        body=serializers.ChangePasswordRequest,
        answers=serializers.Outcome,
        also=SLOWED,
    )
    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        given = body_of(request, serializers.ChangePasswordRequest)
        services.change_password(
            principal.user,  # type: ignore[arg-type]
            current=given["current_password"],
            new=given["new_password"],
            token_id=principal.token_id,
            origin=principal.origin,
        )
        return answer({"message": "The password is changed.", "success": True})


class Settings(APIView):
    authentication_classes = []
    needs = {"GET": ANYBODY}

    @describe("auth_settings", "The ways to sign in", answers=serializers.AuthSettings)
    def get(self, request: Request) -> Response:
        local, ldap, oidc = settings.ATTUNE_LOCAL_LOGIN, settings.LDAP is not None, settings.OIDC
        offered = {"authentication_enabled": True, "self_registration_enabled": False}
        for way, is_on in {"local_password": local, "ldap": ldap, "oidc": oidc is not None}.items():
            offered |= {f"{way}_enabled": is_on, f"{way}_visible_by_default": is_on}
        return answer(offered | {"oidc_provider_label": oidc.name if oidc else None})
