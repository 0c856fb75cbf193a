"""Policies: look at them, keep them, switch them on and off; and what of an action runs and waits."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, OuterRef, Q, QuerySet, Subquery, When
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import principal_of
from apps.access.reach import find, narrow
from apps.access.rights import Role, in_packs
from apps.executions import services
from apps.executions.models import Policy
from apps.executions.policies.standing import queue_of
from apps.executions.serializers.policies import PolicyChange, PolicyDetail, PolicyQuery, PolicyRequest, QueueStats
from apps.packs.models import Action, Pack
from attune.lib.api import answer, body_of, narrowed, page_of, query_of
from attune.lib.openapi import Done, describe, describe_list
from attune.lib.refs import pack_of


def policies() -> QuerySet[Policy]:
    """All, each with the number of the action or pack that it governs as `scope_id`."""
    action = Subquery(Action.objects.filter(ref=OuterRef("scope_ref")).values("pk")[:1])
    pack = Subquery(Pack.objects.filter(ref=OuterRef("scope_ref")).values("pk")[:1])
    return Policy.objects.select_related("pack").annotate(
        scope_id=Case(When(scope="action", then=action), default=pack)
    )


def policy_of(request: Request, ref: str) -> Policy:
    """Raises: Http404, OutOfReach."""
    return find(request, policies(), "policy", ref=ref)


def _listed(request: Request, **fixed: Any) -> Response:
    asked = query_of(request, PolicyQuery) | fixed
    rows = narrowed(narrow(principal_of(request), policies()), asked, {"scope": "scope", "enabled": "enabled"})
    for name, scope in (("pack_ref", Policy.Scope.PACK), ("action_ref", Policy.Scope.ACTION)):
        if asked.get(name):
            rows = rows.filter(scope=scope, scope_ref=asked[name])
    if asked.get("q"):
        rows = rows.filter(Q(ref__icontains=asked["q"]) | Q(label__icontains=asked["q"]))
    if asked.get("tag"):
        tagged = [pk for pk, tags in Policy.objects.values_list("pk", "tags") if asked["tag"] in tags]
        rows = rows.filter(pk__in=tagged)
    return page_of(request, rows, PolicyDetail)


class Policies(APIView):
    needs = {"GET": Role.VIEWER, "POST": in_packs(Role.EDITOR)}

    @describe_list("list_policies", "List policies", answers=PolicyDetail, query=PolicyQuery)
    def get(self, request: Request) -> Response:
        return _listed(request)

    @describe("create_policy", "Create a policy", body=PolicyRequest, answers=PolicyDetail, status=201)
    def post(self, request: Request) -> Response:
        given = body_of(request, PolicyRequest)
        pack_ref = given.pop("pack_ref", None) or pack_of(given["ref"])
        policy = services.create_policy(pack=pack_ref, actor=principal_of(request), **given)
        shown = PolicyDetail(policy_of(request, policy.ref)).data
        return answer(shown, status=201, message=f"Policy {policy.ref} is created.")


class PoliciesOfPack(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_policies_by_pack", "List the policies for a pack", answers=PolicyDetail, query=PolicyQuery)
    def get(self, request: Request, pack_ref: str) -> Response:
        return _listed(request, pack_ref=pack_ref)


class PoliciesOfAction(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list(
        "list_policies_by_action", "List the policies for an action", answers=PolicyDetail, query=PolicyQuery
    )
    def get(self, request: Request, action_ref: str) -> Response:
        return _listed(request, action_ref=action_ref)


class QueueOfAction(APIView):
    needs = {"GET": Role.VIEWER}

    @describe("get_queue_stats", "Show what of an action runs and waits", answers=QueueStats)
    def get(self, request: Request, action_ref: str) -> Response:
        action = find(request, Action.objects.select_related("pack"), "action", ref=action_ref)
        return answer(QueueStats(queue_of(action)).data)


class PolicyView(APIView):
    needs = {"GET": Role.VIEWER, "PUT": in_packs(Role.EDITOR), "DELETE": in_packs(Role.EDITOR)}

    @describe("get_policy", "Show a policy", answers=PolicyDetail)
    def get(self, request: Request, ref: str) -> Response:
        return answer(PolicyDetail(policy_of(request, ref)).data)

    @describe("update_policy", "Change a policy; null leaves as it is", body=PolicyChange, answers=PolicyDetail)
    def put(self, request: Request, ref: str) -> Response:
        changes = body_of(request, PolicyChange)
        services.update_policy(policy_of(request, ref), actor=principal_of(request), **changes)
        return answer(PolicyDetail(policy_of(request, ref)).data)

    @describe("delete_policy", "Delete a policy; what waits for it may start", answers=Done)
    def delete(self, request: Request, ref: str) -> Response:
        services.delete_policy(policy_of(request, ref), actor=principal_of(request))
        return answer({"message": f"Policy {ref} is deleted.", "success": True})


class EnablePolicy(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("enable_policy", "Enable a policy", answers=PolicyDetail)
    def post(self, request: Request, ref: str) -> Response:
        services.set_policy_enabled(policy_of(request, ref), True, actor=principal_of(request))
        return answer(PolicyDetail(policy_of(request, ref)).data)


class DisablePolicy(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("disable_policy", "Disable a policy", answers=PolicyDetail)
    def post(self, request: Request, ref: str) -> Response:
        services.set_policy_enabled(policy_of(request, ref), False, actor=principal_of(request))
        return answer(PolicyDetail(policy_of(request, ref)).data)
