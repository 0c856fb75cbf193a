"""Packs and runtimes as the wire has them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.packs.models import Pack, Runtime
from attune.lib import schemas
from attune.lib.api import PageQuery, Timestamp
from attune.lib.openapi import Constant, Object, PatchedText, TextOrNull
from attune.lib.refs import pack_of


class PackRequest(serializers.Serializer):
    """A new ad-hoc pack: a home for rules and triggers made in forms."""

    ref = serializers.CharField(max_length=100)
    label = serializers.CharField(max_length=200)
    version = serializers.CharField(max_length=60, default="0.1.0")
    description = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    conf_schema = Object(required=False, allow_null=True)
    config = Object(required=False, allow_null=True)
    meta = Object(required=False, allow_null=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=100), required=False, allow_null=True)


class PackChange(serializers.Serializer):
    """What may change: of a pack from a folder only its configuration and whether it is enabled. Null: as it is."""

    label = serializers.CharField(max_length=200, required=False, allow_null=True)
    version = serializers.CharField(max_length=60, required=False, allow_null=True)
    description = PatchedText()
    conf_schema = Object(required=False, allow_null=True)
    config = Object(required=False, allow_null=True)
    meta = Object(required=False, allow_null=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=100), required=False, allow_null=True)
    enabled = serializers.BooleanField(required=False, allow_null=True)


class RegisterRequest(serializers.Serializer):
    path = serializers.CharField(max_length=1000, help_text="A folder on the server.")


class SearchQuery(PageQuery):
    q = serializers.CharField(required=False, help_text="Part of the ref, label or description.")


class PackSummary(serializers.Serializer):
    """A pack in a list."""

    id = serializers.IntegerField()
    ref = serializers.CharField()
    label = serializers.CharField()
    description = serializers.CharField()
    version = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    is_standard = serializers.BooleanField(source="system")
    is_adhoc = serializers.BooleanField()
    enabled = serializers.BooleanField()
    created = Timestamp()
    updated = Timestamp()


class PackDetail(PackSummary):
    """A pack; secret values of its configuration are masked."""

    author = TextOrNull()
    email = TextOrNull()
    license = TextOrNull()
    homepage = TextOrNull()
    conf_schema = Object()
    config = serializers.SerializerMethodField(help_text="The operator's own values.")
    effective_config = serializers.SerializerMethodField(help_text="With the defaults filled in.")
    meta = Object()
    dependencies = serializers.SerializerMethodField()
    runtime_deps = serializers.ListField(child=serializers.CharField())
    testing = Object()
    path = TextOrNull()
    digest = TextOrNull()
    loaded_at = Timestamp(allow_null=True)
    action_count = serializers.IntegerField(source="actions.count")
    trigger_count = serializers.IntegerField(source="triggers.count")
    sensor_count = serializers.IntegerField(source="sensors.count")
    rule_count = serializers.IntegerField(source="rules.count")
    worker_selector = Constant({})
    worker_affinity = Constant({})
    worker_tolerations = Constant([])

    def get_config(self, pack: Pack) -> dict[str, Any]:
        return masked(pack.config, pack.conf_schema)

    def get_effective_config(self, pack: Pack) -> dict[str, Any]:
        return masked(pack.effective_config, pack.conf_schema)

    def get_dependencies(self, pack: Pack) -> list[str]:
        given = pack.dependencies.get("packs", []) if isinstance(pack.dependencies, dict) else pack.dependencies
        return [str(dependency) for dependency in given or []]


class Registered(serializers.Serializer):
    """A pack that was loaded from a folder on the server."""

    pack = PackDetail()
    tests_skipped = serializers.BooleanField()
    warnings = serializers.ListField(child=Object())
    added = serializers.ListField(child=serializers.CharField())
    changed = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())


class RuntimeSummary(serializers.Serializer):
    """A runtime in a list."""

    id = serializers.IntegerField()
    ref = serializers.CharField()
    name = serializers.CharField()
    description = TextOrNull()
    pack_ref = serializers.SerializerMethodField()
    version = TextOrNull()
    available = serializers.BooleanField()
    created = Timestamp()
    updated = Timestamp()

    def get_pack_ref(self, runtime: Runtime) -> str:
        return pack_of(runtime.ref)


class RuntimeDetail(RuntimeSummary):
    execution_config = Object()
    distributions = Constant({})
    installation = Constant({})
    pack = Constant(None)
    path = TextOrNull()
    problem = TextOrNull()
    detected_at = Timestamp(allow_null=True)


def masked(config: Any, schema: Any) -> dict[str, Any]:
    """A configuration as anybody may see it."""
    return schemas.mask(config or {}, schema) if isinstance(schema, dict) and schema else config or {}
