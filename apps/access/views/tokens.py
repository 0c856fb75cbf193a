"""`/auth/tokens…`: personal tokens, for the person who holds them."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access import services
from apps.access.models import ApiToken
from apps.access.principals import principal_of
from apps.access.rights import SIGNED_IN
from apps.access.serializers import TokenMade, TokenRequest, TokenSummary
from attune.lib.api import answer, body_of, done, one_of, page_of
from attune.lib.openapi import Done, describe, describe_list


def _own(request: Request) -> QuerySet[ApiToken]:
    return ApiToken.objects.filter(user=principal_of(request).user, kind=ApiToken.Kind.PERSONAL).select_related("user")


class PersonalTokens(APIView):
    needs = {"GET": SIGNED_IN, "POST": SIGNED_IN}

    @describe_list("list_personal_tokens", "List my personal tokens", answers=TokenSummary)
    def get(self, request: Request) -> Response:
        return page_of(request, _own(request), TokenSummary)

    @describe(
        "create_personal_token",
        "Make a personal token; its text is shown this once",
        body=TokenRequest,
        answers=TokenMade,
        status=201,
    )
    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        given = body_of(request, TokenRequest)
        days = given.get("expires_in_days")
        text, row = services.create_personal_token(
            principal.user,  # type: ignore[arg-type]
            name=given["name"],
            scope=given.get("scope") or "",
            packs=given.get("packs") or [],
            lifetime=timedelta(days=days) if days else None,
            actor=principal,
        )
        made = answer(TokenMade(row, context={"text": text}).data, status=201)
        made["Cache-Control"] = "no-store"
        return made


class PersonalToken(APIView):
    needs = {"DELETE": SIGNED_IN}

    @describe("revoke_personal_token", "End a personal token and the sessions opened with it", answers=Done, bare=True)
    def delete(self, request: Request, pk: int) -> Response:
        services.revoke_token(one_of(_own(request), "personal token", pk=pk), actor=principal_of(request))
        return done("The token is revoked.")
