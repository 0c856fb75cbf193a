"""Rules, the events they look at, a rule's verdicts on them, and what keeps rules from acting too often or at all."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django_jsonform.models.fields import JSONField as JSONFormField

from attune.lib.models import Timestamped


def let_go(collector: Any, field: Any, rules: Any, using: str) -> None:
    """When the owner of rules is deleted: nobody's right is left for them to run with."""
    why = "Its owner was deleted, and a rule runs with the right of its owner; enable it again to take it over."
    collector.add_field_update(field, None, rules)
    collector.add_field_update(Rule._meta.get_field("barred"), why, rules)
    collector.add_field_update(Rule._meta.get_field("updated"), timezone.now(), rules)


class Rule(Timestamped):
    """When this trigger's event meets these criteria, ask for that action with these parameters."""

    ref = models.CharField(max_length=200, unique=True)
    pack = models.ForeignKey("packs.Pack", models.CASCADE, related_name="rules")
    label = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    is_adhoc = models.BooleanField(default=True)  # False: it came with its pack's files
    trigger_ref = models.CharField(max_length=200)
    trigger = models.ForeignKey("packs.Trigger", models.SET_NULL, null=True, blank=True, related_name="rules")
    trigger_params = JSONFormField(default=dict, blank=True)
    criteria = models.JSONField(default=dict, blank=True)  # as saved, in any of the four notations
    action_ref = models.CharField(max_length=200, db_index=True)
    action = models.ForeignKey("packs.Action", models.SET_NULL, null=True, blank=True, related_name="rules")
    action_params = JSONFormField(default=dict, blank=True)  # values and templates
    tags = models.JSONField(default=list, blank=True)
    permission_set_refs = models.JSONField(default=list, blank=True)
    trace_tag_template = models.CharField(max_length=500, blank=True)
    # Storm control; empty objects where there is none. See `controls`.
    throttle = models.JSONField(default=dict, blank=True)  # {"seconds", "limit"?, "key"?}
    debounce = models.JSONField(default=dict, blank=True)  # {"seconds", "key"?}
    dedup = models.JSONField(default=dict, blank=True)  # {"seconds", "key"}
    revision = models.PositiveIntegerField(default=1)  # counts its changes
    active_since = models.DateTimeField()  # when it was last enabled or its trigger part changed
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, let_go, null=True, blank=True, related_name="rules")
    owner_packs = models.JSONField(default=list, blank=True)  # what the token was limited to that they saved it with
    barred = models.CharField(max_length=500, blank=True)  # why its owner may not run its action; see owning.py
    source = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["ref"]
        indexes = [  # all that the stamp of a trigger's rules is made of: see rulesets
            models.Index(fields=["trigger_ref", "enabled", "updated", "revision", "id"], name="rule_stamp"),
        ]

    def __str__(self) -> str:
        return self.ref

    @property
    def is_restrained(self) -> bool:
        """Whether it has storm control: then only a worker decides on its events."""
        return bool(self.throttle or self.debounce or self.dedup)


class RuleSet(models.Model):
    """The rules of a trigger as they were at one time, where they are many: what an event was measured against."""

    trigger_ref = models.CharField(max_length=200)
    stamp = models.CharField(max_length=300)
    size = models.PositiveIntegerField()  # rules that looked
    rules = models.BinaryField()  # see rulesets.packed
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["trigger_ref", "stamp"], name="one_rule_set_per_stamp")]

    def __str__(self) -> str:
        return f"{self.size} rules of {self.trigger_ref}"


class Event(models.Model):
    """Something that happened: one occurrence of a trigger."""

    trigger_ref = models.CharField(max_length=200)
    trigger = models.ForeignKey(
        "packs.Trigger", models.SET_NULL, null=True, blank=True, related_name="events", db_index=False
    )
    payload = models.JSONField(default=dict)
    config = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=200, blank=True)  # sensor core.timer_sensor, webhook, user anna, command …
    rule = models.ForeignKey(  # only it looks
        Rule, models.SET_NULL, null=True, blank=True, related_name="own_events", db_index=False
    )
    rule_ref = models.CharField(max_length=200, blank=True)
    dedup_key = models.CharField(max_length=300, blank=True)
    trace_tag = models.CharField(max_length=200, blank=True)
    replay_of = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="replays", db_index=False
    )
    depth = models.PositiveIntegerField(default=0)  # how many executions led to it, one after the other
    caused_by = models.BigIntegerField(null=True, blank=True)  # the execution that sent it
    created = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True, blank=True)
    held_by = models.BigIntegerField(null=True, blank=True)  # the pause that kept its rules from looking
    passed_over = models.CharField(max_length=10, blank=True)  # skipped, missed: no rule shall look, says its sensor
    suppressed = models.BooleanField(default=False)  # by some rule's storm control
    # The verdicts that led to nothing, in one cheap record: [{"rule": id, "rule_ref", "revision", "reason"}], with
    # "verdict" and more where it is another one than "not_matched": suppressed, stopped, paused, skipped, missed.
    misses = models.JSONField(default=list, blank=True)
    # Where rules are many: all that looked. Those with neither an enforcement nor a miss were ruled out by the index.
    rule_set = models.ForeignKey(  # no constraint: what is kept beside an event must never keep it out
        RuleSet, models.DO_NOTHING, null=True, blank=True, related_name="events", db_constraint=False, db_index=False
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["trigger_ref", "id"], name="event_trigger"),
            models.Index(fields=["rule_ref", "id"], name="event_own_rule", condition=~models.Q(rule_ref="")),
            models.Index(fields=["trace_tag", "id"], name="event_trace", condition=~models.Q(trace_tag="")),
            models.Index(fields=["replay_of"], name="event_replay", condition=models.Q(replay_of__isnull=False)),
            models.Index(fields=["id"], name="event_unprocessed", condition=models.Q(processed_at=None)),
            models.Index(fields=["depth", "id"], name="event_depth", condition=models.Q(depth__gt=0)),
            models.Index(fields=["held_by", "id"], name="event_held", condition=models.Q(held_by__isnull=False)),
            models.Index(fields=["id"], name="event_passed_over", condition=~models.Q(passed_over="")),
            models.Index(fields=["id"], name="event_suppressed", condition=models.Q(suppressed=True)),
        ]

    def __str__(self) -> str:
        return f"{self.pk} {self.trigger_ref}"


class EventKey(models.Model):
    """A key under which an event was sent; the same key again within its life is the same event."""

    trigger_ref = models.CharField(max_length=200)
    key = models.CharField(max_length=300)
    event = models.ForeignKey(Event, models.CASCADE, related_name="keys")
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trigger_ref", "key"], name="one_event_per_key")]

    def __str__(self) -> str:
        return f"{self.trigger_ref} {self.key}"


class Enforcement(models.Model):
    """A rule's verdict on an event: it matched and asked for an execution, or it failed and says why."""

    class Verdict(models.TextChoices):
        MATCHED = "matched"
        ERROR = "error"

    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, blank=True, related_name="enforcements")
    rule_ref = models.CharField(max_length=200)
    rule_revision = models.PositiveIntegerField(default=1)
    trigger_ref = models.CharField(max_length=200)
    event = models.ForeignKey(Event, models.CASCADE, related_name="enforcements", db_index=False)  # see constraints
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    reason = models.TextField(blank=True)  # in words
    results = models.JSONField(default=list, blank=True)  # each comparison: path, operator, expected, actual, result
    action_ref = models.CharField(max_length=200)
    action_params = models.JSONField(default=dict, blank=True)  # as rendered, secrets masked
    execution = models.ForeignKey(
        "executions.Execution", models.SET_NULL, null=True, blank=True, related_name="enforcements"
    )
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["rule_ref", "id"], name="enforcement_rule"),
            models.Index(fields=["action_ref", "id"], name="enforcement_action"),
            models.Index(fields=["id"], name="enforcement_error", condition=models.Q(verdict="error")),
        ]
        constraints = [models.UniqueConstraint(fields=["event", "rule"], name="one_verdict_per_event_and_rule")]

    def __str__(self) -> str:
        return f"{self.rule_ref} on event {self.event_id}: {self.verdict}"


class Restraint(models.Model):
    """What a rule's throttle or dedup remembers of one key: the events that it acted on lately."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="restraints", db_index=False)  # see constraints
    control = models.CharField(max_length=10)  # throttle, dedup
    key = models.CharField(max_length=200, blank=True)
    hits = models.JSONField(default=list)  # [[seconds since 1970, event], …], oldest first
    until = models.DateTimeField(db_index=True)  # it can be forgotten then

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "control", "key"], name="one_restraint_per_key")]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.control} {self.key}"


class Debounce(models.Model):
    """An event that a rule will act on once no other of its key has come for a while."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="debounces", db_index=False)  # see constraints
    key = models.CharField(max_length=200, blank=True)
    event_id = models.BigIntegerField(db_index=True)  # the last one, which counts
    superseded_id = models.BigIntegerField(null=True)  # the one whose place was taken last
    first_id = models.BigIntegerField()
    count = models.PositiveIntegerField(default=1)  # events that it stands for
    due_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "key"], name="one_debounce_per_key")]

    def __str__(self) -> str:
        return f"{self.rule_id} waits on event {self.event_id}"


class Suppression(models.Model):
    """How many events a rule's storm control kept back in a few minutes."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="suppressions", db_index=False)  # see constraints
    since = models.DateTimeField(db_index=True)  # when those minutes began
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "since"], name="one_count_per_rule_and_time")]

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.count} since {self.since}"


class Pause(models.Model):
    """A time in which no rule looked at events."""

    class Held(models.TextChoices):
        """What is done at the end with the events that came meanwhile."""

        SKIP = "skip"
        PROCESS = "process"

    active = models.BooleanField(null=True, default=True, unique=True)  # null once it is over: only one can be on
    reason = models.CharField(max_length=500)
    paused_by = models.CharField(max_length=200)
    since = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)
    held = models.CharField(max_length=10, choices=Held.choices, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Paused by {self.paused_by}: {self.reason}"
