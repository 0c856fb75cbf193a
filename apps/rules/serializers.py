"""Rules, events and enforcements as the wire has them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rest_framework import serializers

from apps.access.models import AuditEntry
from apps.rules import history, storm, verdicts
from apps.rules.events import how_it_came
from apps.rules.models import Enforcement, Event, Pause, Rule
from attune.lib.api import CursorQuery, Id, PageQuery, Timestamp
from attune.lib.openapi import Constant, Object, TextOrNull


class WithAliases(serializers.Serializer):
    """Takes other spellings of its fields, and null as good as absent."""

    aliases: dict[str, str] = {}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            data = {name: value for name, value in data.items() if value is not None}
            for alias, name in self.aliases.items():
                if alias in data:
                    data.setdefault(name, data[alias])
        return super().to_internal_value(data)


class Criteria(serializers.JSONField):
    """Criteria in any of the four notations: an object or a list."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict | list):
            raise serializers.ValidationError("Criteria are an object, or a list of objects that must all be met.")
        return super().to_internal_value(data)


def conditions_of(criteria: Any) -> dict[str, Any]:
    """Criteria as the SDK can read them: always an object."""
    if isinstance(criteria, list):
        return {"all": criteria}
    return criteria if isinstance(criteria, dict) else {}


# Rules ---------------------------------------------------------------------------------------------------------------
class RuleChange(WithAliases):
    aliases = {"conditions": "criteria", "trigger": "trigger_ref", "action": "action_ref"}

    label = serializers.CharField(max_length=200, required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True)
    trigger_ref = serializers.CharField(max_length=200, required=False)
    trigger_params = Object(required=False)
    criteria = Criteria(required=False)
    action_ref = serializers.CharField(max_length=200, required=False)
    action_params = Object(required=False)
    enabled = serializers.BooleanField(required=False)
    tags = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    permission_set_refs = serializers.ListField(child=serializers.CharField(max_length=200), required=False)
    trace_tag_template = serializers.CharField(max_length=500, required=False, allow_blank=True)
    throttle = Object(required=False, help_text="{seconds, limit?, key?}: act on that many events within that time.")
    debounce = Object(required=False, help_text="{seconds, key?}: act on the last event, once none came for so long.")
    dedup = Object(required=False, help_text="{seconds, key}: act on one event of a key within that time.")


class RuleRequest(RuleChange):
    ref = serializers.CharField(max_length=200)
    pack_ref = serializers.CharField(
        max_length=100, required=False, help_text="Omitted: the part of ref before the dot."
    )
    trigger_ref = serializers.CharField(max_length=200)
    action_ref = serializers.CharField(max_length=200)


class RuleQuery(PageQuery):
    q = serializers.CharField(required=False)
    pack_ref = serializers.CharField(required=False)
    action_ref = serializers.CharField(required=False)
    trigger_ref = serializers.CharField(required=False)
    enabled = serializers.BooleanField(required=False, allow_null=True, default=None)


class RuleSummary(serializers.Serializer):
    """A rule in a list."""

    id = serializers.IntegerField()
    ref = serializers.CharField()
    label = serializers.CharField()
    description = serializers.CharField()
    pack_ref = serializers.CharField(source="pack.ref")
    enabled = serializers.BooleanField()
    is_adhoc = serializers.BooleanField()
    trigger_ref = serializers.CharField()
    trigger_params = Object()
    action_ref = serializers.CharField()
    action_params = Object()
    permission_set_refs = serializers.ListField(child=serializers.CharField())
    trace_tag_template = TextOrNull()
    throttle = Object()
    debounce = Object()
    dedup = Object()
    sensor_worker_selector = Constant({})
    sensor_worker_affinity = Constant({})
    sensor_worker_tolerations = Constant([])
    tags = serializers.ListField(child=serializers.CharField())
    created = Timestamp()
    updated = Timestamp()


class RuleDetail(RuleSummary):
    """A rule. `criteria` is as it was saved, `conditions` the same as an object."""

    pack = serializers.IntegerField(source="pack_id")
    trigger = serializers.IntegerField(source="trigger_id", allow_null=True)
    action = serializers.IntegerField(source="action_id", allow_null=True)
    criteria = serializers.JSONField()
    conditions = serializers.SerializerMethodField()
    owner_identity = serializers.IntegerField(source="owner_id", allow_null=True)
    barred = TextOrNull(help_text="Why it may not act: its owner may not run its action.")
    revision = serializers.IntegerField()
    suppressed_last_hour = serializers.SerializerMethodField(help_text="Events that its storm control held back.")
    suppressed_last_day = serializers.SerializerMethodField()

    def get_suppressed_last_hour(self, rule: Rule) -> int:
        return storm.suppressed_since(rule, timedelta(hours=1)) if rule.is_restrained else 0

    def get_suppressed_last_day(self, rule: Rule) -> int:
        return storm.suppressed_since(rule, timedelta(days=1)) if rule.is_restrained else 0

    def get_conditions(self, rule: Rule) -> dict[str, Any]:
        return conditions_of(rule.criteria)


class RuleRevision(serializers.Serializer):
    """A rule as one change left it, and what that change was."""

    revision = serializers.IntegerField(source="number")
    at = Timestamp()
    actor = serializers.CharField()
    changes = Object(help_text="{part: {before, after}}; empty for a rule's first revision.")
    restored = serializers.IntegerField(allow_null=True, help_text="The revision that this change brought back.")
    rule = Object(help_text="All of it that can be changed, as it was then.")
    request_id = TextOrNull()
    audit_event = serializers.IntegerField(source="entry")

    def to_representation(self, entry: AuditEntry) -> dict[str, Any]:
        return super().to_representation(history.revision_of(entry))


class RestoreRequest(serializers.Serializer):
    revision = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class PauseRequest(serializers.Serializer):
    reason = serializers.CharField(max_length=500, help_text="Others will read it.")


class ResumeQuery(serializers.Serializer):
    held = serializers.ChoiceField(
        choices=Pause.Held.values, default="skip", help_text="What becomes of events that came meanwhile."
    )


class PauseState(serializers.Serializer):
    """Whether all rules are paused, and how many events that holds (counted to 10,000)."""

    paused = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True)
    paused_by = serializers.CharField(allow_null=True)
    since = Timestamp(allow_null=True)
    held_events = serializers.IntegerField()


class RuleTestRequest(WithAliases):
    """Which event: one typed as `payload`, or a stored one by its number."""

    payload = serializers.JSONField(required=False)
    event_id = Id(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("payload" in attrs) == ("event_id" in attrs):
            raise serializers.ValidationError("Give either payload or event_id.")
        return attrs


class DraftTestRequest(RuleTestRequest):
    aliases = {"conditions": "criteria"}

    trigger_ref = serializers.CharField(max_length=200)
    criteria = Criteria(default=dict)
    action_ref = serializers.CharField(max_length=200, required=False)
    action_params = Object(default=dict)


class RuleTestResult(serializers.Serializer):
    matched = serializers.BooleanField(allow_null=True, help_text="null: it could not be told; see error.")
    reason = serializers.CharField()
    criteria = serializers.ListField(child=Object(), help_text="path, operator, expected, actual, result.")
    action_params = Object(allow_null=True)
    error = serializers.CharField(allow_null=True)


# Events --------------------------------------------------------------------------------------------------------------
class EventRequest(WithAliases):
    aliases = {"trigger_type": "trigger_ref", "trigger": "trigger_ref"}

    trigger_ref = serializers.CharField(max_length=200)
    payload = serializers.JSONField(default=dict)
    config = Object(default=dict)
    trigger_instance_id = serializers.CharField(
        max_length=210, required=False, allow_blank=True, help_text="rule_<id> or rule_<ref>: only that rule looks."
    )
    rule_ref = serializers.CharField(max_length=200, required=False, allow_blank=True)
    trace_tag = serializers.CharField(max_length=200, default="", allow_blank=True)
    dedup_key = serializers.CharField(
        max_length=300, default="", allow_blank=True, help_text="The same key again within a day is the same event."
    )


class EventQuery(CursorQuery):
    trigger = Id(required=False)
    trigger_ref = serializers.CharField(required=False)
    rule_ref = serializers.CharField(required=False)
    source = serializers.CharField(required=False)
    trace_tag = serializers.CharField(required=False)
    suppressed = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Whether storm control kept a rule from acting on it."
    )
    passed_over = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Whether its sensor said that no rule shall look."
    )


class EventSummary(serializers.Serializer):
    """An event; older clients read its payload in lists, too."""

    id = serializers.IntegerField()
    trigger = serializers.IntegerField(source="trigger_id", allow_null=True)
    trigger_ref = serializers.CharField()
    has_payload = serializers.SerializerMethodField()
    payload = Object()
    rule = serializers.IntegerField(source="rule_id", allow_null=True)
    rule_ref = TextOrNull()
    source = Constant(None)
    source_ref = serializers.SerializerMethodField(help_text="The sensor's ref, else who or what sent it.")
    trace_tag = TextOrNull()
    replay_of = serializers.IntegerField(source="replay_of_id", allow_null=True)
    depth = serializers.IntegerField(help_text="How many executions led to it, one after the other.")
    caused_by = serializers.IntegerField(allow_null=True, help_text="The execution that sent it.")
    suppressed = serializers.BooleanField(help_text="Some rule's storm control held it back, or still does.")
    passed_over = TextOrNull(help_text="skipped or missed: a time of a timer that did not fire; no rule looked.")
    processed_at = Timestamp(allow_null=True)
    created = Timestamp()

    def get_source_ref(self, event: Event) -> str | None:
        return event.source.removeprefix("sensor ") or None

    def get_has_payload(self, event: Event) -> bool:
        return bool(event.payload)


class Origin(Object):
    """How an event came in, without what is encrypted there."""

    def get_attribute(self, instance: Any) -> Any:
        return how_it_came(instance)


class EventDetail(EventSummary):
    config = Origin()
    dedup_key = TextOrNull()


class Verdict(serializers.Serializer):
    """What one rule made of an event."""

    rule = serializers.IntegerField(allow_null=True)
    rule_ref = serializers.CharField()
    revision = serializers.IntegerField(required=False)
    verdict = serializers.ChoiceField(choices=verdicts.WORDS)
    reason = serializers.CharField()
    results = serializers.ListField(child=Object())
    action_ref = serializers.CharField(required=False)
    action_params = Object(required=False)
    enforcement = serializers.IntegerField(allow_null=True)
    execution = serializers.IntegerField(allow_null=True)
    control = serializers.CharField(required=False, help_text="What suppressed it: throttle, debounce or dedup.")
    key = serializers.CharField(required=False)
    until = serializers.CharField(required=False, help_text="When the control is free again, or its wait is over.")
    by_event = serializers.IntegerField(required=False, allow_null=True, help_text="The event that counted instead.")
    by_execution = serializers.IntegerField(required=False, allow_null=True, help_text="What that one ran.")


# Enforcements --------------------------------------------------------------------------------------------------------
class EnforcementQuery(CursorQuery):
    rule = Id(required=False)
    event = Id(required=False)
    status = serializers.ChoiceField(choices=["created", "processed", "disabled"], required=False)
    verdict = serializers.ChoiceField(choices=Enforcement.Verdict.choices, required=False)
    trigger_ref = serializers.CharField(required=False)
    rule_ref = serializers.CharField(required=False)
    trace_tag = serializers.CharField(required=False)


class EnforcementSummary(serializers.Serializer):
    """An enforcement in a list. On the wire all of ours are `processed`; `verdict` says how."""

    id = serializers.IntegerField()
    rule = serializers.IntegerField(source="rule_id", allow_null=True)
    rule_ref = serializers.CharField()
    trigger_ref = serializers.CharField()
    event = serializers.IntegerField(source="event_id")
    status = Constant("processed")
    condition = Constant("all")
    verdict = serializers.ChoiceField(choices=Enforcement.Verdict.choices)
    reason = serializers.CharField()
    action_ref = serializers.CharField()
    execution = serializers.IntegerField(source="execution_id", allow_null=True)
    trace_tag = TextOrNull(source="event.trace_tag")
    created = Timestamp()


class EnforcementDetail(EnforcementSummary):
    conditions = serializers.SerializerMethodField(help_text="The criteria, if the rule is still as it was then.")
    config = Object(source="action_params", help_text="The rendered parameters, under the name that the SDK reads.")
    action_params = Object()
    payload = Object(source="event.payload")
    results = serializers.ListField(child=Object())
    rule_revision = serializers.IntegerField()
    resolved_at = Timestamp(source="created")

    def get_conditions(self, enforcement: Enforcement) -> dict[str, Any]:
        rule = enforcement.rule
        return conditions_of(rule.criteria) if rule and rule.revision == enforcement.rule_revision else {}
