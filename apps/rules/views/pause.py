"""The switch that pauses all rules."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import principal_of
from apps.access.rights import Role
from apps.rules import pausing, serializers, services
from apps.rules.models import Pause
from attune.lib.api import answer, body_of, query_of
from attune.lib.openapi import describe

COUNTED = 10_000  # held events


class PauseOfRules(APIView):
    needs = {"GET": Role.VIEWER, "POST": Role.EDITOR, "DELETE": Role.EDITOR}

    @describe("get_rules_pause", "Are all rules paused?", answers=serializers.PauseState)
    def get(self, request: Request) -> Response:
        return answer(_state(pausing.current()))

    @describe(
        "pause_rules",
        "Pause all rules; events are kept",
        body=serializers.PauseRequest,
        answers=serializers.PauseState,
        status=201,
        also={409: "They are paused already."},
    )
    def post(self, request: Request) -> Response:
        given = body_of(request, serializers.PauseRequest)
        pause = services.pause_rules(reason=given["reason"], actor=principal_of(request))
        return answer(_state(pause), status=201, message="All rules are paused.")

    @describe(
        "resume_rules",
        "Let rules look at events again",
        query=serializers.ResumeQuery,
        answers=serializers.PauseState,
        also={409: "They are not paused."},
    )
    def delete(self, request: Request) -> Response:
        asked = query_of(request, serializers.ResumeQuery)
        services.resume_rules(held=asked["held"], actor=principal_of(request))
        what = "skipped" if asked["held"] == Pause.Held.SKIP else "decided on now"
        return answer(_state(None), message=f"Rules look at events again; what came meanwhile is {what}.")


def _state(pause: Pause | None) -> dict[str, Any]:
    return {
        "paused": pause is not None,
        "reason": pause.reason if pause else None,
        "paused_by": pause.paused_by if pause else None,
        "since": pause.since if pause else None,
        "held_events": pausing.held_by(pause, most=COUNTED) if pause else 0,
    }
