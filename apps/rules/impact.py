"""Which rules a new version of a pack would break: asked before it is used, so that nobody finds out by night."""

from __future__ import annotations

from django.db.models import Q

from apps.packs.installing.impact import Break, Change
from apps.rules.checking import parameter_faults
from apps.rules.models import Rule


def broken_rules(change: Change) -> list[Break]:
    """The enabled rules whose action or trigger would be gone, or would no longer take their parameters.

    Rules that come with the pack's own files are left out: they change with it.
    """
    rules = Rule.objects.filter(Q(action_ref__in=change.actions) | Q(trigger_ref__in=change.triggers), enabled=True)
    rules = rules.exclude(pack__ref=change.pack_ref, is_adhoc=False).select_related("action", "trigger")
    return [
        Break("rule", rule.ref, "; ".join(reasons))
        for rule in rules.order_by("ref")
        if (reasons := [*_of_action(rule, change), *_of_trigger(rule, change)])
    ]


def _of_action(rule: Rule, change: Change) -> list[str]:
    if rule.action_ref not in change.actions:
        return []
    schema = change.actions[rule.action_ref]
    if schema is None:
        return [f"its action {rule.action_ref} would be gone"]
    present = rule.action.parameters_schema if rule.action else None
    before = parameter_faults("action_params", rule.action_params, present)
    return _new(parameter_faults("action_params", rule.action_params, schema), before)


def _of_trigger(rule: Rule, change: Change) -> list[str]:
    if rule.trigger_ref not in change.triggers:
        return []
    schema = change.triggers[rule.trigger_ref]
    if schema is None:
        return [f"its trigger {rule.trigger_ref} would be gone"]
    present = rule.trigger.parameters_schema if rule.trigger else None
    before = parameter_faults("trigger_params", rule.trigger_params, present)
    return _new(parameter_faults("trigger_params", rule.trigger_params, schema), before)


def _new(after: list[dict[str, str]], before: list[dict[str, str]]) -> list[str]:
    return [f"{fault['path']}: {fault['message']}" for fault in after if fault not in before]
