"""Keys as the wire has them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.packs.models import Key
from attune.lib.api import PageQuery, Timestamp
from attune.lib.openapi import TextOrNull


class KeyRequest(serializers.Serializer):
    """A new key. `local_ref` gives the canonical ref; `ref` alone is kept as another name."""

    local_ref = serializers.CharField(max_length=63, required=False, allow_null=True)
    ref = serializers.CharField(max_length=300, required=False, allow_null=True)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, allow_null=True)
    owner_type = serializers.ChoiceField(choices=Key.Owner.choices, default=Key.Owner.SYSTEM)
    owner_pack_ref = serializers.CharField(max_length=200, required=False, allow_null=True)
    owner_action_ref = serializers.CharField(max_length=200, required=False, allow_null=True)
    owner_sensor_ref = serializers.CharField(max_length=200, required=False, allow_null=True)
    owner_identity_login = serializers.CharField(max_length=150, required=False, allow_null=True)
    value = serializers.JSONField(allow_null=True)
    encrypted = serializers.BooleanField(default=True)
    granted_only = serializers.BooleanField(
        default=False, help_text="Of a system key: only who it is granted to may have it, not everybody who names it."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("local_ref") and not attrs.get("ref"):
            raise serializers.ValidationError({"local_ref": ["Give local_ref, or ref."]})
        return attrs


class KeyChange(serializers.Serializer):
    value = serializers.JSONField(required=False, allow_null=True)
    name = serializers.CharField(max_length=200, required=False, allow_null=True)
    encrypted = serializers.BooleanField(required=False, allow_null=True)
    granted_only = serializers.BooleanField(required=False, allow_null=True)


class KeyQuery(PageQuery):
    owner_type = serializers.ChoiceField(choices=Key.Owner.choices, required=False)
    owner = serializers.CharField(required=False)


class KeyReadQuery(serializers.Serializer):
    decrypt = serializers.BooleanField(required=False, allow_null=True, default=None)


class KeySummary(serializers.Serializer):
    """A key without its value."""

    id = serializers.IntegerField()
    ref = serializers.CharField()
    local_ref = serializers.CharField()
    alias = TextOrNull()
    name = serializers.CharField()
    owner_type = serializers.ChoiceField(choices=Key.Owner.choices)
    owner = TextOrNull(source="owner_ref")
    encrypted = serializers.BooleanField()
    granted_only = serializers.BooleanField()
    last_read_at = Timestamp(allow_null=True)
    last_read_by = TextOrNull()
    reads = serializers.IntegerField()
    created = Timestamp()


class KeyDetail(KeySummary):
    """A key; its value only for those who may decrypt it, else null."""

    value = serializers.SerializerMethodField()
    owner_pack_ref = serializers.SerializerMethodField()
    owner_action_ref = serializers.SerializerMethodField()
    owner_sensor_ref = serializers.SerializerMethodField()
    owner_identity = serializers.IntegerField(source="owner_user_id", allow_null=True)
    updated = Timestamp()

    def get_value(self, key: Key) -> Any:
        return self.context.get("value")

    def get_owner_pack_ref(self, key: Key) -> str | None:
        return key.owner_ref if key.owner_type == Key.Owner.PACK else None

    def get_owner_action_ref(self, key: Key) -> str | None:
        return key.owner_ref if key.owner_type == Key.Owner.ACTION else None

    def get_owner_sensor_ref(self, key: Key) -> str | None:
        return key.owner_ref if key.owner_type == Key.Owner.SENSOR else None


class GrantRequest(serializers.Serializer):
    grantee = serializers.CharField(max_length=200, help_text="The ref of a pack, an action or a sensor.")


class Grant(serializers.Serializer):
    """A pack or component that may have the key although it is not its own."""

    grantee = serializers.CharField()
    granted_by = TextOrNull()
    created = Timestamp()


class Use(serializers.Serializer):
    """A place that names the key."""

    kind = serializers.ChoiceField(choices=["action", "pack", "rule"])
    ref = serializers.CharField()
    place = serializers.CharField()


class KeyUses(serializers.Serializer):
    """Where a key is named, and who read it last."""

    ref = serializers.CharField()
    uses = Use(many=True)
    last_read_at = Timestamp(allow_null=True)
    last_read_by = TextOrNull()
    reads = serializers.IntegerField()
