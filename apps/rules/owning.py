"""With whose right a rule runs: its saver's when it is saved, its owner's when it acts.

Where the owner saved it with a token that is limited to packs, that right ends with these packs, for good, since the
rule outlives the token.
The owner's right is not asked for each event. Whenever rights change, rules are looked at anew, and one whose owner may
no longer run its action is barred: that is a column of the rule, which is there when an event is weighed.
Rules from a pack's files run with the right of their pack, and those without an owner with that of the installation.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.utils import timezone

from apps.access import audit
from apps.access.principals import Principal, Role, principal_for
from apps.access.reach import may
from apps.rules.errors import BeyondRights
from apps.rules.models import Rule
from attune.lib.refs import pack_of


def saver(actor: Any) -> Principal | None:
    """The person who saves a rule; None for a command, which nothing limits."""
    if isinstance(actor, AbstractUser):
        return principal_for(actor)
    return actor if isinstance(actor, Principal) and actor.is_person else None


def name_of(rule: Rule) -> str | None:
    """The name of its owner, as the audit log says it."""
    return rule.owner.get_username() if rule.owner else None


def state(rule: Rule) -> dict[str, Any]:
    """What the audit log keeps of it with each change."""
    return {"owner": name_of(rule), "owner_packs": rule.owner_packs, "barred": rule.barred}


def hide_unseen(rule: Rule, who: Principal | None) -> None:
    """What its saver may not see is not there for the rule either."""
    if who is not None and rule.trigger is not None and not may(who, Role.VIEWER, rule.trigger):
        rule.trigger = None
    if who is not None and rule.action is not None and not may(who, Role.VIEWER, rule.action):
        rule.action = None


def check_saver(rule: Rule, who: Principal | None) -> None:
    """Raises BeyondRights where the saver may not run the rule's action."""
    if who is None or may(who, Role.OPERATOR, pack_of(rule.action_ref)):
        return
    message = (
        f"you may not run {rule.action_ref}, so no rule of yours may either; choose another action, or ask an "
        f"administrator for the role {Role.OPERATOR.group} in pack {pack_of(rule.action_ref)}"
    )
    fault = {"path": "action_ref", "message": message}
    raise BeyondRights(f"Rule {rule.ref} cannot be saved: {message}.", details={"faults": [fault]})


def settle(rule: Rule, who: Principal | None) -> None:
    """Say whether the owner's right suffices; where it does not, the saver, whose does, is the owner from now on."""
    if not rule.is_adhoc:
        return
    lost = rule.owner_id is None and bool(rule.barred)
    if who is not None and who.user == rule.owner:
        rule.owner_packs = list(who.packs)
    rule.barred = "" if rule.owner is None else why_barred(_right_of(rule, rule.owner), rule.action_ref)
    if who is not None and (lost or rule.barred):
        rule.owner, rule.owner_packs, rule.barred = who.user, list(who.packs), ""  # type: ignore[assignment]


def _right_of(rule: Rule, owner: AbstractUser) -> Principal:
    return principal_for(owner, packs=rule.owner_packs)


def why_barred(owner: Principal, action_ref: str) -> str:
    """Why a rule of this owner may not act; empty where it may."""
    if may(owner, Role.OPERATOR, pack_of(action_ref)):
        return ""
    return (
        f"Its owner {owner.name} may not run {action_ref} any more, and a rule runs with the right of its owner; "
        "whoever may run it can take the rule over by enabling it again."
    )


def limit_of_runs(rule_ref: str, action_ref: str) -> str:
    """Why what a rule runs may not ask for this action in its turn; empty where it may."""
    rule = Rule.objects.filter(ref=rule_ref).select_related("owner").first()
    if rule is None:
        return "the rule is not there any more."
    if not rule.is_adhoc or rule.owner is None:
        return rule.barred
    if may(_right_of(rule, rule.owner), Role.OPERATOR, pack_of(action_ref)):
        return ""
    with_token = ", with the token that it was saved with" if rule.owner_packs else ""
    return f"the rule's owner {name_of(rule)} may not{with_token}."


def review(actor: Any) -> int:
    """Bar the rules whose owners lost the right to run their actions, let the others act again. Returns how many."""
    count = 0
    for user in get_user_model().objects.filter(rules__is_adhoc=True).distinct():
        owner = principal_for(user)
        rules = Rule.objects.filter(owner=user, is_adhoc=True)
        for action_ref in rules.order_by().values_list("action_ref", flat=True).distinct():
            why = why_barred(owner, action_ref)
            for rule in rules.filter(action_ref=action_ref).exclude(barred=why).only("ref", "barred"):
                before = rule.barred
                if Rule.objects.filter(pk=rule.pk, barred=before).update(barred=why, updated=timezone.now()):
                    audit.record(actor, "rule.bar", rule.ref, before={"barred": before}, after={"barred": why})
                    count += 1
    return count
