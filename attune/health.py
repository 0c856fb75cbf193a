"""Health: is the process alive, can it take work, how are database, broker and workers. Never more than two seconds."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.rights import ANYBODY
from apps.rules import pressure
from attune import condition
from attune.lib.api import timestamp
from attune.lib.openapi import describe


class HealthAnswer(serializers.Serializer):
    status = serializers.CharField()


class Readiness(HealthAnswer):
    database = serializers.CharField(help_text="connected, not_migrated or disconnected")
    broker = serializers.CharField(help_text="connected or disconnected")


class HealthDetails(Readiness):
    workers = serializers.IntegerField(allow_null=True, help_text="That are alive; null while the database is away.")
    accepting = serializers.BooleanField(help_text="Whether events are taken; if not, `overload` says why.")
    overload = serializers.CharField(allow_null=True)
    overloaded_since = serializers.CharField(allow_null=True)
    version = serializers.CharField()
    mode = serializers.CharField()


class Health(APIView):
    """Answers without a token; a process that answers at all is alive. The database is not asked."""

    authentication_classes = []
    needs = {"GET": ANYBODY}

    @describe("health", "Is it up", answers=HealthAnswer, bare=True)
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class Live(Health):
    @describe("liveness", "Is the process alive", answers=HealthAnswer, bare=True)
    def get(self, request: Request) -> Response:
        return super().get(request)


class Ready(APIView):
    """Ready means that events can be kept, so only the database counts: a broker that is away costs delay, not work."""

    authentication_classes = []
    needs = {"GET": ANYBODY}

    @describe(
        "readiness",
        "Can it take work",
        answers=Readiness,
        bare=True,
        also={503: "The database is away, or not migrated."},
    )
    def get(self, request: Request) -> Response:
        found = _look()
        about = {"status": found.readiness, "database": found.database, "broker": found.broker}
        return Response(about, status=200 if found.is_ready else 503)


class HealthDetailed(APIView):
    authentication_classes = []
    needs = {"GET": ANYBODY}

    @describe(
        "health_detailed",
        "How database, broker and workers are",
        answers=HealthDetails,
        bare=True,
        also={503: "The database is away, or not migrated."},
    )
    def get(self, request: Request) -> Response:
        found, overload = _look(), pressure.current()
        is_well = found.broker == "connected" and bool(found.workers) and overload is None
        about = {
            "status": "error" if not found.is_ready else "ok" if is_well else "degraded",
            "database": found.database,
            "broker": found.broker,
            "workers": found.workers,
            "accepting": overload is None,
            "overload": overload.reason if overload else None,
            "overloaded_since": timestamp(overload.since) if overload else None,
            "version": settings.ATTUNE_VERSION,
            "mode": settings.ATTUNE_MODE,
        }
        return Response(about, status=200 if found.is_ready else 503)


@dataclass(frozen=True)
class _Found:
    database: str
    broker: str
    workers: int | None

    @property
    def is_ready(self) -> bool:
        return self.database == "connected"

    @property
    def readiness(self) -> str:
        if not self.is_ready:
            return self.database
        return "ok" if self.broker == "connected" else "degraded"


def _look() -> _Found:
    """Both are asked at once, so that two that hang cost no more time than one."""
    condition.broker.begin()
    database, broker = condition.database.look(), condition.broker.look()
    state = "disconnected"
    if database.value is not None:
        state = "connected" if database.value.migrated else "not_migrated"
    workers = database.value.workers if database.value is not None else None
    return _Found(state, "connected" if broker.ok else "disconnected", workers)
