"""Events and enforcements: send events in, see what came of them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import Principal, principal_of
from apps.access.reach import find, may, narrow
from apps.access.rights import Role, in_packs, open_to
from apps.packs.models import Trigger
from apps.rules import serializers, services
from apps.rules.errors import EventTooLarge, KeyInUse, RuleInvalid
from apps.rules.events import open_payload
from apps.rules.models import Enforcement, Event, Rule
from apps.rules.serializers import EnforcementDetail, EnforcementSummary, EventDetail, EventSummary
from attune.lib.api import answer, body_of, idempotency_key, narrowed, page_of, query_of
from attune.lib.json_values import storable
from attune.lib.masks import Mask
from attune.lib.openapi import describe, describe_list
from attune.lib.refs import pack_of


class Events(APIView):
    needs = {"GET": Role.VIEWER, "POST": open_to(Role.OPERATOR, execution=True, sensor=True, in_packs=True)}

    @describe_list("list_events", "List events, latest first", answers=EventSummary, query=serializers.EventQuery)
    def get(self, request: Request) -> Response:
        asked = query_of(request, serializers.EventQuery)
        lookups = {"trigger": "trigger_id", "trigger_ref": "trigger_ref", "rule_ref": "rule_ref"}
        rows = narrowed(
            narrow(principal_of(request), Event.objects.all()),
            asked,
            lookups | {"trace_tag": "trace_tag", "suppressed": "suppressed"},
        )
        if asked["passed_over"] is not None:
            rows = rows.exclude(passed_over="") if asked["passed_over"] else rows.filter(passed_over="")
        if asked.get("source"):
            rows = rows.filter(source__in=(asked["source"], f"sensor {asked['source']}"))
        return page_of(request, rows.defer("config", "misses"), EventSummary, cursors=True)

    @describe(
        "create_event",
        "Send an event in; it is kept when this answers",
        body=serializers.EventRequest,
        answers=EventDetail,
        status=201,
        once=True,
        also={
            404: "No such trigger.",
            409: "The trigger is disabled.",
            413: "The event is too large.",
            422: "The payload does not meet its schema, or the key was used for another event.",
        },
    )
    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        _check_size(request)
        given = _without_own_token(request, body_of(request, serializers.EventRequest))
        trigger_ref = given["trigger_ref"]
        if not _may_send(principal, trigger_ref):
            raise PermissionDenied(f"The token of {principal.name} may not send events of {trigger_ref}.")
        if principal.is_limited:
            find(request, Trigger.objects.select_related("pack"), "trigger", ref=trigger_ref)
        emitted = services.emit_event(
            trigger_ref,
            payload=given["payload"],
            config=given["config"],
            source=f"user {principal.name}" if principal.is_person else principal.name,
            rule=_rule_meant(principal, given, trigger_ref),
            dedup_key=given["dedup_key"] or idempotency_key(request),
            trace_tag=given["trace_tag"],
            depth=principal.depth + 1 if principal.execution_id else 0,
            caused_by=principal.execution_id,
        )
        if emitted.created:
            principal.count_event()
        elif not given["dedup_key"] and open_payload(emitted.event) != storable(given["payload"]):
            raise KeyInUse(
                f"The key {emitted.event.dedup_key!r} was used for another event of {trigger_ref} "
                f"({emitted.event.pk}); choose a new key for each event."
            )
        message = "" if emitted.created else "This event was sent before; it is not kept twice."
        return answer(EventDetail(emitted.event).data, status=201, message=message)


def _check_size(request: Request) -> None:
    """Events are kept for long and copied often, so they may be smaller than other requests. Raises EventTooLarge."""
    size, limit = int(request.META.get("CONTENT_LENGTH") or 0), settings.ATTUNE_PAYLOAD_LIMIT
    if size > limit:
        raise EventTooLarge(
            f"The event has {size} bytes; this installation takes {limit} (ATTUNE_PAYLOAD_LIMIT). "
            "Send a reference to the data instead of the data."
        )


def _without_own_token(request: Request, given: dict[str, Any]) -> dict[str, Any]:
    """What was sent, the token that it was sent with masked: an event is kept for long and shown to many."""
    token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")[2].strip()
    mask, whole = Mask([token]), repr(given)
    return mask.data(given) if mask.text(whole) != whole else given


def _may_send(principal: Principal, trigger_ref: str) -> bool:
    if principal.kind == "sensor":
        return trigger_ref in principal.trigger_refs
    return principal.kind != "execution" or pack_of(trigger_ref) == principal.pack_ref


def _rule_meant(principal: Principal, given: dict[str, Any], trigger_ref: str) -> Rule | None:
    """The one rule that shall look at the event. Clients name it `rule_<id>`, `rule_<ref>`, or by its ref."""
    named = (given.get("trigger_instance_id") or "").removeprefix("rule_") or given.get("rule_ref")
    if not named:
        return None
    by_number = named.isascii() and named.isdigit() and len(named) < 19
    by = {"pk": int(named)} if by_number else {"ref": named}
    found = narrow(principal, Rule.objects.filter(trigger_ref=trigger_ref, **by)).first()
    if found is None:
        raise RuleInvalid(f"There is no rule {named} of trigger {trigger_ref}; it may have been deleted.")
    return found


class EventView(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_event", "Show an event", answers=EventDetail)
    def get(self, request: Request, pk: int) -> Response:
        return answer(EventDetail(find(request, Event.objects.all(), "event", pk=pk)).data)


class ReplayEvent(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("replay_event", "Let today's rules look at this event again", answers=EventDetail, status=201)
    def post(self, request: Request, pk: int) -> Response:
        event = find(request, Event.objects.all(), "event", pk=pk)
        return answer(EventDetail(services.replay_event(event, actor=principal_of(request))).data, status=201)


class VerdictsOfEvent(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_event_verdicts", "What each rule made of this event", answers=serializers.Verdict)
    def get(self, request: Request, pk: int) -> Response:
        event = find(request, Event.objects.all(), "event", pk=pk)
        return page_of(request, _readable(principal_of(request), services.verdicts_of(event)), serializers.Verdict)


def _readable(principal: Principal, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts of rules that one may look at."""
    if not principal.is_limited:
        return told
    return [verdict for verdict in told if may(principal, Role.VIEWER, pack_of(verdict["rule_ref"]))]


# Enforcements --------------------------------------------------------------------------------------------------------
class Enforcements(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list(
        "list_enforcements",
        "List enforcements, latest first",
        answers=EnforcementSummary,
        query=serializers.EnforcementQuery,
    )
    def get(self, request: Request) -> Response:
        asked = query_of(request, serializers.EnforcementQuery)
        lookups = {"rule": "rule_id", "event": "event_id", "trigger_ref": "trigger_ref", "rule_ref": "rule_ref"}
        rows = narrowed(
            narrow(principal_of(request), Enforcement.objects.select_related("event")),
            asked,
            lookups | {"verdict": "verdict", "trace_tag": "event__trace_tag"},
        )
        if asked.get("status") not in (None, "processed"):
            rows = rows.none()
        big = ("results", "action_params", "event__payload", "event__config", "event__misses")
        return page_of(request, rows.defer(*big), EnforcementSummary, cursors=True)


class EnforcementView(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_enforcement", "Show an enforcement", answers=EnforcementDetail)
    def get(self, request: Request, pk: int) -> Response:
        rows = Enforcement.objects.select_related("event", "rule")
        return answer(EnforcementDetail(find(request, rows, "enforcement", pk=pk)).data)
