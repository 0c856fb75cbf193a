"""What a pack folder defines, as rows: Pack, Action, Trigger, Sensor, and the Runtime and Key that they use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django_jsonform.models.fields import JSONField as JSONFormField

from attune.lib.models import Timestamped
from attune.lib.refs import name_of, title_of


class Runtime(Timestamped):
    """A kind of interpreter. What can be executed has an `execution_config`."""

    ref = models.CharField(max_length=100, unique=True)  # core.shell, core.python, core.nodejs, core.native
    name = models.CharField(max_length=60)
    description = models.TextField(blank=True)
    execution_config = models.JSONField(default=dict, blank=True)  # {"interpreter": ["bash"], "version_command": [...]}
    version = models.CharField(max_length=60, blank=True)
    path = models.CharField(max_length=500, blank=True)  # where the interpreter was found
    available = models.BooleanField(default=False)
    problem = models.TextField(blank=True)  # why it is not available, and the remedy
    detected_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["ref"]

    def __str__(self) -> str:
        return self.ref


class Start(models.TextChoices):
    """How Python scripts are started: forked from an interpreter that is ready, or each with one of its own."""

    WARM = "warm"
    COLD = "cold"


class Sandbox(models.TextChoices):
    """What keeps a program from seeing the rest of the machine."""

    BWRAP = "bwrap"
    NONE = "none"


class Pack(Timestamped):
    """A folder of automation, or (ad-hoc) a pack made of data in forms."""

    ref = models.CharField(max_length=100, unique=True)
    label = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    version = models.CharField(max_length=60, default="0.1.0")
    author = models.CharField(max_length=200, blank=True)
    email = models.CharField(max_length=200, blank=True)
    license = models.CharField(max_length=100, blank=True)
    homepage = models.CharField(max_length=500, blank=True)
    system = models.BooleanField(default=False)  # ships with Attune, cannot be uninstalled
    is_adhoc = models.BooleanField(default=False)  # made in forms, has no folder
    enabled = models.BooleanField(default=True)
    conf_schema = models.JSONField(default=dict, blank=True)  # JSON Schema of the configuration, normal form
    config_defaults = models.JSONField(default=dict, blank=True)  # `config` of the manifest
    config = JSONFormField(default=dict, blank=True)  # the operator's own values, secrets masked; they survive a reload
    sealed_config = models.TextField(blank=True)  # all of them, encrypted (packs.configs); empty where none is secret
    meta = models.JSONField(default=dict, blank=True)
    tags = models.JSONField(default=list, blank=True)
    runtime_deps = models.JSONField(default=list, blank=True)
    dependencies = models.JSONField(default=dict, blank=True)  # {"packs": ["ref@range"], "attune_version": …}
    testing = models.JSONField(default=dict, blank=True)
    runner = models.CharField(max_length=10, choices=Start.choices, blank=True)  # empty: as the installation has it
    sandbox = models.CharField(max_length=10, choices=Sandbox.choices, blank=True)  # of its actions; the same
    path = models.CharField(max_length=1000, blank=True)  # absolute folder it was loaded from; empty if ad-hoc
    digest = models.CharField(max_length=64, blank=True)  # SHA-256 over what was loaded
    # What the operator wants of its environment: {"constraints": ["lib<2"], "packages": ["more==1.0"],
    # "allow_scripts": false (npm's), "sdk_compatibility": true}
    environment = models.JSONField(default=dict, blank=True)
    loaded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["ref"]

    def __str__(self) -> str:
        return self.ref

    @property
    def folder(self) -> Path:
        return Path(self.path)

    @property
    def effective_config(self) -> dict[str, Any]:
        """Schema defaults, the manifest's values over them, the operator's over those, whose secrets are masked."""
        properties = self.conf_schema.get("properties", {}) if isinstance(self.conf_schema, dict) else {}
        defaults = {name: s["default"] for name, s in properties.items() if isinstance(s, dict) and "default" in s}
        return defaults | (self.config_defaults or {}) | (self.config or {})


class Component(Timestamped):
    """What actions, triggers and sensors have in common."""

    ref = models.CharField(max_length=200, unique=True)
    label = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    tags = models.JSONField(default=list, blank=True)
    source = models.CharField(max_length=500, blank=True)  # its file, relative to the pack's folder

    class Meta:
        abstract = True
        ordering = ["ref"]

    def __str__(self) -> str:
        return self.ref

    @property
    def name(self) -> str:
        return name_of(self.ref)

    @property
    def title(self) -> str:
        return self.label or title_of(self.name)


class Action(Component):
    """A script or program with a parameter schema."""

    class Runner(models.TextChoices):
        SHELL = "shell"
        PYTHON = "python"
        NODEJS = "nodejs"
        NATIVE = "native"
        DOCKER = "docker"

    class Delivery(models.TextChoices):
        ENV = "env"
        STDIN = "stdin"
        FILE = "file"

    class ParameterFormat(models.TextChoices):
        JSON = "json"
        YAML = "yaml"
        DOTENV = "dotenv"

    class OutputFormat(models.TextChoices):
        TEXT = "text"
        JSON = "json"
        YAML = "yaml"
        JSONL = "jsonl"

    pack = models.ForeignKey(Pack, models.CASCADE, related_name="actions")
    runtime = models.ForeignKey(Runtime, models.PROTECT, null=True, blank=True, related_name="actions")
    runner_type = models.CharField(max_length=20, choices=Runner.choices, default=Runner.SHELL)
    runtime_version = models.CharField(max_length=100, blank=True)  # a constraint such as >=3.10
    runner = models.CharField(max_length=10, choices=Start.choices, blank=True)  # empty: as its pack has it
    entry_point = models.CharField(max_length=300)  # relative to the pack's actions/ folder
    image = models.CharField(max_length=400, blank=True)  # of the container that `docker` runs it in
    parameter_delivery = models.CharField(max_length=10, choices=Delivery.choices, default=Delivery.ENV)
    parameter_format = models.CharField(max_length=10, choices=ParameterFormat.choices, default=ParameterFormat.DOTENV)
    output_format = models.CharField(max_length=10, choices=OutputFormat.choices, default=OutputFormat.TEXT)
    parameters_schema = models.JSONField(default=dict, blank=True)  # JSON Schema 2020-12, normal form
    output_schema = models.JSONField(default=dict, blank=True)
    timeout = models.PositiveIntegerField(null=True, blank=True)  # seconds
    max_retries = models.PositiveIntegerField(default=0)
    idempotent = models.BooleanField(default=False)  # a run that was lost with its worker may be repeated
    secrets = models.JSONField(default=list, blank=True)  # names of the keys it wants
    env_vars = models.JSONField(default=list, blank=True)  # names a caller may set beyond the safe ones
    permission_set_refs = models.JSONField(default=list, blank=True)
    worker_selector = models.JSONField(default=dict, blank=True)  # labels that its worker must have: {"zone": "dmz"}
    sandbox = models.CharField(max_length=10, choices=Sandbox.choices, blank=True)  # empty: as its pack has it
    network = models.BooleanField(default=True)  # may it reach anything at all; only a sandbox can forbid that
    limits = models.JSONField(
        default=dict, blank=True
    )  # of its own, stricter than the installation's: {"memory_mb": 64}
    examples = models.JSONField(default=list, blank=True)
    workflow_file = models.CharField(max_length=300, blank=True)

    @property
    def script(self) -> Path:
        """The file that is run."""
        return self.pack.folder / "actions" / self.entry_point


class Trigger(Component):
    """A type of event: what a sensor may emit, or a webhook may bring."""

    class Type(models.TextChoices):
        INTERVAL = "interval"
        CRON = "cron"
        ONE_SHOT = "one_shot"
        WEBHOOK = "webhook"
        CUSTOM = "custom"

    pack = models.ForeignKey(Pack, models.CASCADE, related_name="triggers")
    type = models.CharField(max_length=20, choices=Type.choices, default=Type.CUSTOM)
    is_adhoc = models.BooleanField(default=False)
    parameters_schema = models.JSONField(default=dict, blank=True)
    payload_schema = models.JSONField(default=dict, blank=True)
    examples = models.JSONField(default=list, blank=True)
    webhook_enabled = models.BooleanField(default=False)
    webhook_key = models.CharField(max_length=40, unique=True, null=True, blank=True)  # wh_ + 32 hex
    webhook_secret = models.TextField(blank=True)  # encrypted (packs.sealing)
    # {"scheme": "github|generic|stripe|slack|attune", "header"?, "tolerance": s, "networks": [], "rate_limit": n/min,
    #  "max_bytes": n, "dedup_header": ""}
    webhook_config = models.JSONField(default=dict, blank=True)


class Sensor(Component):
    """A long-running program that emits events of its trigger types."""

    pack = models.ForeignKey(Pack, models.CASCADE, related_name="sensors")
    runtime = models.ForeignKey(Runtime, models.PROTECT, null=True, blank=True, related_name="sensors")
    runner_type = models.CharField(max_length=20, choices=Action.Runner.choices, default=Action.Runner.PYTHON)
    runtime_version = models.CharField(max_length=100, blank=True)
    entry_point = models.CharField(max_length=300)  # relative to the pack's sensors/ folder
    trigger_refs = models.JSONField(default=list)
    parameters_schema = models.JSONField(default=dict, blank=True)
    config = models.JSONField(default=dict, blank=True)
    poll_interval = models.FloatField(null=True, blank=True)  # seconds
    meta = models.JSONField(default=dict, blank=True)

    @property
    def script(self) -> Path:
        return self.pack.folder / "sensors" / self.entry_point

    @property
    def takes_control_lines(self) -> bool:
        """Whether it wants to hear of rule changes on stdin rather than be restarted."""
        return isinstance(self.meta, dict) and self.meta.get("control") == "stdin"


class Key(Timestamped):
    """A secret, encrypted at rest; its value is only ever read through `packs.keys`."""

    class Owner(models.TextChoices):
        SYSTEM = "system"
        PACK = "pack"
        ACTION = "action"
        SENSOR = "sensor"
        IDENTITY = "identity"

    ref = models.CharField(max_length=300, unique=True)  # system.<local>, pack.<pack>.<local>, …
    local_ref = models.CharField(max_length=100)
    alias = models.CharField(max_length=300, unique=True, null=True, blank=True)  # the free-form ref it was made with
    name = models.CharField(max_length=200)
    owner_type = models.CharField(max_length=10, choices=Owner.choices, default=Owner.SYSTEM)
    owner_ref = models.CharField(max_length=200, blank=True)  # the pack's, action's or sensor's ref, or the user name
    encrypted = models.BooleanField(default=True)  # what the owner asked for; the value is encrypted in either case
    sealed = models.TextField()  # the JSON of the value, encrypted
    granted_only = models.BooleanField(default=False)  # a system key that not every action which names it may have
    last_read_at = models.DateTimeField(null=True, blank=True)
    last_read_by = models.CharField(max_length=200, blank=True)  # as the audit log calls them
    reads = models.PositiveBigIntegerField(default=0)
    owner_user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="keys")

    class Meta:
        ordering = ["ref"]

    def __str__(self) -> str:
        return self.ref


class KeyGrant(Timestamped):
    """An administrator lets a pack, or one component, have a key that is not its own."""

    key = models.ForeignKey(Key, models.CASCADE, related_name="grants")
    grantee = models.CharField(max_length=200)  # the ref of a pack, an action or a sensor
    granted_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["grantee"]
        constraints = [models.UniqueConstraint(fields=["key", "grantee"], name="key_granted_once")]

    def __str__(self) -> str:
        return f"{self.key_id} to {self.grantee}"
