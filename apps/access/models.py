"""Who may come in with which token, and what they did."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

from apps.access.principals import Role
from attune.lib.models import Timestamped

PACKS = r"^(\*|[a-z][a-z0-9_-]*\*?)\Z"  # a pack's ref, the beginning of one and `*`, or `*`


class ApiToken(Timestamped):
    """A token a person or a service holds; only its hash is kept."""

    class Kind(models.TextChoices):
        ACCESS = "access"
        REFRESH = "refresh"
        PERSONAL = "personal"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=100, blank=True)
    scope = models.CharField(  # the highest role that it carries; empty: whatever its holder's is
        max_length=10, blank=True, default="", choices=[(role.group, role.group) for role in Role]
    )
    packs = models.JSONField(default=list, blank=True)  # the only ones that it reaches: refs, or beginnings and `*`
    made_from = models.ForeignKey(  # of a session: the personal token that it was opened with, and ends with
        "self", models.CASCADE, null=True, blank=True, related_name="sessions"
    )
    prefix = models.CharField(max_length=16)  # shown, so that its owner recognises it
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the whole token, hex
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.prefix}…"


class PackAccess(Timestamped):
    """A pack that somebody is limited to. Who has no such row, and is in no group that has, is not limited."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="pack_access"
    )
    group = models.ForeignKey("auth.Group", models.CASCADE, null=True, blank=True, related_name="pack_access")
    pack = models.CharField(
        max_length=100,
        validators=[RegexValidator(PACKS, "Write a pack's ref, the beginning of one and *, or *.")],
        help_text="A pack's ref; aws* for all whose ref begins so; * for every pack.",
    )
    role = models.CharField(
        max_length=10,
        blank=True,
        default="",
        choices=[(role.group, role.group) for role in Role],
        help_text="What they may do there; empty: as their groups say.",
    )

    class Meta:
        ordering = ["pack"]
        verbose_name = "pack that they are limited to"
        verbose_name_plural = "limited to these packs"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=True) ^ models.Q(group__isnull=True), name="pack_access_of_one"
            ),
            models.UniqueConstraint(fields=["user", "pack"], name="one_access_per_user_and_pack"),
            models.UniqueConstraint(fields=["group", "pack"], name="one_access_per_group_and_pack"),
        ]

    def __str__(self) -> str:
        return f"{self.pack} as {self.role}" if self.role else self.pack


class Identity(Timestamped):
    """Who somebody is at the provider that vouches for them: their account is found by this alone."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=300)  # an OpenID provider's address, or `ldap`
    subject = models.CharField(max_length=255)  # what it calls them, for ever: neither a name nor an address

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "identities"
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_once")]

    def __str__(self) -> str:
        return f"{self.subject} at {self.issuer}"


class SignInFailures(models.Model):
    """How often somebody failed to come in of late, and until when they wait: see throttle.py."""

    who = models.CharField(max_length=64, unique=True)  # SHA-256 of a name, an address, or both; hex
    failures = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()
    wait_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.failures} failures"


class AuditEntry(models.Model):
    """One thing somebody did or tried: who, what, before, after, from where, by which request. Only ever added to."""

    class Outcome(models.TextChoices):
        SUCCESS = "success"
        FAILURE = "failure"  # a wrong password
        DENIED = "denied"  # somebody whom we know, without the right

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.CharField(max_length=200)  # a user name, or `execution 12`, `sensor core.timer_sensor`, `command`
    identity = models.BigIntegerField(null=True, blank=True)  # the user's number; it stays when the user goes
    came_with = models.CharField(max_length=20, blank=True)  # session, token, execution, sensor
    action = models.CharField(max_length=60)  # e.g. rule.update, execution.cancel
    category = models.CharField(max_length=20)  # see audit.CATEGORIES
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.SUCCESS)
    target = models.CharField(max_length=300)  # the plain ref or number of what was changed
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    origin = models.CharField(max_length=100, blank=True)  # client address, or `admin`, `command`
    # The HTTP request, where there was one.
    request_id = models.CharField(max_length=64, blank=True)
    http_method = models.CharField(max_length=10, blank=True)
    http_path = models.CharField(max_length=300, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)  # of what was not done; else not known yet
    user_agent = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["target", "id"], name="audit_target"),
            models.Index(fields=["actor", "id"], name="audit_actor"),
            models.Index(fields=["action", "id"], name="audit_action"),
            models.Index(fields=["request_id", "id"], name="audit_request", condition=~models.Q(request_id="")),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"


class AuditSeal(models.Model):
    """A seal on some entries of the audit log, one after the other: see audit_seals.py."""

    first_id = models.BigIntegerField(unique=True)  # of what the seal speaks for, with the gaps
    last_id = models.BigIntegerField(unique=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    columns = models.JSONField()  # of an entry, that its mark is made of
    marks = models.JSONField()  # by the number of the entry
    before = models.CharField(max_length=64, blank=True)  # the seal before; empty for the first of all
    before_at = models.DateTimeField(null=True)  # the last entry of that one
    seal = models.CharField(max_length=64)

    class Meta:
        ordering = ["first_id"]

    def __str__(self) -> str:
        return f"{self.first_id}-{self.last_id}"
