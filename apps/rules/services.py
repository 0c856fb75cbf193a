"""The front door of the rules room: let an event in, keep rules, ask what a rule would do, pause them all, sweep up."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.access import audit, reach
from apps.access.principals import Role
from apps.packs.models import Action, Pack, Trigger
from apps.rules import enforcing, history, matching, owning, pausing, pressure, quiet, recovery, tasks, verdicts
from apps.rules.checking import faults_of, literal_secrets
from apps.rules.errors import RefTaken, RuleInvalid, RuleReadOnly
from apps.rules.events import Beside, Emitted, check_payload, find_trigger, keep, open_payload, sealed
from apps.rules.models import Event, Rule
from apps.rules.pausing import pause_rules, resume_rules
from apps.rules.storm import forget
from apps.rules.verdicts import verdicts_of
from attune.lib import crash, queues, tallies
from attune.lib.refs import COMPONENT_REF, pack_of

__all__ = ["forget", "pause_rules", "resume_rules", "verdicts_of"]  # of what is imported, what this door hands on

logger = logging.getLogger(__name__)

SOURCES = frozenset({"webhook", "sensor", "user", "execution", "replay"})  # the first word of an event's source


def emit_event(
    trigger: Trigger | str,
    *,
    payload: Any,
    source: str = "",
    rule: Rule | None = None,
    dedup_key: str = "",
    trace_tag: str = "",
    config: dict[str, Any] | None = None,
    replay_of: Event | None = None,
    beside: Beside = (),
    stamp: str = "",
    depth: int = 0,
    caused_by: int | None = None,
    passed_over: str = "",
    reason: str = "",
) -> Emitted:
    """Let an event in: it is committed when this returns (or with the caller's transaction), decided on then or soon.

    `rule`: only that rule looks at it. `dedup_key`: a second event of the trigger with that key within a day is the
    same event. `beside`: makers of rows that are written with a new event or not at all. `stamp`: of a trigger that
    was remembered and not looked at (see `lookup`); TriggerChanged if it is no longer so. `caused_by`: the execution
    that sends it, `depth`: how many led to it, that one included. `passed_over` (skipped, missed): no rule looks, and
    `reason` says why; it is only to be kept that this was due.
    Raises Overloaded, UnknownTrigger, TriggerDisabled, PayloadInvalid; then nothing is kept.
    """
    pressure.check()
    trigger = find_trigger(trigger)
    emitted = keep(
        trigger,
        dedup_key=dedup_key[:300],
        **sealed(trigger, check_payload(trigger, payload), config or {}),
        source=source[:200],
        rule=rule,
        rule_ref=rule.ref if rule else "",
        trace_tag=trace_tag[:200],
        replay_of=replay_of,
        beside=beside,
        stamp=stamp,
        depth=depth,
        caused_by=caused_by,
        **(verdicts.of_passed_over(passed_over, rule, reason) if passed_over else {}),
    )
    if emitted.created and passed_over:
        tallies.count("verdicts", passed_over)
    elif emitted.created:
        tallies.count("events", trigger.type, _kind(source))
    if not emitted.decided:
        transaction.on_commit(partial(nudge, [emitted.event.pk]), robust=True)
    return emitted


def _kind(source: str) -> str:
    """Where an event came from, in a word of ours."""
    word = source.partition(" ")[0]
    return word if word in SOURCES else "other"


def nudge(ids: list[int]) -> None:
    """Ring the doorbell. A broker that does not answer costs a sweep's delay, no more."""
    for pk in ids:
        try:
            tasks.process_event.send(pk)
            crash.point("after-event-hint")
        except Exception as error:
            logger.warning(
                "The broker did not take event %s (%s); the next sweep will find it.", pk, error, extra={"event_id": pk}
            )
            return


def replay_event(event: Event, *, actor: Any) -> Event:
    """The same event once more, as a new one that points back: every rule as it is now looks at it."""
    with transaction.atomic():
        new = emit_event(
            event.trigger_ref,
            payload=open_payload(event),
            config=event.config,
            source=f"replay by {audit.actor_name(actor)}",
            rule=event.rule,
            trace_tag=event.trace_tag,
            replay_of=event,
        ).event
        audit.record(actor, "event.replay", event.pk, after={"event": new.pk})
    return new


@transaction.atomic
def create_rule(
    *,
    ref: str,
    pack: Pack | str,
    trigger_ref: str,
    action_ref: str,
    criteria: Any = None,
    trigger_params: dict[str, Any] | None = None,
    action_params: dict[str, Any] | None = None,
    actor: Any,
    user: Any = None,
    **more: Any,
) -> Rule:
    """Save a new rule made by a person. `more`: label, description, enabled, tags …

    Raises RuleInvalid naming every fault, RefTaken.
    """
    reach.require(actor, Role.EDITOR, pack if isinstance(pack, str) else pack.ref)
    pack = _pack(pack)
    if not COMPONENT_REF.match(ref) or pack_of(ref) != pack.ref:
        raise RuleInvalid(
            f"The rule's ref is {ref!r}; it must be {pack.ref}.<name>, the name of small letters, digits, - and _.",
            details={"faults": [{"path": "ref", "message": f"must be {pack.ref}.<name>"}]},
        )
    rule = Rule(
        ref=ref,
        pack=pack,
        is_adhoc=True,
        owner=user,
        active_since=timezone.now(),
        trigger_ref=trigger_ref,
        action_ref=action_ref,
        criteria={} if criteria is None else criteria,
        trigger_params=trigger_params or {},
        action_params=action_params or {},
        **more,
    )
    _link_and_check(rule, actor, new=True)
    try:
        with transaction.atomic():
            rule.save(force_insert=True)
    except IntegrityError:
        raise RefTaken(f"There is a rule {ref} already; choose another name.") from None
    audit.record(actor, "rule.create", rule.ref, after=history.state(rule))
    return rule


@transaction.atomic
def update_rule(rule: Rule, *, actor: Any, restoring: int | None = None, **changes: Any) -> Rule:
    """Change a rule made by a person; raises RuleInvalid, RuleReadOnly for one from a pack's files.

    `restoring`: the revision whose parts the changes are, for the audit log.
    """
    if not rule.is_adhoc and set(changes) - {"enabled"}:
        raise RuleReadOnly(
            f"Rule {rule.ref} comes with the files of pack {rule.pack.ref}; change it there, or copy it."
        )
    reach.require(actor, Role.EDITOR if set(changes) - {"enabled"} else Role.OPERATOR, rule)
    before = history.state(rule) | owning.state(rule)
    was_enabled, was_timed = rule.enabled, (rule.trigger_ref, rule.trigger_params)
    for name, value in changes.items():
        setattr(rule, name, value)
    if set(changes) & set(history.WHAT_IT_DOES) or (changes.get("enabled") and (not was_enabled or rule.barred)):
        _link_and_check(rule, actor, new=bool({"action_ref", "action_params"} & set(changes)))
    after = history.state(rule) | owning.state(rule)
    if after == before and not set(changes) - set(history.SHOWN):
        return rule
    if (rule.enabled and not was_enabled) or (rule.trigger_ref, rule.trigger_params) != was_timed:
        rule.active_since = timezone.now()
    rule.revision += 1
    rule.save()
    after |= {"revision": rule.revision} | ({} if restoring is None else {"restored": restoring})
    audit.record(actor, "rule.update", rule.ref, before=before, after=after)
    return rule


def restore_rule(rule: Rule, revision: int, *, actor: Any) -> Rule:
    """Make a rule what it was in that revision, as a new one; it stays on or off as it is.

    Raises NoSuchRevision, RuleReadOnly, RuleInvalid if it could not work any more.
    """
    kept = history.find(rule, revision).rule
    changes = {name: value for name, value in kept.items() if name in history.RESTORED}
    return update_rule(rule, actor=actor, restoring=revision, **changes)


def set_enabled(rule: Rule, enabled: bool, *, actor: Any) -> Rule:
    """Switch a rule on or off; one from a pack's files too. Raises RuleInvalid if it could not work any more.

    Whoever switches on one that is barred becomes its owner.
    """
    return update_rule(rule, actor=actor, enabled=enabled)


@transaction.atomic
def delete_rule(rule: Rule, *, actor: Any) -> None:
    """Delete a rule made by a person; its history keeps its ref. Raises RuleReadOnly."""
    reach.require(actor, Role.EDITOR, rule)
    if not rule.is_adhoc:
        raise RuleReadOnly(
            f"Rule {rule.ref} comes with the files of pack {rule.pack.ref}; disable it, or remove it there."
        )
    audit.record(actor, "rule.delete", rule.ref, before=history.state(rule))
    rule.delete()


def dry_run(
    *,
    trigger: Trigger | str,
    criteria: Any,
    payload: Any = None,
    event: Event | None = None,
    action: Action | None = None,
    action_params: dict[str, Any] | None = None,
    rule: Rule | None = None,
) -> dict[str, Any]:
    """What a rule would make of an event, stored or typed, decided by the same code and without running anything.

    Returns `{matched: bool|None, reason, criteria: [{path, operator, expected, actual, result}], action_params,
    error}`;
    `action_params` is None where no action was named or it did not match. Raises UnknownTrigger, PayloadInvalid,
    RuleInvalid for criteria that cannot be read.
    """
    if isinstance(trigger, str):
        trigger = find_trigger(trigger)
    if event is None:
        columns = sealed(trigger, check_payload(trigger, payload), {})
        event = Event(trigger=trigger, trigger_ref=trigger.ref, created=timezone.now(), **columns)
    pack = rule.pack if rule else (action.pack if action else trigger.pack)
    draft = Rule(
        ref=rule.ref if rule else f"{pack.ref}.draft",
        pack=pack,
        trigger_ref=trigger.ref,
        criteria={} if criteria is None else criteria,
        action=action,
        action_ref=action.ref if action else "",
        action_params=action_params or {},
        barred=rule.barred if rule else "",
    )
    faults = [f for f in _faults(draft) if f["path"].startswith("criteria")]
    if faults:
        raise RuleInvalid(f"{faults[0]['path']}: {faults[0]['message']}.", details={"faults": faults})
    if action is None:
        verdict = matching.evaluate(draft.criteria, enforcing.context_of(draft, event))
        matched, reason, results, parameters = verdict.matched, verdict.reason, list(verdict.results), None
        reason = verdict.error or reason
    else:
        decision = enforcing.decide(draft, event)
        matched, reason, results = decision.matched, decision.reason, decision.results
        parameters = decision.parameters if decision.matched else None
    return {
        "matched": matched,
        "reason": reason,
        "criteria": results,
        "action_params": parameters,
        "error": reason if matched is None else None,
    }


def check_pressure() -> None:
    """Raises Overloaded while no events are taken. `emit_event` asks by itself; this is for who would save work."""
    pressure.check()


def look_at_pressure() -> None:
    """See whether more events can be taken; `emit_event` refuses them from then on if not."""
    pressure.look()


def sweep() -> int:
    """Ring again for events nobody has decided on, unless the workers have plenty before them. Returns how many."""
    if queues.depth(tasks.process_event) > queues.LONG:
        return 0
    forgotten = recovery.undecided()
    nudge(forgotten)
    return len(forgotten)


def act_on_due() -> int:
    """Act on debounces whose time is up, and let go of events whose pause is over. Returns how many of both."""
    waiting = quiet.due()
    for pk in waiting:
        quiet.act(pk)
    let_go = [] if queues.depth(tasks.process_event) > queues.LONG else pausing.let_go()
    nudge(let_go)
    return len(waiting) + len(let_go)


def review_owners(actor: Any = "attune") -> int:
    """Look anew at what the owners of rules may do: called when rights change, and by the minute. Returns how many
    rules may act now that could not, or the other way round."""
    return owning.review(actor)


def _link_and_check(rule: Rule, actor: Any, *, new: bool) -> None:
    """Tie the rule to the trigger and action it names, or say all that is wrong with it. `new`: its parameters are.

    Raises RuleInvalid; BeyondRights where the saver may not run that action.
    """
    who = owning.saver(actor) if rule.is_adhoc else None
    rule.trigger = Trigger.objects.filter(ref=rule.trigger_ref).first()
    rule.action = Action.objects.filter(ref=rule.action_ref).first()
    owning.hide_unseen(rule, who)
    faults = _faults(rule)
    if new and not faults and rule.action is not None:
        faults = literal_secrets(rule.action_params, rule.action.parameters_schema)
    if faults:
        listed = "; ".join(f"{fault['path']}: {fault['message']}" for fault in faults)
        raise RuleInvalid(f"Rule {rule.ref} cannot be saved: {listed}.", details={"faults": faults})
    owning.check_saver(rule, who)
    owning.settle(rule, who)


def _faults(rule: Rule) -> list[dict[str, str]]:
    return faults_of(**{name: getattr(rule, name) for name in (*history.WHAT_IT_DOES, "trigger", "action")})


def _pack(pack: Pack | str) -> Pack:
    if isinstance(pack, Pack):
        return pack
    found = Pack.objects.filter(ref=pack).first()
    if found is None:
        fault = {"path": "pack_ref", "message": f"there is no pack {pack!r}"}
        raise RuleInvalid(
            f"There is no pack {pack!r}; make an ad-hoc pack for your rules first.", details={"faults": [fault]}
        )
    return found
