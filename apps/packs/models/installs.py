"""How packs come and go: installed versions, each change of them, their tests, and the indices they are found in."""

from __future__ import annotations

from pathlib import Path

from django.db import models

from attune.lib.models import Timestamped


class PackVersion(Timestamped):
    """One version of a pack as it was installed: a folder that never changes again. `Pack.path` says which is used."""

    pack_ref = models.CharField(max_length=100)
    version = models.CharField(max_length=60)
    digest = models.CharField(max_length=80)  # tree checksum, sha256:<64 hex>
    path = models.CharField(max_length=1000, unique=True)  # absolute
    source = models.CharField(max_length=2000, blank=True)  # as it was asked for, without credentials
    source_type = models.CharField(max_length=20, blank=True)  # git, archive, local, upload
    git_commit = models.CharField(max_length=64, blank=True)
    provenance = models.JSONField(default=dict, blank=True)  # as the wire has it, plus what `update` needs to ask again
    installed_by = models.CharField(max_length=200, blank=True)
    left_at = models.DateTimeField(null=True, blank=True)  # when another took its place; null while it is used

    class Meta:
        ordering = ["pack_ref", "-id"]
        constraints = [models.UniqueConstraint(fields=["pack_ref", "version", "digest"], name="packs_version_once")]

    def __str__(self) -> str:
        return f"{self.pack_ref}@{self.version}"

    @property
    def folder(self) -> Path:
        return Path(self.path)


class Installation(Timestamped):
    """One change of what is installed: asked for, worked on step by step by a worker, and ended."""

    class Kind(models.TextChoices):
        INSTALL = "install"
        PREVIEW = "preview"  # everything up to the plan, then stop
        ROLLBACK = "rollback"
        ENVIRONMENT = "environment"  # build anew what the code needs
        TEST = "test"

    class Status(models.TextChoices):
        REQUESTED = "requested"
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"

    class Step(models.TextChoices):
        FETCH = "fetch"
        VERIFY = "verify"
        UNPACK = "unpack"
        ANALYSE = "analyse"
        BUILD = "build"
        TEST = "test"
        REGISTER = "register"
        SWITCH = "switch"

    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.INSTALL)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.REQUESTED)
    source = models.CharField(max_length=2000, blank=True)  # without credentials
    options = models.JSONField(default=dict, blank=True)  # as asked: ref_spec, force, skip_tests, …
    sealed_source = models.TextField(blank=True)  # encrypted (packs.sealing), where the source holds credentials
    pack_ref = models.CharField(max_length=100, blank=True)  # known once the files are read
    pack_version = models.CharField(max_length=60, blank=True)
    from_version = models.CharField(max_length=60, blank=True)  # what was installed before
    step = models.CharField(max_length=20, choices=Step.choices, blank=True)
    percent = models.PositiveSmallIntegerField(default=0)
    log = models.TextField(blank=True)  # bounded; lines as they came
    error = models.TextField(blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    result = models.JSONField(default=dict, blank=True)
    requested_by = models.CharField(max_length=200, blank=True)
    origin = models.CharField(max_length=100, blank=True)  # the asker's address
    trigger_reason = models.CharField(
        max_length=40, default="install"
    )  # install, update, reload, rollback, dependency …
    attempt = models.PositiveSmallIntegerField(default=0)  # the fence: an old attempt cannot write
    lease_until = models.DateTimeField(null=True, blank=True)  # while it runs: its worker is alive until then
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["pack_ref", "-id"], name="packs_installation_of"),
            models.Index(
                fields=["id"], name="packs_installation_open", condition=models.Q(status__in=["requested", "running"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} of {self.pack_ref or self.source}"

    @property
    def is_final(self) -> bool:
        return self.status in (self.Status.COMPLETED, self.Status.FAILED)


class PackTest(Timestamped):
    """One run of a pack's own tests, with what came out."""

    pack_ref = models.CharField(max_length=100)
    pack_version = models.CharField(max_length=60)
    trigger_reason = models.CharField(max_length=40)  # install, update, manual …
    status = models.CharField(max_length=20)  # passed, failed, error
    total = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    pass_rate = models.FloatField(default=0.0)  # 0 to 1
    duration_ms = models.PositiveIntegerField(default=0)
    result = models.JSONField(default=dict, blank=True)  # as the wire has it: testSuites, testCases …
    installation = models.ForeignKey(
        Installation, models.SET_NULL, null=True, blank=True, related_name="tests", db_index=False
    )

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["pack_ref", "-id"], name="packs_test_of")]

    def __str__(self) -> str:
        return f"test {self.pk} of {self.pack_ref}@{self.pack_version}"


class PackIndex(Timestamped):
    """A list of packs that can be installed by name; of several, the first that has a name wins."""

    name = models.CharField(max_length=200, blank=True)
    url = models.CharField(max_length=2000, unique=True)  # http(s), or a file on the server
    position = models.IntegerField(default=0)  # lower ones are asked first
    enabled = models.BooleanField(default=True)
    sealed_headers = models.TextField(blank=True)  # encrypted: they may hold a token
    content = models.JSONField(default=dict, blank=True)  # as last read
    etag = models.CharField(max_length=300, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True)  # why it could not be read the last time

    class Meta:
        ordering = ["position", "id"]
        verbose_name_plural = "pack indices"

    def __str__(self) -> str:
        return self.name or self.url
