"""The home page: what needs you, what flows, what runs, and the first steps."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from apps.access.admin_base import allows, list_url, permits, principal
from apps.access.admin_show import span
from apps.access.principals import Principal, Role
from apps.access.reach import narrow
from apps.executions import workers as fleet
from apps.executions.models import LIVE, WAITING, Execution, Status
from apps.packs.models import Action, Pack, Sensor
from apps.rules.admin import pause
from apps.rules.models import Enforcement, Event, Rule
from attune.lib import long_tables
from attune.needs import BAD, COUNTED, SHOWN, count_up_to, needs_you

SPANS = {"1h": timedelta(hours=1), "24h": timedelta(days=1)}
_ROW = ("id", "status", "action_ref", "rule_ref", "created", "started_at", "duration_ms", "error", "worker")


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
        "waiting": count_up_to(narrow(who, Execution.objects.filter(status__in=WAITING))),
        "latest": latest,
        "sensors": narrow(who, Sensor.objects.select_related("process").filter(enabled=True))[:SHOWN],
        "workers": workers(),
        "first_steps": first_steps() if not latest or not Rule.objects.exists() else None,
        "may_operate": permits(request, Role.OPERATOR, Execution),
        "may_edit": permits(request, Role.EDITOR, Rule),
        "is_fullwidth": "1",
    }


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
            count_up_to(long_tables.since(narrow(who, Event.objects.all()).filter(passed_over=""), "created", begin)),
            "rules.event",
            "",
            "",
        ),
        ("Matched", count_up_to(matched), "rules.enforcement", "verdict__exact=matched", ""),
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


def workers() -> dict[str, Any]:
    """How many processes run actions, and how busy they are."""
    alive = fleet.alive()
    newest = max((worker.heartbeat_at for worker in alive), default=None)
    return {
        "alive": len(alive),
        "threads": sum(worker.threads for worker in alive),
        "busy": Execution.objects.filter(status__in=LIVE).count(),
        "latest": span((timezone.now() - newest).total_seconds()) if newest else "",
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
