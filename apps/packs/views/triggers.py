"""Triggers and their webhooks: look at them, make ad-hoc ones, open and close their doors."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.principals import Principal, principal_of
from apps.access.reach import find, narrow
from apps.access.rights import Role, in_packs
from apps.packs import services
from apps.packs.models import Pack, Trigger
from apps.packs.serializers.components import (
    TriggerChange,
    TriggerDetail,
    TriggerRequest,
    TriggerSummary,
    WebhookOptions,
)
from apps.packs.serializers.packs import SearchQuery
from attune.lib.api import answer, answer_both, body_of, done, narrowed, page_of, query_of
from attune.lib.errors import InvalidInput
from attune.lib.openapi import Done, describe, describe_list
from attune.lib.refs import pack_of


def _triggers() -> QuerySet[Trigger]:
    return Trigger.objects.select_related("pack")


def _trigger(request: Request, ref: str) -> Trigger:
    return find(request, _triggers(), "trigger", ref=ref)


def _shown(trigger: Trigger, principal: Principal) -> Any:
    return TriggerDetail(trigger, context={"principal": principal}).data


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    """The columns that were given, under their names; null means that one stays as it is."""
    names = {"label": "label", "description": "description"}
    names |= {"param_schema": "parameters_schema", "out_schema": "payload_schema"}
    return {column: given[name] for name, column in names.items() if given.get(name) is not None}


def _listed(request: Request, **fixed: Any) -> Response:
    asked = query_of(request, SearchQuery) | fixed
    rows = narrowed(narrow(principal_of(request), _triggers()), asked, {"pack_ref": "pack__ref", "enabled": "enabled"})
    if asked.get("q"):
        rows = rows.filter(Q(ref__icontains=asked["q"]) | Q(label__icontains=asked["q"]))
    big = ("parameters_schema", "payload_schema", "examples", "pack__conf_schema", "pack__config", "pack__meta")
    return page_of(request, rows.defer(*big), TriggerSummary)


class Triggers(APIView):
    needs = {"GET": Role.VIEWER, "POST": in_packs(Role.EDITOR)}

    @describe_list("list_triggers", "List triggers", answers=TriggerSummary, query=SearchQuery)
    def get(self, request: Request) -> Response:
        return _listed(request)

    @describe("create_trigger", "Make an ad-hoc trigger", body=TriggerRequest, answers=TriggerDetail, status=201)
    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        given = body_of(request, TriggerRequest)
        pack_ref = given.get("pack_ref") or pack_of(given["ref"])
        pack = narrow(principal, Pack.objects.filter(ref=pack_ref)).first()
        if pack is None:
            raise InvalidInput(f"There is no pack {pack_ref}; make an ad-hoc pack for your triggers first.")
        trigger = services.save_adhoc_trigger(
            pack=pack, name=given["ref"], enabled=given["enabled"], actor=principal, **_fields(given)
        )
        return answer(_shown(trigger, principal), status=201, message=f"Trigger {trigger.ref} is created.")


class EnabledTriggers(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_enabled_triggers", "List enabled triggers", answers=TriggerSummary, query=SearchQuery)
    def get(self, request: Request) -> Response:
        return _listed(request, enabled=True)


class TriggersOfPack(APIView):
    needs = {"GET": Role.VIEWER}

    @describe_list("list_triggers_by_pack", "List a pack's triggers", answers=TriggerSummary, query=SearchQuery)
    def get(self, request: Request, pack_ref: str) -> Response:
        return _listed(request, pack_ref=pack_ref)


class TriggerView(APIView):
    needs = {"GET": Role.VIEWER, "PUT": in_packs(Role.EDITOR), "DELETE": in_packs(Role.EDITOR)}

    @describe("get_trigger", "Show a trigger", answers=TriggerDetail)
    def get(self, request: Request, ref: str) -> Response:
        return answer(_shown(_trigger(request, ref), principal_of(request)))

    @describe("update_trigger", "Change an ad-hoc trigger", body=TriggerChange, answers=TriggerDetail)
    def put(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        given, trigger = body_of(request, TriggerChange), _trigger(request, ref)
        with transaction.atomic():
            if fields := _fields(given):
                services.save_adhoc_trigger(pack=trigger.pack, trigger=trigger, actor=principal, **fields)
            if given.get("enabled") is not None:
                services.set_enabled(trigger, given["enabled"], actor=principal)
        return answer(_shown(trigger, principal))

    @describe("delete_trigger", "Delete an ad-hoc trigger", answers=Done, bare=True, also={409: "It is not ad-hoc."})
    def delete(self, request: Request, ref: str) -> Response:
        services.delete_adhoc_trigger(_trigger(request, ref), actor=principal_of(request))
        return done(f"Trigger {ref} is deleted.")


class EnableTrigger(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("enable_trigger", "Enable a trigger", answers=TriggerDetail)
    def post(self, request: Request, ref: str) -> Response:
        trigger, principal = _trigger(request, ref), principal_of(request)
        services.set_enabled(trigger, True, actor=principal)
        return answer(_shown(trigger, principal))


class DisableTrigger(APIView):
    needs = {"POST": in_packs(Role.OPERATOR)}

    @describe("disable_trigger", "Disable a trigger: its events are refused", answers=TriggerDetail)
    def post(self, request: Request, ref: str) -> Response:
        trigger, principal = _trigger(request, ref), principal_of(request)
        services.set_enabled(trigger, False, actor=principal)
        return answer(_shown(trigger, principal))


class EnableWebhook(APIView):
    needs = {"POST": in_packs(Role.EDITOR)}

    @describe("enable_webhook", "Open a trigger's webhook", answers=TriggerDetail, bare=True)
    def post(self, request: Request, ref: str) -> Response:
        trigger, principal = _trigger(request, ref), principal_of(request)
        services.enable_webhook(trigger, actor=principal)
        return answer_both(_shown(trigger, principal))


class DisableWebhook(APIView):
    needs = {"POST": in_packs(Role.EDITOR)}

    @describe("disable_webhook", "Close a trigger's webhook", answers=TriggerDetail, bare=True)
    def post(self, request: Request, ref: str) -> Response:
        trigger, principal = _trigger(request, ref), principal_of(request)
        services.disable_webhook(trigger, actor=principal)
        return answer_both(_shown(trigger, principal))


class RegenerateWebhookKey(APIView):
    needs = {"POST": in_packs(Role.EDITOR)}

    @describe("regenerate_webhook_key", "Give it a new key; the old one ends", answers=TriggerDetail, bare=True)
    def post(self, request: Request, ref: str) -> Response:
        trigger, principal = _trigger(request, ref), principal_of(request)
        services.rotate_webhook_key(trigger, actor=principal)
        return answer_both(_shown(trigger, principal))


class WebhookOptionsView(APIView):
    needs = {"PUT": in_packs(Role.EDITOR)}

    @describe(
        "set_webhook_options",
        "Say who may knock at the webhook, and how it is proved",
        body=WebhookOptions,
        answers=TriggerDetail,
    )
    def put(self, request: Request, ref: str) -> Response:
        trigger, principal = _trigger(request, ref), principal_of(request)
        options = body_of(request, WebhookOptions)
        secret = options.pop("secret", None)
        services.set_webhook_options(trigger, options, secret=secret, actor=principal)
        return answer(_shown(trigger, principal))
