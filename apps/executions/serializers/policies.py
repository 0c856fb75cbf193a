"""Policies as the wire has them: the SDK's names, and beside them the names that pack files use."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.executions.models import Policy
from attune.lib.api import PageQuery, Timestamp
from attune.lib.openapi import Constant, Object


class Scope(serializers.Serializer):
    """What a policy governs: one action, one pack, or everything."""

    type = serializers.ChoiceField(choices=Policy.Scope.choices)
    action_ref = serializers.CharField(max_length=200, required=False, allow_null=True)
    pack_ref = serializers.CharField(max_length=200, required=False, allow_null=True)


class PolicyChange(serializers.Serializer):
    """null leaves as it is."""

    name = serializers.CharField(max_length=200, required=False, help_text="For people; `label` is the same.")
    description = serializers.CharField(required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)
    scope = Scope(required=False)
    priority = serializers.IntegerField(min_value=-(10**6), max_value=10**6, required=False)
    concurrency = Object(required=False, help_text="limit, group_by, on_limit; {} takes the part away.")
    rate_limit = Object(required=False, help_text="limit, window, group_by, on_limit; {} takes the part away.")
    retry = Object(
        required=False,
        help_text="max_retries, backoff, delay, max_delay, jitter, retry_on; {} takes the part away.",
    )
    quotas = serializers.ListField(child=Object(), required=False, max_length=0, help_text="Not offered here.")
    tags = serializers.ListField(child=serializers.CharField(max_length=100), required=False)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            data = {name: value for name, value in data.items() if value is not None}
            if "label" in data:
                data.setdefault("name", data["label"])
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Under the names of the model's fields."""
        attrs.pop("quotas", None)
        if "name" in attrs:
            attrs["label"] = attrs.pop("name")
        if "scope" in attrs:
            scope = attrs["scope"]
            ref = {"action": scope.get("action_ref"), "pack": scope.get("pack_ref")}.get(scope["type"])
            attrs |= {"scope": scope["type"], "scope_ref": ref or ""}
        return attrs


class PolicyRequest(PolicyChange):
    ref = serializers.CharField(max_length=200)
    pack_ref = serializers.CharField(
        max_length=100, required=False, help_text="Where it lives. Omitted: the part of ref before the dot."
    )
    scope = Scope()


class PolicyQuery(PageQuery):
    q = serializers.CharField(required=False)
    pack_ref = serializers.CharField(required=False, help_text="Those for this pack as a whole.")
    action_ref = serializers.CharField(required=False, help_text="Those for this action alone.")
    scope = serializers.ChoiceField(choices=Policy.Scope.choices, required=False)
    enabled = serializers.BooleanField(required=False, allow_null=True, default=None)
    tag = serializers.CharField(required=False)


class ShownScope(Scope):
    action = serializers.IntegerField(allow_null=True)
    pack = serializers.IntegerField(allow_null=True)


class PolicyDetail(serializers.Serializer):
    """A policy. A part that it does not have is null."""

    id = serializers.IntegerField()
    ref = serializers.CharField()
    name = serializers.SerializerMethodField()
    label = serializers.CharField()
    description = serializers.CharField()
    pack_ref = serializers.CharField(source="pack.ref", help_text="Where it lives.")
    enabled = serializers.BooleanField()
    is_adhoc = serializers.BooleanField()
    scope = serializers.SerializerMethodField()
    priority = serializers.IntegerField()
    concurrency = serializers.SerializerMethodField()
    rate_limit = serializers.SerializerMethodField()
    retry = serializers.SerializerMethodField()
    quotas = Constant([])
    tags = serializers.ListField(child=serializers.CharField())
    revision = serializers.IntegerField()
    created = Timestamp()
    updated = Timestamp()

    def get_name(self, policy: Policy) -> str:
        return policy.label or policy.ref

    @extend_schema_field(ShownScope)
    def get_scope(self, policy: Policy) -> dict[str, Any]:
        kind, row = policy.scope, getattr(policy, "scope_id", None)
        return {
            "type": kind,
            "action_ref": policy.scope_ref if kind == Policy.Scope.ACTION else None,
            "pack_ref": policy.scope_ref if kind == Policy.Scope.PACK else None,
            "action": row if kind == Policy.Scope.ACTION else None,
            "pack": row if kind == Policy.Scope.PACK else None,
        }

    def get_concurrency(self, policy: Policy) -> dict[str, Any] | None:
        return _limiting(policy.concurrency)

    def get_rate_limit(self, policy: Policy) -> dict[str, Any] | None:
        part = _limiting(policy.rate_limit)
        return part and part | {"max_executions": part["limit"], "window_seconds": part["window"]}

    def get_retry(self, policy: Policy) -> dict[str, Any] | None:
        return policy.retry


class QueueStats(serializers.Serializer):
    """How the queue of an action stands. Nothing is counted further than 100,000."""

    action_id = serializers.IntegerField(source="action.pk")
    action_ref = serializers.CharField(source="action.ref")
    active_count = serializers.IntegerField(source="running", help_text="That run now.")
    queue_length = serializers.IntegerField(source="waiting", help_text="That wait, whatever for.")
    max_concurrent = serializers.IntegerField(
        source="at_a_time", help_text="By the strictest policy (of each group, if it has some); else all workers' room."
    )
    total_enqueued = serializers.IntegerField(source="kept", help_text="All that are kept.")
    total_completed = serializers.IntegerField(source="over", help_text="Those of them that are over, well or not.")
    totals_are_capped = serializers.BooleanField(source="is_capped", help_text="There are more than total_enqueued.")
    oldest_enqueued_at = Timestamp(source="oldest", allow_null=True)
    last_updated = Timestamp(source="at")


def _limiting(part: dict[str, Any] | None) -> dict[str, Any] | None:
    """A limit with its paths and its way under the SDK's names too."""
    if part is None:
        return None
    names = [path.removeprefix("parameters.") for path in part["group_by"]]
    return part | {"method": part["on_limit"], "parameters": names}
