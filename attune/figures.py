"""The figures of a scrape: few queries, each by an index and counting no further than MOST, however much is stored.

What has an end in time (events, verdicts, ends of executions) comes from the counters of `attune.tallying`; the rest
is counted when asked. docs/operations.md says what each name means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from apps.executions.models import LIVE, WAITING, Execution, Worker
from apps.rules import pressure
from apps.rules.models import Event
from apps.sensors.models import SensorProcess
from attune import condition, tallying
from attune.lib import tallies
from attune.lib.probes import Probe

MOST = 100_000  # rows counted of one kind; a gauge that stands there means as many or more
LOOKED_AT = 1000  # waiting executions among which the oldest that is due is looked for, and sensors shown by name
PATIENCE = 4000  # milliseconds that PostgreSQL has for one query of a scrape
COUNTERS = {
    "events": (("kind", "source"), "Events taken in, by kind of trigger and by who sent them."),
    "events_refused": (("reason",), "Events refused because of overload."),
    "verdicts": (("verdict",), "What rules made of events."),
    "executions_finished": (("status",), "Executions that came to an end."),
    "webhook_deliveries": (("status",), "Answers of webhooks, by HTTP status."),
}


@dataclass
class Figures:
    """What the database says."""

    tallies: dict[tuple[str, str], float] = field(default_factory=dict)
    executions: dict[str, int] = field(default_factory=dict)  # those that are not over, by status
    undecided: int = 0
    oldest_undecided: float = 0.0  # seconds
    oldest_waiting: float = 0.0
    workers: dict[str, int] = field(default_factory=dict)
    threads: int = 0
    sensors: dict[str, int] = field(default_factory=dict)  # by state
    each_sensor: list[dict[str, Any]] = field(default_factory=list)


def gather() -> Figures:
    """All figures; raises DatabaseError."""
    tallying.write_down()  # else what this process counted lately would be missing
    if connection.vendor != "postgresql":
        return _gathered()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # no guess of the planner's shall make it read a whole table
        cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE}")
        return _gathered()


def _gathered() -> Figures:
    now = timezone.now()
    undecided = Event.objects.filter(processed_at=None)
    alive = now - timedelta(seconds=settings.ATTUNE_LEASE)
    present = Worker.objects.filter(heartbeat_at__gte=now - timedelta(days=1), stopped_at=None)
    about = present.aggregate(
        alive=Count("id", filter=Q(heartbeat_at__gte=alive)),
        silent=Count("id", filter=Q(heartbeat_at__lt=alive)),
        threads=Sum("threads", filter=Q(heartbeat_at__gte=alive)),
    )
    processes = SensorProcess.objects.order_by("sensor_id")
    names = ("sensor__ref", "state", "restarts", "failures", "events", "bad_lines", "last_event_at")
    each = list(processes.values(*names)[:LOOKED_AT])
    states = dict.fromkeys(SensorProcess.State.values, 0)
    states |= dict(processes.order_by().values_list("state").annotate(n=Count("id")))
    return Figures(
        tallies=tallying.read(),
        executions={status: _count(Execution.objects.filter(status=status)) for status in (*WAITING, *LIVE)},
        undecided=_count(undecided),
        oldest_undecided=_age(now, undecided.order_by("id").values_list("created", flat=True)[:1]),
        oldest_waiting=_oldest_waiting(now),
        workers={"alive": about["alive"], "silent": about["silent"]},
        threads=about["threads"] or 0,
        sensors=states,
        each_sensor=each,
    )


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by()[:MOST].count()


def _oldest_waiting(now: datetime) -> float:
    """Seconds that the oldest execution that is due has waited; a retry waits from when it is due."""
    since = []
    for status in WAITING:
        first = Execution.objects.filter(status=status).order_by("id").values_list("created", "run_after")[:LOOKED_AT]
        since += [due or created for created, due in first]
    return _age(now, [moment for moment in since if moment <= now])


def _age(now: datetime, moments: Iterable[datetime]) -> float:
    return max(((now - moment).total_seconds() for moment in moments), default=0.0)


probe: Probe[Figures] = Probe(gather, limit=5.0, keep=5.0)


class Collector:
    """Prometheus' way of asking: the families of one scrape. What does not answer is left out, and its `up` is 0."""

    def collect(self) -> Iterable[Metric]:
        condition.broker.begin()
        found, heard = probe.look(), condition.broker.look()
        info = GaugeMetricFamily("attune_info", "Version and mode.", labels=["version", "mode"])
        info.add_metric([settings.ATTUNE_VERSION, settings.ATTUNE_MODE], 1)
        yield info
        yield _gauge("database_up", "Whether the database answers.", found.ok)
        yield _gauge("broker_up", "Whether the broker answers.", heard.ok)
        if heard.value is not None:
            yield _gauges("broker_messages", "Messages that nobody has taken yet.", "queue", heard.value)
        over = pressure.current()
        reasons = {reason: int(over is not None and over.reason == reason) for reason in pressure.REASONS}
        yield _gauges("overloaded", "Whether events are refused, and why.", "reason", reasons)
        yield _gauge("disk_free_bytes", "What the disk of the data folder has left.", pressure.free_disk())
        if found.value is not None:
            yield from _of_database(found.value)


def _of_database(figures: Figures) -> Iterable[Metric]:
    yield from _counters(figures.tallies)
    yield _histogram("execution_seconds", "How long runs took.", figures.tallies)
    yield _gauges("executions", "Executions that are not over.", "status", figures.executions)
    yield _gauge("oldest_waiting_seconds", "Age of the oldest execution that waits and is due.", figures.oldest_waiting)
    yield _gauge("events_undecided", "Events that no rule has looked at yet.", figures.undecided)
    yield _gauge("oldest_undecided_seconds", "Age of the oldest of those.", figures.oldest_undecided)
    yield _gauges("workers", "Workers that have not signed off.", "state", figures.workers)
    yield _gauge("worker_threads", "Actions that the workers alive can run at a time.", figures.threads)
    yield _gauges("sensors", "Sensor processes.", "state", figures.sensors)
    of_each = {
        "restarts": "How often it was started again.",
        "events": "Events it told.",
        "bad_lines": "Lines of it that were no event.",
    }
    for name, words in of_each.items():
        family = CounterMetricFamily(f"attune_sensor_{name}", words, labels=["sensor"])
        for row in figures.each_sensor:
            family.add_metric([row["sensor__ref"]], row[name])
        yield family
    running = {row["sensor__ref"]: int(row["state"] == SensorProcess.State.RUNNING) for row in figures.each_sensor}
    yield _gauges("sensor_up", "Whether it runs.", "sensor", running)
    failures = {row["sensor__ref"]: row["failures"] for row in figures.each_sensor}
    yield _gauges("sensor_failures", "How often in a row it has failed.", "sensor", failures)
    last = {row["sensor__ref"]: row["last_event_at"].timestamp() for row in figures.each_sensor if row["last_event_at"]}
    yield _gauges("sensor_last_event_timestamp_seconds", "When it last told an event.", "sensor", last)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"attune_{name}", words, value=float(value))


def _gauges(name: str, words: str, label: str, values: dict[str, int] | dict[str, float]) -> Metric:
    family = GaugeMetricFamily(f"attune_{name}", words, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def _counters(counted: dict[tuple[str, str], float]) -> Iterable[Metric]:
    for name, (labels, words) in COUNTERS.items():
        family = CounterMetricFamily(f"attune_{name}", words, labels=labels)
        for (counter, values), value in sorted(counted.items()):
            if counter == name:
                family.add_metric(values.split(","), value)
        yield family


def _histogram(name: str, words: str, counted: dict[tuple[str, str], float]) -> Metric:
    buckets, total = [], 0.0
    for bound in [*(f"{bound:g}" for bound in tallies.SECONDS), "+Inf"]:
        total += counted.get((f"{name}_bucket", bound), 0.0)
        buckets.append((bound, total))
    family = HistogramMetricFamily(f"attune_{name}", words)
    family.add_metric([], buckets, counted.get((f"{name}_sum", ""), 0.0))
    return family
