"""An execution: one run of one action, from request to result; the worker that runs it; the policies it runs under."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from attune.lib.models import Timestamped


class Status(models.TextChoices):
    REQUESTED = "requested"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    CANCELING = "canceling"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.TIMEOUT, Status.CANCELLED, Status.ABANDONED})
WAITING = frozenset({Status.REQUESTED, Status.SCHEDULED})
WAITING_LISTED = ["requested", "scheduled"]  # in this order in indexes and in the SQL that uses them
LIVE = frozenset({Status.RUNNING, Status.CANCELING})


class Worker(Timestamped):
    """A process that runs actions, known by its sign of life."""

    name = models.CharField(max_length=200, unique=True)  # host:pid:random
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=40, blank=True)
    threads = models.PositiveIntegerField(default=1)
    labels = models.JSONField(default=dict, blank=True)  # {"zone": "dmz"}: what an action's worker_selector asks for
    runtimes = models.JSONField(default=list, blank=True)  # found on its host: [{"name": "shell", "versions": ["5.2"]}]
    isolation = models.CharField(max_length=400, blank=True)  # what keeps its actions from its host, in words
    heartbeat_at = models.DateTimeField(db_index=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    draining_since = models.DateTimeField(null=True, blank=True)  # it takes no new executions
    drain_reason = models.CharField(max_length=300, blank=True)
    drained_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ["-heartbeat_at"]

    def __str__(self) -> str:
        return self.name


class Lease(models.Model):
    """What only one of all processes may do at a time, and who does it now."""

    name = models.CharField(max_length=60, unique=True)
    holder = models.CharField(max_length=200, blank=True)  # a worker's name
    expires_at = models.DateTimeField(null=True, blank=True)  # by the database's clock

    def __str__(self) -> str:
        return f"{self.name}: {self.holder or 'nobody'}"


class Execution(Timestamped):
    """One run of one action, from request to result."""

    # Indexes are few and partial where they can be: a status that changes touches every one of them.
    action = models.ForeignKey(
        "packs.Action", models.SET_NULL, null=True, blank=True, related_name="executions", db_index=False
    )
    action_ref = models.CharField(max_length=200)  # outlives the action it names
    pack_ref = models.CharField(max_length=100)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.REQUESTED)
    # Parameters as they may be shown: defaults filled in, secret values masked. The whole truth is in `sealed`.
    parameters = models.JSONField(default=dict, blank=True)
    sealed = models.TextField(blank=True)  # encrypted JSON of all parameters; empty when none is secret
    key_slots = models.JSONField(default=dict, blank=True)  # sentinel in `parameters` -> parts of the key's ref
    env_vars = models.JSONField(default=dict, blank=True)
    timeout = models.PositiveIntegerField(null=True, blank=True)  # seconds, as asked for by the request

    # Where it came from: plain words, since history outlives definitions.
    rule_ref = models.CharField(max_length=200, blank=True)
    trigger_ref = models.CharField(max_length=200, blank=True)
    event_id = models.BigIntegerField(null=True, blank=True)
    trace_tag = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="children", db_index=False)
    original = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="reruns", db_index=False)
    depth = models.PositiveIntegerField(default=0)  # how many executions led to it, one after the other
    caused_by = models.BigIntegerField(null=True, blank=True)  # the execution that started it or sent its event
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="executions", db_index=False
    )
    requested_token = models.BigIntegerField(null=True, blank=True)  # the personal one they asked with; it may be gone
    permission_set_refs = models.JSONField(default=list, blank=True)
    worker_selector = models.CharField(max_length=500, blank=True)  # `gpu=yes,zone=dmz`; empty: any worker will do

    # The run itself.
    worker = models.CharField(max_length=200, blank=True)
    attempt = models.PositiveIntegerField(default=0)  # the fence: a late writer with an old number is refused
    lost_attempts = models.PositiveIntegerField(default=0)  # whose worker died or froze
    nudged_at = models.DateTimeField(null=True, blank=True)  # when a worker was last told of it
    run_after = models.DateTimeField(null=True, blank=True)  # a retry's back-off: not before then
    retry_number = models.PositiveIntegerField(default=0)
    waits_key = models.CharField(max_length=100, blank=True)  # the limit of a policy that it waits for; see policies
    waits_until = models.DateTimeField(null=True, blank=True)  # when there is reason to look at that limit again
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveBigIntegerField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)  # the parsed data, or for text the stdout
    error = models.TextField(blank=True)
    stdout = models.TextField(blank=True)  # head and tail, masked; the whole is in the log file
    stderr = models.TextField(blank=True)
    stdout_bytes = models.PositiveBigIntegerField(default=0)
    stderr_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["status", "id"], name="execution_status"),
            models.Index(fields=["action_ref", "id"], name="execution_action"),
            models.Index(fields=["rule_ref", "id"], name="execution_rule", condition=~models.Q(rule_ref="")),
            models.Index(fields=["trace_tag", "id"], name="execution_trace", condition=~models.Q(trace_tag="")),
            models.Index(fields=["parent"], name="execution_parent", condition=models.Q(parent__isnull=False)),
            models.Index(fields=["original"], name="execution_original", condition=models.Q(original__isnull=False)),
            # What waits, by lanes; see backlog.py, which writes the same conditions.
            models.Index(
                fields=["run_after", "nudged_at"],
                name="execution_due",
                condition=models.Q(
                    status__in=WAITING_LISTED, waits_key="", worker_selector="", requested_by__isnull=True
                ),
            ),
            models.Index(
                fields=["run_after", "nudged_at"],
                name="execution_asked",
                condition=models.Q(
                    status__in=WAITING_LISTED, waits_key="", worker_selector="", requested_by__isnull=False
                ),
            ),
            models.Index(
                fields=["worker_selector", "waits_key", "run_after", "nudged_at"],
                name="execution_selected",
                condition=models.Q(status__in=WAITING_LISTED) & ~models.Q(worker_selector=""),
            ),
            models.Index(fields=["requested_by"], name="execution_by", condition=models.Q(requested_by__isnull=False)),
            models.Index(fields=["waits_key", "id"], name="execution_waits", condition=~models.Q(waits_key="")),
        ]

    # Known of an execution that this process has claimed; no columns.
    limited = False  # it was started under a policy's limit, so others may wait for its end
    has_retry_policy = False  # a policy, not the action, says whether it is tried again

    def __str__(self) -> str:
        return f"{self.pk} {self.action_ref}"

    @property
    def enforcement_id(self) -> int | None:
        """The enforcement that asked for it; the pointer itself stands on the enforcement's side."""
        first = self.enforcements.order_by("id").first()  # type: ignore[attr-defined]
        return first.pk if first else None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


class RequestKey(models.Model):
    """A key under which somebody asked for an execution; asked again under it, that one is the answer."""

    by = models.CharField(max_length=200)  # who asked: the same key of another is another key
    key = models.CharField(max_length=300)
    digest = models.CharField(max_length=64)  # of all that was asked
    execution = models.ForeignKey(Execution, models.CASCADE, related_name="request_keys")
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["by", "key"], name="one_execution_per_key")]

    def __str__(self) -> str:
        return f"{self.by} {self.key}"


class Policy(Timestamped):
    """How many at a time, how often, and how many times again the actions of its scope may run."""

    class Scope(models.TextChoices):
        ACTION = "action"
        PACK = "pack"
        GLOBAL = "global"

    ref = models.CharField(max_length=200, unique=True)
    pack = models.ForeignKey("packs.Pack", models.CASCADE, related_name="policies")  # where it lives, not its scope
    label = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    enabled = models.BooleanField(default=True)
    is_adhoc = models.BooleanField(default=True)  # False: it came with its pack's files
    scope = models.CharField(max_length=6, choices=Scope.choices)
    # The ref of the action or pack; empty for all. The three cannot be confused: only an action's ref has a dot.
    scope_ref = models.CharField(max_length=200, blank=True)
    priority = models.IntegerField(default=0)  # among several that say how to retry, the highest counts
    # Its parts, in the normal form of policies/parts.py; what it does not say is null.
    concurrency = models.JSONField(null=True, blank=True)
    rate_limit = models.JSONField(null=True, blank=True)
    retry = models.JSONField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=1)  # counts its changes
    source = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["ref"]
        verbose_name_plural = "policies"
        indexes = [models.Index(fields=["scope_ref"], name="policy_scope")]

    def __str__(self) -> str:
        return self.ref


class PolicyStart(models.Model):
    """A start that counts for a policy's rate limit, kept as long as its window."""

    policy = models.ForeignKey(Policy, models.CASCADE, related_name="starts", db_index=False)
    group = models.CharField(max_length=40)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["policy", "group", "at"], name="policy_start")]

    def __str__(self) -> str:
        return f"{self.policy_id} {self.at}"
