"""How the installation is: database, broker, workers, pressure; asked without ever waiting long, and put in words.

A web server and a host of sensors look every second (`watch`). What they saw last is what the admin's pages show and
what decides whether events are taken, so neither asks anything itself. Health asks anew, for at most LIMIT seconds.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from apps.executions import lanes
from apps.executions.models import Worker
from apps.rules import pressure
from apps.rules import services as rules
from attune.broker import current as hint_broker
from attune.lib.probes import Probe

logger = logging.getLogger(__name__)

LIMIT = 1.5  # seconds that anybody waits for an answer
KEEP = 1.0  # seconds that an answer is good for
EVERY = 1.0  # seconds between two looks
JUST_BACK = timedelta(minutes=1)  # how long people are told that something was away

_migrated = False


@dataclass(frozen=True)
class Database:
    """What a database that answers says."""

    migrated: bool
    workers: int  # that are alive
    last_worker_at: datetime | None = None  # the latest sign of life of any


@dataclass(frozen=True)
class Trouble:
    """Something that people should know while they look at a page."""

    name: str  # broker, workers, database, overload
    what: str
    since: datetime | None
    means: str
    over: bool = False  # it is over, and worth telling all the same


def _ask_database() -> Database:
    """One statement, and those of `pressure`; raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if not _is_migrated():
        return Database(migrated=False, workers=0)
    rules.look_at_pressure()
    alive = timezone.now() - timedelta(seconds=settings.ATTUNE_LEASE)
    workers = Worker.objects.filter(heartbeat_at__gte=alive, stopped_at=None).count()
    last = None
    if not workers:
        last = Worker.objects.order_by("-heartbeat_at").values_list("heartbeat_at", flat=True).first()
    return Database(migrated=True, workers=workers, last_worker_at=last)


def _is_migrated() -> bool:
    """Whether all tables are as this version wants them; once they are, they stay so."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def _ask_broker() -> dict[str, int]:
    """How many messages wait in each queue; raises Unreachable."""
    hints = hint_broker()
    hints.turns.ping()
    names = sorted(name for name in hints.get_declared_queues() if name != lanes.PEOPLE)  # it is a lane of another
    return {name: sum(hints.depth(lane) for lane in hints.lanes(name)) for name in names}


database: Probe[Database] = Probe(_ask_database, limit=LIMIT, keep=KEEP)
broker: Probe[dict[str, int]] = Probe(_ask_broker, limit=LIMIT, keep=KEEP)


class History:
    """Since when something has been away, and when it came back."""

    def __init__(self) -> None:
        self.away_since: datetime | None = None
        self.was_away: tuple[datetime, datetime] | None = None

    def note(self, *, ok: bool) -> None:
        now = timezone.now()
        if not ok:
            self.away_since = self.away_since or now
        elif self.away_since:
            self.was_away, self.away_since = (self.away_since, now), None

    @property
    def just_back(self) -> tuple[datetime, datetime] | None:
        return self.was_away if self.was_away and timezone.now() - self.was_away[1] < JUST_BACK else None


_histories = {"database": History(), "broker": History()}


def watch() -> None:
    """A chore: have both asked, and note what the last answers were. Waits for nothing."""
    for name, probe in (("database", database), ("broker", broker)):
        answer = probe.latest()
        if answer is not None:
            _histories[name].note(ok=answer.ok)
        probe.begin()


def rest() -> None:
    """Forget everything and let the threads go, when a process ends."""
    for name, probe in (("database", database), ("broker", broker)):
        probe.rest()
        _histories[name] = History()
    pressure.forget()


def troubles() -> list[Trouble]:
    """What is wrong as far as was seen last; nothing where nobody watches. Asks nothing and waits for nothing."""
    told = []
    known, heard = database.latest(), broker.latest()
    store = _histories["database"]
    if known is not None and not known.ok:
        told.append(
            Trouble(
                "database",
                "The database does not answer",
                store.away_since,
                "Senders of events are told to send again, and what runs goes on. Nothing need be restarted.",
            )
        )
    elif back := store.just_back:
        told.append(
            Trouble(
                "database",
                f"The database was away for {_seconds(back)}, and answers again",
                back[0],
                "Work goes on by itself; what was refused meanwhile, its sender was told to send again. "
                "Nothing need be restarted.",
                over=True,
            )
        )
    if heard is not None and not heard.ok:
        told.append(
            Trouble(
                "broker",
                "Redis does not answer",
                _histories["broker"].away_since,
                f"Work goes on: workers find what waits at their next look, within {settings.ATTUNE_SWEEP:g} s. "
                "Nothing is lost, and nothing need be restarted when it is back.",
            )
        )
    if known is not None and known.value is not None and known.value.migrated and not known.value.workers:
        told.append(
            Trouble(
                "workers",
                "No worker is alive",
                known.value.last_worker_at,
                "Events are kept, and actions wait until a worker is there: manage.py worker. "
                "Nothing is lost, and nothing else need be restarted.",
            )
        )
    if found := pressure.current():
        means = f"{found.message} Senders are told to come again in {found.retry_after} s; sensors wait by themselves."
        told.append(Trouble("overload", "No new events are taken", found.since, means))
    return told


def _seconds(span: tuple[datetime, datetime]) -> str:
    seconds = (span[1] - span[0]).total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
