"""The gate's requests and answers, as the wire has them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.access import exporting, reach
from apps.access.audit import CATEGORIES
from apps.access.models import ApiToken, AuditEntry, Identity
from apps.access.principals import Principal, Role
from apps.access.rights import rights_of_role
from attune.lib.api import CursorQuery, Id, Timestamp
from attune.lib.openapi import Constant, TextOrNull


class LoginRequest(serializers.Serializer):
    login = serializers.CharField(max_length=150, trim_whitespace=False)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)


class RefreshRequest(serializers.Serializer):
    refresh_token = serializers.CharField(max_length=200)


class TokenLoginRequest(serializers.Serializer):
    token = serializers.CharField(max_length=200)


class ChangePasswordRequest(serializers.Serializer):
    current_password = serializers.CharField(max_length=4096, trim_whitespace=False)
    new_password = serializers.CharField(max_length=4096, trim_whitespace=False)


class UserBrief(serializers.Serializer):
    id = serializers.IntegerField()
    login = serializers.CharField(source="username")
    display_name = serializers.CharField(source="first_name")


class SessionAnswer(serializers.Serializer):
    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds.")
    user = UserBrief()


class Right(serializers.Serializer):
    resource = serializers.CharField()
    actions = serializers.ListField(child=serializers.CharField())


class PackLimit(serializers.Serializer):
    pack = serializers.CharField(help_text="A ref, the beginning of one and *, or *.")
    role = serializers.CharField()


class Me(serializers.Serializer):
    """The person who asks."""

    id = serializers.IntegerField()
    login = serializers.CharField()
    display_name = serializers.CharField()
    auth_provider = serializers.CharField()
    is_local = serializers.BooleanField()
    can_change_password = serializers.BooleanField()
    role = serializers.CharField(allow_null=True)
    limited_to = PackLimit(many=True, allow_null=True, help_text="The only packs that one reaches; null: all.")
    assigned_permission_set_refs = serializers.ListField(child=serializers.CharField())
    effective_permissions = Right(many=True)


class MeChange(serializers.Serializer):
    display_name = serializers.CharField(max_length=150, allow_blank=True, allow_null=True, required=False)


class TokenRequest(serializers.Serializer):
    """A personal token. What is left out leaves it with all that its holder may do."""

    name = serializers.CharField(max_length=100, help_text="What it is for.")
    scope = serializers.ChoiceField(
        choices=[role.group for role in Role],
        required=False,
        allow_null=True,
        help_text="At most what this role may, and never more than its holder.",
    )
    packs = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        max_length=100,
        help_text="The only packs it reaches: refs, or beginnings with *.",
    )
    expires_in_days = serializers.IntegerField(min_value=1, max_value=3650, required=False, allow_null=True)


class TokenSummary(serializers.Serializer):
    """A personal token, without its text."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="How its text begins.")
    scope = TextOrNull()
    packs = serializers.ListField(child=serializers.CharField())
    created = Timestamp()
    expires_at = Timestamp(allow_null=True)
    last_used_at = Timestamp(allow_null=True)


class TokenMade(TokenSummary):
    """A new one; its text is shown this once."""

    token = serializers.SerializerMethodField()

    def get_token(self, row: ApiToken) -> str:
        return self.context["text"]


class Outcome(serializers.Serializer):
    message = serializers.CharField()
    success = serializers.BooleanField()


class AuthSettings(serializers.Serializer):
    authentication_enabled = serializers.BooleanField()
    local_password_enabled = serializers.BooleanField()
    local_password_visible_by_default = serializers.BooleanField()
    ldap_enabled = serializers.BooleanField()
    ldap_visible_by_default = serializers.BooleanField()
    oidc_enabled = serializers.BooleanField()
    oidc_visible_by_default = serializers.BooleanField()
    self_registration_enabled = serializers.BooleanField()
    oidc_provider_label = serializers.CharField(allow_null=True)


def me(principal: Principal) -> dict[str, Any]:
    """What a person is told about themselves."""
    user = principal.user
    assert user is not None, "only people are let in here"
    issuer = Identity.objects.filter(user_id=user.pk).values_list("issuer", flat=True).first()
    return {
        "id": user.pk,
        "login": user.get_username(),
        "display_name": user.first_name,
        "auth_provider": "local" if issuer is None else "ldap" if issuer == "ldap" else "oidc",
        "is_local": issuer is None,
        "can_change_password": user.has_usable_password(),
        "role": principal.role.group if principal.role else None,
        "limited_to": reach.limits(principal),
        "assigned_permission_set_refs": [principal.role.group] if principal.role else [],
        "effective_permissions": rights_of_role(principal.role),
    }


# The audit log -------------------------------------------------------------------------------------------------------
class AuditFilters(serializers.Serializer):
    """Which entries of the audit log."""

    category = serializers.ChoiceField(choices=list(CATEGORIES), required=False)
    event_type = serializers.CharField(required=False, help_text="For example rule.update or auth.login_failed.")
    outcome = serializers.ChoiceField(choices=AuditEntry.Outcome.values, required=False)
    actor_identity = Id(required=False)
    actor_login = serializers.CharField(required=False)
    resource_type = serializers.CharField(required=False, help_text="What stands before the dot of event_type.")
    resource_id = Id(required=False)
    resource_ref = serializers.CharField(required=False)
    request_id = serializers.CharField(required=False)
    http_status = serializers.IntegerField(required=False, min_value=100, max_value=599)
    http_method = serializers.CharField(required=False)
    http_path = serializers.CharField(required=False)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)


class AuditQuery(AuditFilters, CursorQuery):
    pass


class AuditExportQuery(AuditFilters):
    format = serializers.ChoiceField(choices=list(exporting.KINDS), default="csv")
    limit = serializers.IntegerField(min_value=1, max_value=exporting.MOST, default=exporting.MOST)


class AuditEventSummary(serializers.Serializer):
    """An entry of the audit log in a list."""

    id = serializers.IntegerField()
    created = Timestamp(source="at")
    category = serializers.ChoiceField(choices=list(CATEGORIES))
    event_type = serializers.CharField(source="action")
    outcome = serializers.ChoiceField(choices=AuditEntry.Outcome.values)
    actor_identity = serializers.IntegerField(source="identity", allow_null=True)
    actor_login = TextOrNull(source="actor")
    resource_type = serializers.SerializerMethodField()
    resource_ref = TextOrNull(source="target")
    request_id = TextOrNull(help_text="The X-Request-ID of the request that did it.")
    http_method = TextOrNull()
    http_path = TextOrNull()
    http_status = serializers.IntegerField(allow_null=True, help_text="Of what was refused.")

    def get_resource_type(self, entry: AuditEntry) -> str:
        return entry.action.partition(".")[0]


class AuditEventDetail(AuditEventSummary):
    """An entry of the audit log. `details` has what was there before and after."""

    resource_id = serializers.SerializerMethodField()
    actor_ip = TextOrNull(source="origin")
    actor_token_type = TextOrNull(source="came_with", help_text="session, token, execution or sensor.")
    actor_user_agent = TextOrNull(source="user_agent")
    duration_ms = Constant(None)
    correlation_chain = Constant(None)
    details = serializers.SerializerMethodField()

    def get_resource_id(self, entry: AuditEntry) -> int | None:
        return int(entry.target) if entry.target.isdecimal() and len(entry.target) < 19 else None

    def get_details(self, entry: AuditEntry) -> dict[str, Any]:
        return {"before": entry.before, "after": entry.after}


class AuditEventsAnswer(serializers.Serializer):
    """All entries of one request."""

    data = AuditEventDetail(many=True)
