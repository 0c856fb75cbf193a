"""Weigh the rules of an event's trigger, keep each verdict, and ask for what the matching ones want: all or nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from apps.executions import services as executions
from apps.executions.models import Execution
from apps.executions.secrets import with_templates
from apps.packs import configs, lookup, sealing
from apps.packs.models import Action
from apps.rules import controls, halting, matching, rendering, rulesets, storm
from apps.rules.errors import TriggerChanged
from apps.rules.halting import PAUSE, Halt
from apps.rules.models import Enforcement, Event, Rule
from apps.rules.rendering.values import with_references
from attune.lib import crash, schemas, tallies
from attune.lib.errors import AttuneError
from attune.lib.json_values import storable, storable_text
from attune.lib.loglines import about
from attune.lib.plans import Guard, Plan, Step
from attune.lib.rows import Kept, moment, next_number

logger = logging.getLogger(__name__)


# The stamps of the rules that look at an event: in the same trip as the event.
_STAMPS = f"""(
        SELECT {{list_of}}({rulesets.STAMP_OF_RULE}) FROM {rulesets.LOOKING} AND (e.rule_ref = '' OR r.id = e.rule_id)
    )"""
_EVENT = f"""
    SELECT e.payload, e.config, e.created, e.trigger_ref, e.rule_id, e.rule_ref, e.trace_tag, e.depth,
        e.caused_by, {_STAMPS}, {PAUSE}
    FROM rules_event e WHERE e.id = %s AND e.processed_at IS NULL"""
_COMING = f"""
    SELECT {{number}}, {{stamps}}, {lookup.TRIGGER_STAMP}, {PAUSE}
    FROM (SELECT CAST(%s AS BIGINT) AS trigger_id, CAST(%s AS TEXT) AS trigger_ref, CAST(%s AS TEXT) AS rule_ref,
        CAST(%s AS BIGINT) AS rule_id) e"""
_rules = Kept("", lambda keys: Rule.objects.select_related("pack", "action__pack").filter(pk__in=keys))
# What makes a row that goes with an event, of that event's place in the plan.
Beside = Iterable[Callable[[Step], tuple[type[Model], Mapping[str, Any]]]]
SEALED = "sealed"  # in the `config` of an event whose payload has secrets: all of it, encrypted, and where they are
_WORDS = {True: "matched", False: "not_matched", None: "error"}


@dataclass(frozen=True)
class Decision:
    """What a rule made of an event. `matched` is None where it could not be told, or could not be acted upon.

    `keys` are of the rule's storm control, which is still to be asked; `note` is what else a miss says.
    """

    rule: Rule
    matched: bool | None
    reason: str
    results: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)  # as rendered, secret ones masked
    request: executions.Request | None = None
    keys: dict[str, str] = field(default_factory=dict)
    note: dict[str, Any] = field(default_factory=dict)


def enforce(event_id: int) -> None:
    """Decide on an event that nobody has decided on yet. Done again it does nothing: the event's row is the fence."""
    found = _undecided(event_id)
    if found is None:
        return
    event, rules, halt = found
    decisions = _decisions(rules, event, halt)
    if not any(d.keys for d in decisions):
        _write(event, decisions, halt)
        return
    with transaction.atomic():
        if not _write(event, _restrained(event, decisions), halt):
            transaction.set_rollback(True)  # somebody else decided, and has asked storm control already


def _write(event: Event, decisions: list[Decision], halt: Halt | None) -> bool:
    """Keep what was decided, unless somebody else did: then False."""
    misses = _misses(event, decisions)
    changes = {"processed_at": timezone.now(), "misses": misses, "rule_set": event.rule_set_id}
    changes["suppressed"] = is_suppressed(misses)
    if halt and decisions:
        changes["held_by"] = halt.pause
    plan = Plan(Guard(Event, changes, "id = %s AND processed_at IS NULL", (event.pk,)))
    steps = _verdicts(plan, event, event, decisions)
    crash.point("before-decision")
    if not plan.carry_out():
        return False
    crash.point("after-decision")
    _tally(decisions)
    transaction.on_commit(partial(_nudge, steps), robust=True)
    return True


def _nudge(steps: list[Step]) -> None:
    executions.nudge(cast(Execution, step.instance) for step in steps)


def _restrained(event: Event, decisions: list[Decision]) -> list[Decision]:
    """The decisions after storm control was asked; in a transaction, in which they must be written."""
    told, held_back = [], []
    for d in decisions:
        held = storm.hold(d.rule, event.pk, d.keys) if d.keys else None
        if held:
            held_back.append((d.rule, held))
            d = replace(d, matched=False, reason=held.reason, note=held.note, request=None)
        told.append(d)
    storm.count(held_back)
    return told


def act_late(event: Event, decision: Decision) -> None:
    """Keep one rule's verdict on an event that was decided on before, and ask for what it wants."""
    plan = Plan()
    steps = _verdicts(plan, event, event, [decision])
    plan.carry_out()
    transaction.on_commit(partial(_nudge, steps), robust=True)


def take_in(event: Event, beside: Beside, *, stamp: str) -> bool:
    """Keep a new event with the rows `beside` it, and with what its rules make of it; one that comes decided as it is.

    False if so many rules are to be weighed that its sender should not wait, or one has storm control: then it is kept
    for a worker to decide on.
    Raises TriggerChanged if the trigger has another stamp (empty: any will do) by now; then nothing is kept.
    """
    rules, halt = ([], None) if event.processed_at else _looking_at(event, stamp)
    decisions = _decisions(rules or [], event, halt)
    if rules is not None and not event.processed_at:
        event.processed_at, event.misses = timezone.now(), _misses(event, decisions)
        event.held_by = halt.pause if halt and decisions else None
    plan = Plan()
    row = plan.add(event)
    for make in beside:
        plan.insert(*make(row))
    steps = _verdicts(plan, event, row, decisions)
    crash.point("before-event")
    plan.carry_out()
    crash.point("after-event")
    _tally(decisions)
    transaction.on_commit(partial(_nudge, steps), robust=True)
    return rules is not None


def _decisions(rules: list[Rule], event: Event, halt: Halt | None) -> list[Decision]:
    if halt:
        return [Decision(rule, False, halt.reason, note=halt.note) for rule in rules]
    with about(event_id=event.pk):
        return [decide(rule, event) for rule in rules]


def _tally(decisions: list[Decision]) -> None:
    for decision in decisions:
        tallies.count("verdicts", decision.note.get("verdict") or _WORDS[decision.matched])


def _verdicts(plan: Plan, event: Event, row: Event | Step, decisions: list[Decision]) -> list[Step]:
    """Add the verdicts that become rows, and the executions they ask for, which are returned."""
    steps = []
    for d in decisions:
        if d.matched is False:
            continue
        if d.request:
            steps.append(executions.plan(d.request, plan))
        verdict = _enforcement(event, d) | {"event": row} | ({"execution": steps[-1]} if d.request else {})
        plan.insert(Enforcement, verdict)
    return steps


def _misses(event: Event, decisions: list[Decision]) -> list[dict[str, Any]]:
    """The verdicts that become no rows: of rules that did not match or were held back, or of the event's own, which is
    switched off."""
    misses = [
        {"rule": d.rule.pk, "rule_ref": d.rule.ref, "revision": d.rule.revision, "reason": d.reason[:500]} | d.note
        for d in decisions
        if d.matched is False
    ]
    if event.rule_ref and not decisions:
        reason = "This rule, the only one that this event was meant for, was disabled or gone when it came."
        misses = [{"rule": event.rule_id, "rule_ref": event.rule_ref, "revision": None, "reason": reason}]
    return storable(misses)


def is_suppressed(misses: Iterable[dict[str, Any]]) -> bool:
    """Whether storm control is among the reasons why rules did not act."""
    return any(miss.get("verdict") == "suppressed" for miss in misses)


def _enforcement(event: Event, decision: Decision) -> dict[str, Any]:
    rule = decision.rule
    return {
        "rule": rule,
        "rule_ref": rule.ref,
        "rule_revision": rule.revision,
        "trigger_ref": event.trigger_ref,
        "verdict": Enforcement.Verdict.MATCHED if decision.matched else Enforcement.Verdict.ERROR,
        "reason": storable_text(decision.reason),
        "results": storable(decision.results),
        "action_ref": rule.action_ref,
        "action_params": storable(decision.parameters),
    }


def _undecided(event_id: int) -> tuple[Event, list[Rule], Halt | None] | None:
    """The event, if nobody has decided on it, the rules to weigh for it, in the order of their refs, and what keeps
    them from it."""
    with connection.cursor() as cursor:
        cursor.execute(_EVENT.format(**rulesets.JSON[connection.vendor]), [event_id])
        row = cursor.fetchone()
    if row is None:
        return None
    payload, config, created, trigger_ref, rule_id, rule_ref, trace_tag, depth, caused_by, stamps, pause = row
    event = Event(
        pk=event_id,
        payload=json.loads(payload),
        config=json.loads(config),
        created=moment(created),
        trigger_ref=trigger_ref,
        rule_id=rule_id,
        rule_ref=rule_ref,
        trace_tag=trace_tag,
        depth=depth,
        caused_by=caused_by,
    )
    return event, _sorted(_to_weigh(event, json.loads(stamps or "[]"))), halting.halt_of(event, pause)


def _looking_at(event: Event, stamp: str) -> tuple[list[Rule] | None, Halt | None]:
    """The rules to weigh for a coming event, which gets its number, and what keeps them from it.

    None for the rules if that is a worker's business.
    """
    many = not event.rule_ref and rulesets.are_many(event.trigger_ref)
    with connection.cursor() as cursor:
        stamps_of = "NULL" if many else _STAMPS.format(**rulesets.JSON[connection.vendor])
        statement = _COMING.format(number=next_number(Event), stamps=stamps_of, **rulesets.JSON[connection.vendor])
        cursor.execute(statement, [event.trigger_id, event.trigger_ref, event.rule_ref, event.rule_id])
        event.pk, found, now, pause = cursor.fetchone()
    if stamp and stamp != now:
        raise TriggerChanged(f"Trigger {event.trigger_ref} was changed at this moment; send this again.")
    halt = halting.halt_of(event, pause)
    stamps = _to_weigh(event, json.loads(found or "[]"), many=many)
    if len(stamps) <= rulesets.FEW:
        rules = _sorted(stamps)
        if halt or not any(rule.is_restrained for rule in rules):
            return rules, halt
    event.rule_set_id = None
    return None, halt


def _to_weigh(event: Event, stamps: list[list[Any]], *, many: bool = False) -> list[list[Any]]:
    """The stamps of the rules that have to be weighed. Where they are many, the event is told which set they are of."""
    if not many and len(stamps) <= rulesets.FEW:
        return stamps
    stamps, event.rule_set_id = rulesets.to_weigh(event.trigger_ref, context_of(None, event))
    return stamps


def _sorted(stamps: list[list[Any]]) -> list[Rule]:
    """The rules of these stamps, in the order of their refs."""
    rules = _rules.of({stamp[0]: tuple(stamp[1:]) for stamp in stamps})
    return sorted(rules, key=lambda rule: rule.ref)


def decide(rule: Rule, event: Event) -> Decision:
    """A rule's decision on an event; writes nothing and never raises, so that one bad rule harms no other."""
    crash.point("amid-rules")
    try:
        context = context_of(rule, event)
        verdict = matching.evaluate(rule.criteria, context)
        if verdict.matched is not True:
            return Decision(rule, verdict.matched, verdict.error or verdict.reason, list(verdict.results))
        return _act(rule, event, context, verdict)
    except Exception:
        logger.exception("Rule %s failed on event %s.", rule.ref, event.pk, extra={"rule_ref": rule.ref})
        return Decision(rule, None, "Attune failed to evaluate this rule; the worker's log says why.")


def _act(rule: Rule, event: Event, context: dict[str, Any], verdict: matching.Verdict) -> Decision:
    """The rule matched: render the parameters and check the request."""
    results = list(verdict.results)
    action, parameters, key_slots = rule.action, {}, {}
    try:
        rendered = rendering.render_parameters(rule.action_params, _with_secrets(context, rule, event))
        parameters, key_slots = rendered.value, rendered.key_slots
        if action is None:
            raise AttuneError(f"There is no action {rule.action_ref}; install its pack or choose another action.")
        if rule.barred:
            raise AttuneError(rule.barred)
        tag = event.trace_tag
        if not tag and rule.trace_tag_template:
            tag = str(rendering.render(rule.trace_tag_template, context))[:200]
        request = executions.prepare(
            action,
            parameters=parameters,
            key_slots=key_slots,
            rule_ref=rule.ref,
            trigger_ref=event.trigger_ref,
            event_id=event.pk,
            trace_tag=tag,
            permission_set_refs=rule.permission_set_refs,
            depth=event.depth,
            caused_by=event.caused_by,
        )
        keys = controls.keys_of(rule, context) if rule.is_restrained else {}
    except (AttuneError, rendering.RenderingError) as error:
        return Decision(rule, None, str(error), results, _shown(action, with_templates(parameters, key_slots)))
    shown = with_templates(request.columns["parameters"], key_slots)
    return Decision(rule, True, verdict.reason, results, shown, request, keys)


def _with_secrets(context: dict[str, Any], rule: Rule, event: Event) -> dict[str, Any]:
    """The context with references in place of the masks, for parameters: the only place that secrets may go to."""
    if SEALED in event.config:
        kept, about_it = event.config[SEALED], sealing.payload(event.trigger_ref)
        payload = with_references(event.payload, kept["text"], about_it, kept["places"])
        event_names = context["event"] | {"payload": payload}
        context = context | {"payload": payload, "trigger": rendering.TriggerPayload(payload), "event": event_names}
    if rule.pack.sealed_config:
        sealed, places = rule.pack.sealed_config, configs.secret_places(rule.pack)
        config = with_references(context["config"], sealed, sealing.config(rule.pack.ref), places)
        context = context | {"config": config, "pack": {"config": config}}
    return context


def _shown(action: Action | None, parameters: Any) -> dict[str, Any]:
    """Parameters that were refused, as they may be kept: without the secret ones."""
    if not isinstance(parameters, dict):
        return {}
    return schemas.mask(parameters, action.parameters_schema) if action else parameters


def context_of(rule: Rule | None, event: Event) -> dict[str, Any]:
    """What criteria and templates see; for a webhook's event also its headers, as `event.headers`.

    Without a rule, what is the same for all of them.
    """
    context = rendering.build_context(
        payload=event.payload,
        event_id=event.pk,
        trigger_ref=event.trigger_ref,
        created=event.created,
        rule_ref=rule.ref if rule else "",
        rule_id=rule.pk if rule else None,
        pack_config=rule.pack.effective_config if rule else None,
        now=timezone.now(),
    )
    context["event"]["headers"] = event.config.get("headers", {}) if isinstance(event.config, dict) else {}
    return context
