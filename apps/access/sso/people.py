"""From somebody whom a provider vouches for to the account here: found by their identity there, never by a name.

Names and e-mail addresses can be chosen, changed and given to others, so they open no account that exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, Group
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from apps.access import audit, rights
from apps.access.models import Identity
from apps.access.principals import Role, role_of
from apps.access.sso.configuration import Admission
from apps.access.sso.errors import NotAdmitted


@dataclass(frozen=True)
class Arrival:
    """Somebody whom a provider vouches for, as it describes them."""

    provider: str  # oidc or ldap
    issuer: str
    subject: str
    name: str
    display_name: str = ""
    email: str = ""  # only where the provider has checked it
    groups: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return f"{self.name or '?'} ({self.subject} at {self.issuer})"


def admit(arrival: Arrival, admission: Admission, *, origin: str) -> AbstractUser:
    """The account of this person, made if need be, with the role that their groups give today.

    Raises: NotAdmitted, in which case what the account could do before is taken from it.
    """
    try:
        return _admit(arrival, admission, origin)
    except IntegrityError:  # two first sign-ins of one person at once
        return _admit(arrival, admission, origin)


def _admit(arrival: Arrival, admission: Admission, origin: str) -> AbstractUser:
    role = admission.role_of(arrival.groups)
    with transaction.atomic():
        user = _known(arrival)
        if user is None and role and admission.create_users:
            user = _make(arrival, role, origin)
        elif user is not None and user.is_active:
            _refresh(user, arrival, role if admission.roles else None, origin)
    if user is None and role:
        raise NotAdmitted(
            "You have no account here yet; ask an administrator to make one and link it to you.",
            reason=f"There is no account of {arrival}, and none are made at first sign-in.",
        )
    if user is not None and not user.is_active:
        raise NotAdmitted(
            "Your account here is switched off; ask an administrator.", reason=f"The account of {arrival} is off."
        )
    has_none = bool(admission.roles) and not role  # then a role in some packs, which was given here, is not enough
    if user is None or role_of(user) is None or (has_none and not user.is_superuser):
        raise NotAdmitted(
            "None of your groups gives you a role here; ask an administrator for one.",
            reason=f"No role for {arrival}; groups: {', '.join(sorted(arrival.groups)) or 'none'}.",
        )
    return user


def _known(arrival: Arrival) -> AbstractUser | None:
    found = Identity.objects.select_related("user").filter(issuer=arrival.issuer, subject=arrival.subject).first()
    return found.user if found else None


def _make(arrival: Arrival, role: str, origin: str) -> AbstractUser:
    users = get_user_model()
    if users.objects.filter(username__iexact=arrival.name).exists():
        raise NotAdmitted(
            f"There is another account named {arrival.name} here; ask an administrator to link it to you.",
            reason=f"The name of {arrival} is taken. To link: manage.py link_sign_on {arrival.name} {arrival.subject}",
        )
    user = users(username=arrival.name)
    user.set_unusable_password()
    try:
        user.full_clean()
    except ValidationError as error:
        raise NotAdmitted(
            f"{arrival.name!r} cannot be the name of an account here; ask an administrator to make you one.",
            reason=f"{arrival}: {' '.join(error.messages)}",
        ) from None
    user.save()
    Identity.objects.create(user=user, issuer=arrival.issuer, subject=arrival.subject)
    told = {"issuer": arrival.issuer, "subject": arrival.subject}
    audit.record(user, "user.create", user.get_username(), after=told, origin=origin)
    _refresh(user, arrival, role, origin)
    return user


def _refresh(user: AbstractUser, arrival: Arrival, role: str | None, origin: str) -> None:
    """Make name and address what the provider says, and their groups this role alone; None leaves these as they are."""
    rights.ensure_groups()
    of_roles = {each.group for each in Role}
    held = set(user.groups.filter(name__in=of_roles).values_list("name", flat=True))
    wanted = held if role is None else {role} - {""}
    before = {"groups": sorted(held), "is_staff": user.is_staff, "email": user.email}
    user.groups.remove(*Group.objects.filter(name__in=held - wanted))
    user.groups.add(*Group.objects.filter(name__in=wanted - held))
    if role is not None:
        user.is_staff = user.is_superuser or bool(role)
    user.first_name = arrival.display_name[:150] or user.first_name
    user.email = _address(arrival.email) or user.email
    user.save(update_fields=["is_staff", "first_name", "email"])
    after = {"groups": sorted(wanted), "is_staff": user.is_staff, "email": user.email}
    if before != after:
        audit.record(user, "user.update", user.get_username(), before=before, after=after, origin=origin)
    if held != wanted:
        rights.changed(user)


def _address(text: str) -> str:
    try:
        validate_email(text)
    except ValidationError:
        return ""
    return text[:254]


@transaction.atomic
def link(user: AbstractUser, *, issuer: str, subject: str, actor: audit.Actor) -> Identity:
    """Let this person in to an account that exists, and to no other."""
    Identity.objects.filter(issuer=issuer, subject=subject).delete()
    identity = Identity.objects.create(user=user, issuer=issuer, subject=subject)
    audit.record(actor, "user.link", user.get_username(), after={"issuer": issuer, "subject": subject})
    return identity
