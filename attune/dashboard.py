"""The home page: what needs you, what flows, what runs; and where the command palette goes to."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from unfold.dataclasses import SearchResult

from apps.access.admin_base import allows, list_url, page_url, permits, principal, reachable
from apps.access.admin_show import ago, span
from apps.access.principals import Principal, Role
from apps.access.reach import narrow
from apps.executions import backlog
from apps.executions import workers as fleet
from apps.executions.models import LIVE, WAITING, Execution, Status, Worker
from apps.executions.waiting import waits_for_workers
from apps.packs.admin import catalogue
from apps.packs.models import Action, Installation, Pack, Runtime, Sensor
from apps.rules.admin import pause
from apps.rules.models import Enforcement, Event, Rule
from apps.sensors.models import SensorProcess
from attune.lib import long_tables

SPANS = {"1h": timedelta(hours=1), "24h": timedelta(days=1)}
SHOWN = 8
COUNTED = 10_000  # rows counted for one number of the flow; more are shown as 10,000+
LOOKED_AT = 300  # the latest ends among which repeated failures are looked for
LOOKED_AT_INSTALLATIONS = 100
IN_A_ROW = 3
LATE = timedelta(seconds=30)  # after which an event should long have been decided on
_ROW = ("id", "status", "action_ref", "rule_ref", "created", "started_at", "duration_ms", "error", "worker")
Kind = Installation.Kind
BAD = (Status.FAILED, Status.TIMEOUT, Status.ABANDONED)


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the home page shows."""
    if not allows(request, Role.VIEWER):
        return context | {"no_role": True}
    chosen = request.GET.get("span", "1h")
    chosen = chosen if chosen in SPANS else "1h"
    begin = timezone.now() - SPANS[chosen]
    who = principal(request)
    rows = narrow(who, Execution.objects.only(*_ROW))
    latest = list(rows.order_by("-id")[:SHOWN])
    return context | {
        "title": "Home",
        "span": chosen,
        "spans": list(SPANS),
        "needs": needs_you(who),
        "pause": pause.state(request),
        "flow": flow(begin, chosen, who),
        "running": rows.filter(status__in=LIVE).order_by("started_at")[:SHOWN],
        "waiting": _count(narrow(who, Execution.objects.filter(status__in=WAITING))),
        "latest": latest,
        "sensors": narrow(who, Sensor.objects.select_related("process").filter(enabled=True))[:SHOWN],
        "workers": workers(),
        "first_steps": first_steps() if not latest or not Rule.objects.exists() else None,
        "may_operate": permits(request, Role.OPERATOR, Execution),
        "may_edit": permits(request, Role.EDITOR, Rule),
        "is_fullwidth": "1",
    }


# What needs you ------------------------------------------------------------------------------------------------------
def needs_you(who: Principal) -> list[dict[str, Any]]:
    """What a person has to look at: each `{tone, icon, what, why, url}`; empty when all is well."""
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
        due = rows.filter(status__in=WAITING, worker_selector="", run_after=None).order_by("id")
        oldest = [*due[:1], *oldest]
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
            f"{_count(found)} events wait to be decided on",
            why,
            list_url("rules.event", "outcome=waiting"),
        )
    ]


def _abandoned(who: Principal) -> list[dict[str, Any]]:
    since = timezone.now() - timedelta(days=1)
    found = narrow(who, Execution.objects.all()).filter(status=Status.ABANDONED, finished_at__gte=since, reruns=None)
    count = _count(found)
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


# The flow ------------------------------------------------------------------------------------------------------------
def flow(begin: datetime, chosen: str, who: Principal) -> list[dict[str, Any]]:
    """Events in, matches, executions, how they ended: numbers that are links to what they count."""
    newest = long_tables.since(narrow(who, Execution.objects.all()).order_by("-id"), "created", begin)
    runs = Counter(newest.values_list("status", flat=True)[:COUNTED])
    matched = long_tables.since(
        narrow(who, Enforcement.objects.all()).filter(verdict=Enforcement.Verdict.MATCHED), "created", begin
    )
    steps = [
        (
            "Events",
            _count(long_tables.since(narrow(who, Event.objects.all()).filter(passed_over=""), "created", begin)),
            "rules.event",
            "",
            "",
        ),
        ("Matched", _count(matched), "rules.enforcement", "verdict__exact=matched", ""),
        ("Executions", runs.total(), "executions.execution", "", ""),
        ("Completed", runs[Status.COMPLETED], "executions.execution", "status=completed", "ok"),
        ("Went wrong", sum(runs[status] for status in BAD), "executions.execution", "status=bad", "bad"),
    ]
    return [
        {
            "name": name,
            "count": f"{COUNTED:,}+" if count >= COUNTED else f"{count:,}",
            "url": list_url(model, f"since={chosen}" + (f"&{query}" if query else "")),
            "tone": tone if count else "",
        }
        for name, count, model, query, tone in steps
    ]


def _count(rows: Any) -> int:
    return rows.order_by()[:COUNTED].count()


def workers() -> dict[str, Any]:
    """How many processes run actions, and how busy they are."""
    alive = Worker.objects.filter(
        heartbeat_at__gte=timezone.now() - timedelta(seconds=settings.ATTUNE_LEASE), stopped_at=None
    )
    threads = sum(alive.values_list("threads", flat=True))
    return {
        "alive": alive.count(),
        "threads": threads,
        "busy": Execution.objects.filter(status__in=LIVE).count(),
        "latest": max(
            (span((timezone.now() - at).total_seconds()) for at in alive.values_list("heartbeat_at", flat=True)),
            default="",
        ),
    }


def first_steps() -> list[dict[str, Any]]:
    """The way from nothing to a rule that runs, with what is done ticked off."""
    has_timer = Action.objects.filter(ref="core.echo").exists()
    adhoc = Pack.objects.filter(is_adhoc=True).exists()
    steps = [
        {
            "done": has_timer,
            "what": "Packs are loaded",
            "how": "The core pack brings timers, webhooks, echo and HTTP requests.",
            "url": list_url("packs.pack"),
            "do": "See the packs",
        },
        {
            "done": adhoc,
            "what": "Make a pack for your rules",
            "how": "An ad-hoc pack: a name, without files or code.",
            "url": reverse("admin:packs_pack_add"),
            "do": "Make a pack",
        },
        {
            "done": Rule.objects.exists(),
            "what": "Make your first rule",
            "how": "Every 5 seconds, echo the time. The form is filled in; you only save it.",
            "url": f"{reverse('admin:rules_rule_add')}?first=1",
            "do": "Make the rule",
        },
        {
            "done": Execution.objects.exists(),
            "what": "See it run",
            "how": "Five seconds later the first execution is here, with its output.",
            "url": list_url("executions.execution"),
            "do": "See the executions",
        },
    ]
    following = next((step for step in steps if not step["done"]), None)
    if following:
        following["next"] = True
    return steps


# The command palette -------------------------------------------------------------------------------------------------
def go_to(request: HttpRequest, term: str) -> list[SearchResult]:
    """A number goes to the execution or event of that number; some words go to what one does most."""
    told = []
    if term.isdecimal() and len(term) < 19:
        for model, name, icon in (
            (Execution, "executions.execution", "play_circle"),
            (Event, "rules.event", "notifications"),
        ):
            if allows(request, Role.VIEWER) and reachable(request, model.objects.filter(pk=int(term))).exists():  # type: ignore[attr-defined]
                title = f"{name.rpartition('.')[2].capitalize()} {term}"
                told.append(SearchResult(title=title, description="Go to", link=page_url(name, term), icon=icon))
    deeds = (
        ("new rule", "Make a rule", "admin:rules_rule_add", "rule", Role.EDITOR),
        ("run an action", "Run an action", "admin:executions_execution_add", "terminal", Role.OPERATOR),
        ("send an event", "Send an event", "admin:rules_event_add", "notifications", Role.OPERATOR),
        ("new trigger webhook", "Make a trigger", "admin:packs_trigger_add", "sensors", Role.EDITOR),
        ("new ad-hoc pack", "Make a pack", "admin:packs_pack_add", "deployed_code", Role.EDITOR),
        ("install a pack", "Install a pack", "admin:packs_installation_add", "download", Role.ADMIN),
        ("catalogue of packs", "See the catalogue", "admin:packs_packindex_catalogue", "storefront", Role.VIEWER),
        ("new key secret", "Keep a key", "admin:packs_key_add", "key", Role.ADMIN),
        ("new api token", "Make an API token", "admin:access_apitoken_add", "badge", Role.VIEWER),
    )
    for words, title, name, icon, role in deeds:
        if term in words and principal(request).has_role_somewhere(role):
            told.append(SearchResult(title=title, description="Do", link=reverse(name), icon=icon))
    return told
