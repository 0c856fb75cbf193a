"""Actions and triggers as the wire has them."""

from __future__ import annotations

from rest_framework import serializers

from apps.access.principals import Principal, Role
from apps.access.reach import may
from apps.packs.models import Action, Trigger
from apps.packs.serializers.packs import SearchQuery
from attune.lib.api import Timestamp
from attune.lib.openapi import Constant, Object, PatchedText, TextOrNull


class ActionQuery(SearchQuery):
    packs = serializers.CharField(required=False, help_text="Refs of packs, with commas between.")
    pack_ref = serializers.CharField(required=False)
    enabled = serializers.BooleanField(required=False, allow_null=True, default=None)


class ActionChange(serializers.Serializer):
    """Actions are defined by their pack's files; whether one is enabled is the operator's choice."""

    enabled = serializers.BooleanField()


class ActionSummary(serializers.Serializer):
    """An action in a list."""

    id = serializers.IntegerField()
    ref = serializers.CharField()
    pack_ref = serializers.CharField(source="pack.ref")
    label = serializers.CharField(source="title")
    description = serializers.CharField()
    enabled = serializers.BooleanField()
    entrypoint = serializers.CharField(source="entry_point")
    runner_type = serializers.CharField()
    runtime = serializers.IntegerField(source="runtime_id", allow_null=True)
    runtime_ref = serializers.SerializerMethodField()
    runtime_version_constraint = TextOrNull(source="runtime_version")
    timeout_seconds = serializers.IntegerField(source="timeout", allow_null=True)
    default_execution_permission_set_refs = serializers.ListField(
        child=serializers.CharField(), source="permission_set_refs"
    )
    tags = serializers.ListField(child=serializers.CharField())
    accesses_mcp = Constant(False)
    is_workflow = serializers.SerializerMethodField()
    reference_visibility = Constant("public")
    reference_allowed_pack_refs = Constant([])
    required_worker_runtimes = Constant({})
    worker_selector = Object(help_text="Labels that its worker must have.")
    worker_affinity = Constant({})
    worker_tolerations = Constant([])
    created = Timestamp()
    updated = Timestamp()

    def get_is_workflow(self, action: Action) -> bool:
        return bool(action.workflow_file)

    def get_runtime_ref(self, action: Action) -> str | None:
        return action.runtime.ref if action.runtime else None


class ActionDetail(ActionSummary):
    """An action with its schemas."""

    pack = serializers.IntegerField(source="pack_id")
    is_adhoc = Constant(False)
    param_schema = Object(source="parameters_schema")
    out_schema = Object(source="output_schema")
    parameter_delivery = serializers.CharField()
    parameter_format = serializers.CharField()
    output_format = serializers.CharField()
    max_retries = serializers.IntegerField()
    idempotent = serializers.BooleanField()
    runner = serializers.CharField()
    secrets = serializers.ListField(child=serializers.CharField())
    env_vars = serializers.ListField(child=serializers.CharField())
    image = serializers.CharField(help_text="What its container is made from; for the `docker` runner only.")
    sandbox = serializers.CharField(help_text="`bwrap` or `none`; empty: as its pack or the installation has it.")
    network = serializers.BooleanField()
    limits = Object(help_text="What it may use of the machine, if less than the installation allows.")
    examples = serializers.JSONField()
    workflow_def = Constant(None)


class TriggerRequest(serializers.Serializer):
    """A new ad-hoc trigger."""

    ref = serializers.CharField(max_length=200)
    label = serializers.CharField(max_length=200)
    pack_ref = serializers.CharField(max_length=100, required=False, allow_null=True)
    description = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    enabled = serializers.BooleanField(default=True)
    param_schema = Object(required=False, allow_null=True)
    out_schema = Object(required=False, allow_null=True)


class TriggerChange(serializers.Serializer):
    """Null: as it is."""

    label = serializers.CharField(max_length=200, required=False, allow_null=True)
    description = PatchedText()
    enabled = serializers.BooleanField(required=False, allow_null=True)
    param_schema = Object(required=False, allow_null=True)
    out_schema = Object(required=False, allow_null=True)


class TriggerSummary(serializers.Serializer):
    """A trigger in a list."""

    id = serializers.IntegerField()
    ref = serializers.CharField()
    pack_ref = serializers.CharField(source="pack.ref")
    label = serializers.CharField(source="title")
    description = serializers.CharField()
    type = serializers.CharField()
    enabled = serializers.BooleanField()
    is_adhoc = serializers.BooleanField()
    webhook_enabled = serializers.BooleanField()
    tags = serializers.ListField(child=serializers.CharField())
    reference_visibility = Constant("public")
    reference_allowed_pack_refs = Constant([])
    created = Timestamp()
    updated = Timestamp()


class TriggerDetail(TriggerSummary):
    """A trigger. Its webhook's key opens a door, so only those who may change the trigger see it."""

    pack = serializers.IntegerField(source="pack_id")
    param_schema = Object(source="parameters_schema")
    out_schema = Object(source="payload_schema")
    examples = serializers.JSONField()
    sensor = Constant(None)
    sensor_ref = Constant(None)
    webhook_key = serializers.SerializerMethodField()
    webhook_config = Object()

    def get_webhook_key(self, trigger: Trigger) -> str | None:
        principal: Principal | None = self.context.get("principal")
        return (
            trigger.webhook_key if principal and principal.is_person and may(principal, Role.EDITOR, trigger) else None
        )


class WebhookOptions(serializers.Serializer):
    """How strict the door is. What is not given goes back to its default; without `secret` the present one stays."""

    scheme = serializers.CharField(max_length=20, required=False, allow_null=True)
    secret = serializers.CharField(max_length=500, required=False, allow_null=True, allow_blank=True, write_only=True)
    header = serializers.CharField(max_length=100, required=False)
    tolerance = serializers.IntegerField(required=False, min_value=0, max_value=86_400)
    networks = serializers.ListField(child=serializers.CharField(max_length=50), required=False)
    rate_limit = serializers.IntegerField(required=False, min_value=1, max_value=1_000_000)
    max_bytes = serializers.IntegerField(required=False, min_value=1, max_value=64 * 1024 * 1024)
    dedup_header = serializers.CharField(max_length=100, required=False, allow_blank=True)
