"""Rules: look at them, keep them, switch them on and off, try them out."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access import reach
from apps.access.principals import Principal, principal_of
from apps.access.reach import find, narrow
from apps.access.rights import Role, in_packs, open_to
from apps.packs.models import Action, Trigger
from apps.rules import history, serializers, services
from apps.rules.errors import RuleInvalid
from apps.rules.models import Event, Rule
from apps.rules.serializers import RuleDetail, RuleQuery, RuleSummary
from attune.lib.api import answer, body_of, done, narrowed, one_of, page_of, query_of
from attune.lib.openapi import Done, describe, describe_list
from attune.lib.refs import pack_of


def readable_rules(principal: Principal) -> QuerySet[Rule]:
    """The rules one may look at: those of packs one reaches, or for a sensor those of its triggers."""
    rows = narrow(principal, Rule.objects.select_related("pack"))
    return rows.filter(trigger_ref__in=principal.trigger_refs) if principal.kind == "sensor" else rows


def rule_for(request: Request, ref: str) -> Rule:
    """The rule, for what the request's method does to it.

    Raises: Http404; OutOfReach; PermissionDenied for a sensor, whether or not there is a rule of that ref elsewhere.
    """
    principal = principal_of(request)
    try:
        return find(request, readable_rules(principal), "rule", ref=ref)
    except Http404:
        if principal.kind == "sensor":
            raise PermissionDenied(f"The token of {principal.name} does not reach rule {ref}.") from None
        raise


def _listed(request: Request, **fixed: Any) -> Response:
    asked = query_of(request, RuleQuery) | fixed
    lookups = {"pack_ref": "pack__ref", "action_ref": "action_ref", "trigger_ref": "trigger_ref", "enabled": "enabled"}
    rows = narrowed(readable_rules(principal_of(request)), asked, lookups)
    if asked.get("q"):
        rows = rows.filter(Q(ref__icontains=asked["q"]) | Q(label__icontains=asked["q"]))
    return page_of(request, rows, RuleSummary)


class Rules(APIView):
    needs = {"GET": open_to(Role.VIEWER, sensor=True), "POST": in_packs(Role.EDITOR)}

    @describe_list("list_rules", "List rules", answers=RuleSummary, query=RuleQuery)
    def get(self, request: Request) -> Response:
        return _listed(request)

    @describe("create_rule", "Create a rule", body=serializers.RuleRequest, answers=RuleDetail, status=201)
    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        given = body_of(request, serializers.RuleRequest)
        pack_ref = given.pop("pack_ref", None) or pack_of(given["ref"])
        rule = services.create_rule(pack=pack_ref, actor=principal, user=principal.user, **given)
        return answer(RuleDetail(rule).data, status=201, message=f"Rule {rule.ref} is created.")


class EnabledRules(APIView):
    needs = {"GET": open_to(Role.VIEWER, sensor=True)}

    @describe_list("list_enabled_rules", "List enabled rules", answers=RuleSummary)
    def get(self, request: Request) -> Response:
        return _listed(request, enabled=True)


class RulesOfPack(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_rules_by_pack", "List a pack's rules", answers=RuleSummary, query=RuleQuery)
    def get(self, request: Request, pack_ref: str) -> Response:
        return _listed(request, pack_ref=pack_ref)


class RulesOfTrigger(APIView):
    needs = {"GET": open_to(Role.VIEWER, sensor=True)}

    @describe_list("list_rules_by_trigger", "List a trigger's rules", answers=RuleSummary, query=RuleQuery)
    def get(self, request: Request, trigger_ref: str) -> Response:
        return _listed(request, trigger_ref=trigger_ref)


class RulesOfAction(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_rules_by_action", "List an action's rules", answers=RuleSummary, query=RuleQuery)
    def get(self, request: Request, action_ref: str) -> Response:
        return _listed(request, action_ref=action_ref)


class RuleView(APIView):
    needs = {"GET": open_to(Role.VIEWER, sensor=True), "PUT": in_packs(Role.EDITOR), "DELETE": in_packs(Role.EDITOR)}

    @describe("get_rule", "Show a rule", answers=RuleDetail)
    def get(self, request: Request, ref: str) -> Response:
        return answer(RuleDetail(rule_for(request, ref)).data)

    @describe("update_rule", "Change a rule; null leaves as it is", body=serializers.RuleChange, answers=RuleDetail)
    def put(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        rule = rule_for(request, ref)
        changes = body_of(request, serializers.RuleChange)
        return answer(RuleDetail(services.update_rule(rule, actor=principal, **changes)).data)

    @describe("delete_rule", "Delete a rule; its history stays", answers=Done, bare=True)
    def delete(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        services.delete_rule(rule_for(request, ref), actor=principal)
        return done(f"Rule {ref} is deleted.")


class EnableRule(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("enable_rule", "Enable a rule", answers=RuleDetail)
    def post(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        return answer(RuleDetail(services.set_enabled(rule_for(request, ref), True, actor=principal)).data)


class DisableRule(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("disable_rule", "Disable a rule", answers=RuleDetail)
    def post(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        return answer(RuleDetail(services.set_enabled(rule_for(request, ref), False, actor=principal)).data)


class HistoryOfRule(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_rule_history", "A rule's revisions, latest first", answers=serializers.RuleRevision)
    def get(self, request: Request, ref: str) -> Response:
        rule = rule_for(request, ref)
        return page_of(request, history.entries(rule), serializers.RuleRevision)


class RestoreRule(APIView):
    needs = {"POST": in_packs(Role.EDITOR)}

    @describe(
        "restore_rule",
        "Make a rule what it was in a revision, as a new one; it stays on or off",
        body=serializers.RestoreRequest,
        answers=RuleDetail,
    )
    def post(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        rule = rule_for(request, ref)
        revision = body_of(request, serializers.RestoreRequest)["revision"]
        restored = services.restore_rule(rule, revision, actor=principal)
        return answer(RuleDetail(restored).data, message=f"Rule {ref} is as it was in revision {revision}.")


def _event_of(request: Request, given: dict[str, Any], trigger_ref: str) -> Event | None:
    if "event_id" not in given:
        return None
    events = narrow(principal_of(request), Event.objects.all())
    event: Event = one_of(events, "event", pk=given["event_id"])
    if event.trigger_ref != trigger_ref:
        raise RuleInvalid(f"Event {event.pk} is of trigger {event.trigger_ref}, not of {trigger_ref}.")
    return event


class TestDraft(APIView):
    """An editor's right, as its templates may read the pack's configuration."""

    needs = {"POST": in_packs(Role.EDITOR)}

    @describe(
        "test_rule_draft",
        "What would a rule like this make of an event; nothing is run",
        body=serializers.DraftTestRequest,
        answers=serializers.RuleTestResult,
    )
    def post(self, request: Request) -> Response:
        given = body_of(request, serializers.DraftTestRequest)
        principal, action_ref = principal_of(request), given.get("action_ref")
        actions = narrow(principal, Action.objects.select_related("pack"))
        action: Action | None = one_of(actions, "action", ref=action_ref) if action_ref else None
        if principal.is_limited:
            one_of(narrow(principal, Trigger.objects.all()), "trigger", ref=given["trigger_ref"])
            reach.require(principal, Role.EDITOR, pack_of(action_ref or given["trigger_ref"]))
        result = services.dry_run(
            trigger=given["trigger_ref"],
            criteria=given["criteria"],
            payload=given.get("payload"),
            event=_event_of(request, given, given["trigger_ref"]),
            action=action,
            action_params=given["action_params"],
        )
        return answer(result)


class TestRule(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe(
        "test_rule",
        "What would this rule make of an event; nothing is run",
        body=serializers.RuleTestRequest,
        answers=serializers.RuleTestResult,
    )
    def post(self, request: Request, ref: str) -> Response:
        rule = rule_for(request, ref)
        given = body_of(request, serializers.RuleTestRequest)
        result = services.dry_run(
            trigger=rule.trigger or rule.trigger_ref,
            criteria=rule.criteria,
            payload=given.get("payload"),
            event=_event_of(request, given, rule.trigger_ref),
            action=rule.action,
            action_params=rule.action_params,
            rule=rule,
        )
        return answer(result)
