"""What needs a person: a line for each thing that failed, fell, waits in vain or is behind; none when all is well."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from apps.access.admin_base import list_url, page_url
from apps.access.admin_show import ago, span
from apps.access.principals import Principal
from apps.access.reach import narrow
from apps.executions import backlog
from apps.executions import workers as fleet
from apps.executions.models import LIVE, WAITING, Execution, Status
from apps.executions.waiting import waits_for_workers
from apps.packs.admin import catalogue
from apps.packs.models import Installation, Runtime
from apps.rules.models import Enforcement, Event
from apps.sensors.models import SensorProcess
from attune.lib import long_tables

SHOWN = 8
COUNTED = 10_000  # rows counted for one number; more are shown as 10,000+
LOOKED_AT = 300  # the latest ends among which repeated failures are looked for
LOOKED_AT_INSTALLATIONS = 100
IN_A_ROW = 3
LATE = timedelta(seconds=30)  # after which an event should long have been decided on
BAD = (Status.FAILED, Status.TIMEOUT, Status.ABANDONED)
Kind = Installation.Kind


def needs_you(who: Principal) -> list[dict[str, Any]]:
    """What this person has to look at: each `{tone, icon, what, why, url}`; empty when all is well."""
    of_packs = [
        *_undecided(who),
        *_abandoned(who),
        *_failing(who),
        *_erring_rules(who),
        *_stopped_chains(who),
        *_fallen_sensors(who),
        *_failed_installations(who),
    ]
    return of_packs if who.is_limited else [*_silent_workers(), *of_packs, *_missing_runtimes(), *_packs_behind()]


def _need(icon: str, what: str, why: str, url: str, tone: str = "bad") -> dict[str, Any]:
    return {"icon": icon, "what": what, "why": why, "url": url, "tone": tone}


def _silent_workers() -> list[dict[str, Any]]:
    """What waits for workers that there are not, or that all drain: one line for each choice of workers."""
    alive = fleet.alive()
    first = {selector: pk for selector, pk in backlog.selectors().items() if not fleet.taking(selector, alive)}
    rows = Execution.objects.only("id", "created", "worker_selector")
    oldest = list(rows.filter(pk__in=first.values()).order_by("id")[:SHOWN])
    if not fleet.taking("", alive):
        due = rows.filter(worker_selector="", run_after=None).order_by("id")
        each = [found for status in WAITING if (found := due.filter(status=status).first())]  # as the index has them
        oldest = [*sorted(each, key=attrgetter("pk"))[:1], *oldest]
    told = []
    for execution in oldest:
        waited = span((timezone.now() - execution.created).total_seconds())
        what = f"Nothing runs what asks for {execution.worker_selector}" if execution.worker_selector else ""
        why = f"Execution {execution.pk} has waited {waited}. {waits_for_workers(execution, alive)}"
        url = list_url("executions.worker")
        told.append(_need("precision_manufacturing", what or "Nothing runs actions", why, url))
    return told


def _undecided(who: Principal) -> list[dict[str, Any]]:
    """Events that no worker takes; the longest wait says how bad it is."""
    since = timezone.now() - LATE
    found = narrow(who, Event.objects.all()).filter(processed_at=None, created__lt=since)
    oldest = found.order_by("id").only("id", "created").first()
    if oldest is None:
        return []
    waited = span((timezone.now() - oldest.created).total_seconds())
    why = f"The oldest, event {oldest.pk}, has waited {waited}. Is a worker alive, and not overrun?"
    return [
        _need(
            "hourglass_top",
            f"{count_up_to(found)} events wait to be decided on",
            why,
            list_url("rules.event", "outcome=waiting"),
        )
    ]


def _abandoned(who: Principal) -> list[dict[str, Any]]:
    since = timezone.now() - timedelta(days=1)
    found = narrow(who, Execution.objects.all()).filter(status=Status.ABANDONED, finished_at__gte=since, reruns=None)
    count = count_up_to(found)
    if not count:
        return []
    names = ", ".join(sorted(set(found.order_by("-id").values_list("action_ref", flat=True)[:20])))
    what = f"{count} execution{'s' if count != 1 else ''} abandoned in 24 h"
    return [
        _need("heart_broken", what, f"The worker died: {names}.", list_url("executions.execution", "status=abandoned"))
    ]


def _failing(who: Principal) -> list[dict[str, Any]]:
    """Actions whose latest three runs in a row went wrong, one line for each action and rule."""
    since = timezone.now() - timedelta(days=1)
    bad: dict[tuple[str, str], list[tuple[int, str]]] = {}
    over: set[tuple[str, str]] = set()
    columns = ("pk", "status", "action_ref", "rule_ref", "error", "created")
    for pk, status, action, rule, error, created in (
        narrow(who, Execution.objects.all()).order_by("-id").values_list(*columns)[:LOOKED_AT]
    ):
        if status in (*LIVE, *WAITING, Status.CANCELLED) or created < since:
            continue
        if status not in BAD:
            over.add((action, rule))
        elif (action, rule) not in over:
            bad.setdefault((action, rule), []).append((pk, error))
    told = []
    for (action, rule), runs in bad.items():
        if len(runs) >= IN_A_ROW:
            what = f"{action} failed {len(runs)} times in a row" + (f", for rule {rule}" if rule else "")
            told.append(_need("error", what, (runs[0][1] or "")[:200], page_url("executions.execution", runs[0][0])))
    return told


def _erring_rules(who: Principal) -> list[dict[str, Any]]:
    found = narrow(who, Enforcement.objects.all()).filter(verdict=Enforcement.Verdict.ERROR).order_by("-id")
    found = long_tables.since(found, "created", timezone.now() - timedelta(days=1))
    latest: dict[str, str] = {}
    counted: Counter[str] = Counter()
    for rule, reason in found.values_list("rule_ref", "reason")[:LOOKED_AT]:
        latest.setdefault(rule, reason)
        counted[rule] += 1
    return [
        _need(
            "rule",
            f"Rule {rule} failed on {n} event{'s' if n != 1 else ''}",
            latest[rule][:200],
            page_url("rules.rule", rule),
        )
        for rule, n in counted.most_common(SHOWN)
    ]


def _stopped_chains(who: Principal) -> list[dict[str, Any]]:
    """Triggers whose events and executions went round in a circle."""
    since = timezone.now() - timedelta(days=1)
    deep = (
        narrow(who, Event.objects.all()).filter(depth__gt=settings.ATTUNE_MAX_CHAIN, created__gte=since).order_by("-id")
    )
    told: dict[str, dict[str, Any]] = {}
    for pk, trigger, misses in deep.values_list("pk", "trigger_ref", "misses")[:LOOKED_AT]:
        stopped = [miss for miss in misses if miss.get("verdict") == "stopped"]
        if stopped and trigger not in told:
            rules = ", ".join(miss["rule_ref"] for miss in stopped[:3])
            why = f"Rule {rules}: {stopped[0]['reason']}."
            told[trigger] = _need(
                "all_inclusive", f"A chain through {trigger} was stopped", why, page_url("rules.event", pk)
            )
    return list(told.values())[:SHOWN]


def _fallen_sensors(who: Principal) -> list[dict[str, Any]]:
    fallen = narrow(who, SensorProcess.objects.all()).filter(state=SensorProcess.State.BACKOFF).select_related("sensor")
    told = []
    for process in fallen[:SHOWN]:
        when = f" It starts again {ago(process.next_start_at)}." if process.next_start_at else ""
        what = f"Sensor {process.sensor.ref} fell {process.failures} time{'s' if process.failures != 1 else ''}"
        told.append(
            _need("radar", what, f"{_sentence(process.last_error)}{when}", page_url("packs.sensor", process.sensor.ref))
        )
    return told


def _sentence(said: str) -> str:
    """The beginning of what a program said, closed so that a sentence can follow."""
    said = said[:200].strip()
    return said if not said or said[-1] in ".!?…" else f"{said}."


def _missing_runtimes() -> list[dict[str, Any]]:
    """Only those that something enabled needs."""
    missing = Runtime.objects.filter(available=False).exclude(detected_at=None)
    told = []
    for runtime in missing:
        users = [
            *runtime.actions.filter(enabled=True, pack__enabled=True).values_list("ref", flat=True)[:3],  # type: ignore[attr-defined]
            *runtime.sensors.filter(enabled=True, pack__enabled=True).values_list("ref", flat=True)[:3],  # type: ignore[attr-defined]
        ]
        if users:
            why = f"{runtime.problem} Needed by {', '.join(users)}."
            told.append(
                _need(
                    "code_blocks",
                    f"{runtime.name} is not available",
                    why,
                    page_url("packs.runtime", runtime.ref),
                    "warn",
                )
            )
    return told


def _failed_installations(who: Principal) -> list[dict[str, Any]]:
    """Those of the last day whose pack did not come, or change, after all."""
    since = timezone.now() - timedelta(days=1)
    words = {Kind.ENVIRONMENT: "The environment of {} was not built", Kind.ROLLBACK: "{} was not rolled back"}
    told: list[dict[str, Any]] = []
    settled: set[str] = set()
    columns = ("pk", "created", "status", "kind", "pack_ref", "source", "error")
    rows = narrow(who, Installation.objects.all()).order_by("-id").values_list(*columns)[:LOOKED_AT_INSTALLATIONS]
    for pk, created, status, kind, ref, source, error in rows:
        if kind in (Kind.PREVIEW, Kind.TEST) or created < since:
            continue
        names = {ref, source} - {""}
        if status == Installation.Status.FAILED and not names & settled:
            what = words.get(kind, "{} was not installed").format(ref or source)
            told.append(_need("download", what, error[:200], page_url("packs.installation", pk)))
        settled |= names
    return told[:SHOWN]


def _packs_behind() -> list[dict[str, Any]]:
    """One line for all packs that an index has a newer version of, by what it said when it was last read."""
    behind = [f"{ref} {here} → {there}" for ref, (here, there) in catalogue.behind().items()]
    if not behind:
        return []
    more = f" and {len(behind) - SHOWN} more" if len(behind) > SHOWN else ""
    what = f"{len(behind)} pack{'s have updates' if len(behind) != 1 else ' has an update'}"
    url = reverse("admin:packs_packindex_catalogue")
    return [_need("upgrade", what, f"{', '.join(behind[:SHOWN])}{more}.", url, tone="warn")]


def count_up_to(rows: Any) -> int:
    """How many rows there are, counted no further than to COUNTED."""
    return rows.order_by()[:COUNTED].count()
