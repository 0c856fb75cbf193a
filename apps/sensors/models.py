"""The running of sensors, and the log of what knocked at the webhooks."""

from __future__ import annotations

from django.db import models

from attune.lib.models import Timestamped


class SensorProcess(Timestamped):
    """The one process of a sensor in the whole installation: who hosts it, how it fares."""

    class State(models.TextChoices):
        STOPPED = "stopped"  # nothing wants it, or it is switched off; `reason` says which
        STARTING = "starting"
        RUNNING = "running"
        BACKOFF = "backoff"  # it ended by itself; next_start_at says when it is tried again

    sensor = models.OneToOneField("packs.Sensor", models.CASCADE, related_name="process")
    state = models.CharField(max_length=10, choices=State.choices, default=State.STOPPED)
    reason = models.CharField(max_length=300, blank=True)
    host = models.CharField(max_length=200, blank=True)  # the host's name: host:pid:random
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    generation = models.PositiveIntegerField(default=0)  # counts starts; the fence of its token
    pid = models.PositiveIntegerField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    next_start_at = models.DateTimeField(null=True, blank=True)
    restart_requested_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)  # in a row
    restarts = models.PositiveIntegerField(default=0)
    events = models.PositiveBigIntegerField(default=0)
    bad_lines = models.PositiveBigIntegerField(default=0)
    last_event_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "sensor processes"
        ordering = ["sensor__ref"]

    def __str__(self) -> str:
        return f"{self.sensor} {self.state}"


class WebhookDelivery(models.Model):
    """One knock at a webhook, let in or not."""

    trigger_ref = models.CharField(max_length=200, blank=True)  # empty: unknown key
    received_at = models.DateTimeField(auto_now_add=True)
    address = models.CharField(max_length=60, blank=True)
    status = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=500, blank=True)
    size = models.PositiveIntegerField(default=0)  # bytes
    delivery_id = models.CharField(max_length=300, blank=True)
    event_id = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(fields=["trigger_ref", "-id"], name="delivery_trigger"),
            models.Index(fields=["id"], name="delivery_refused", condition=models.Q(status__gte=400)),
        ]

    def __str__(self) -> str:
        return f"{self.trigger_ref or 'unknown key'} {self.status}"
