"""The token of a running execution: good for this attempt, and only while it runs."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from rest_framework.exceptions import PermissionDenied

from apps.access.authentication import principal_behind
from apps.access.principals import Principal, Role, role_of
from apps.access.reach import may
from apps.access.tokens import RunToken, run_token
from apps.executions.models import LIVE, Execution
from apps.packs.definitions import CARRY_RIGHTS
from apps.packs.models import Action
from attune.lib.signing import signature

# Why the runs of a rule may not ask for an action, by the refs of both; empty if they may. The room of rules fills
# this in when it loads.
RULE_LIMITS: list[Callable[[str, str], str]] = []


def token_for(execution: Execution) -> str:
    """The token this attempt gets as ATTUNE_API_TOKEN."""
    return run_token("execution", execution.pk, execution.attempt)


def refuse_to_carry(principal: Principal, action_ref: str) -> None:
    """A token with a scope may not have its holder's whole right carried on by a run. Raises: PermissionDenied."""
    if (
        action_ref in CARRY_RIGHTS
        and principal.user is not None
        and (principal.is_limited or principal.role != role_of(principal.user))
    ):
        raise PermissionDenied(
            f"Action {action_ref} works with the whole right of the person who asks for it, and this token or person "
            "is limited; use a token without a scope, of somebody who is not limited to some packs."
        )


def refuse_beyond(principal: Principal, action: Action, parent: Execution) -> None:
    """A run asks for no action of another pack than whoever is behind it may run: who asked, as far as the token goes
    that they asked with, or its rule's owner.

    Raises: PermissionDenied.
    """
    if action.pack.ref == principal.pack_ref:
        return
    if parent.requested_by is not None:
        behind = principal_behind(parent.requested_by, parent.requested_token)
        asked = f"{principal.name} was asked for by {parent.requested_by.get_username()}"
        if behind is None:
            raise PermissionDenied(f"{asked} with a token that is over, so it may not run {action.ref}.")
        if not may(behind, Role.OPERATOR, action):
            who = "who" if behind.personal_token is None else "who with that token"
            raise PermissionDenied(f"{asked}, {who} may not run {action.ref}.")
        return
    rule_ref = _rule_behind(parent)
    if not rule_ref:
        raise PermissionDenied(
            f"Whoever asked for {principal.name} is not there any more, so it may not run {action.ref}."
        )
    why = next(filter(None, (limit(rule_ref, action.ref) for limit in RULE_LIMITS)), "")
    if why:
        raise PermissionDenied(f"{principal.name} came from the rule {rule_ref}, so it may not run {action.ref}: {why}")


def _rule_behind(execution: Execution) -> str:
    """The rule that the first of its line came from; empty if it came from none, or that one is not kept any more."""
    while execution.parent is not None:
        execution = execution.parent
    return execution.rule_ref


def idempotency_key_of(execution: Execution) -> str:
    """A text for other people's systems to tell a repetition by: the same for each attempt and each automatic retry.

    A run that a person asked for again has another one.
    """
    first = execution.original_id if execution.retry_number and execution.original_id else execution.pk
    return signature("attune.idempotency", str(first), secret=settings.SECRET_KEY)[:32]


def principal_of(token: RunToken) -> Principal | None:
    """Whom the token speaks for; None once that attempt is over."""
    row = (
        Execution.objects.filter(pk=token.pk, attempt=token.fence, status__in=LIVE)
        .values("action_ref", "pack_ref", "requested_by_id", "requested_token", "parent_id", "depth")
        .first()
    )
    if row is None:
        return None
    # A child carries on nobody's rights: its caller is a program.
    carries = row["action_ref"] in CARRY_RIGHTS and row["parent_id"] is None and row["requested_by_id"] is not None
    return Principal(
        kind="execution",
        name=f"execution {token.pk}",
        role=None,
        execution_id=token.pk,
        attempt=token.fence,
        action_ref=row["action_ref"],
        pack_ref=row["pack_ref"],
        depth=row["depth"],
        rights_of=_carried(row["requested_by_id"], row["requested_token"]) if carries else None,
    )


def _carried(user_id: int, token: int | None) -> Principal | None:
    user = get_user_model().objects.filter(pk=user_id).first()
    return principal_behind(user, token) if isinstance(user, AbstractUser) else None
