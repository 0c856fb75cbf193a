"""The switch that pauses all rules: what pages say of it, and its two buttons."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect

from apps.access.admin_base import AttuneAdmin, allows, list_url, principal
from apps.access.principals import Role
from apps.rules import pausing, services
from apps.rules.models import Pause
from attune.lib.errors import AttuneError

COUNTED = 10_000  # held events; more are shown as 10,000+


def state(request: HttpRequest) -> dict[str, Any]:
    """What `attune/pause.html` shows: the pause that is on, what it holds, and whether one may end or begin one."""
    on = pausing.current()
    held = pausing.held_by(on, most=COUNTED) if on else 0
    count = f"{COUNTED:,}+" if held >= COUNTED else f"{held:,}"
    return {"on": on, "held": count, "one": held == 1, "may": allows(request, Role.EDITOR), "path": request.path}


def begin(admin: AttuneAdmin, request: HttpRequest) -> HttpResponse:
    """Pause all rules; by POST, with `reason`."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        services.pause_rules(reason=request.POST.get("reason", ""), actor=principal(request))
        admin.message_user(request, "All rules are paused; events are kept.", "warning")
    except AttuneError as error:
        admin.message_user(request, error.message, "error")
    return HttpResponseRedirect(admin.back_to(request, list_url("rules.rule")))


def end(admin: AttuneAdmin, request: HttpRequest) -> HttpResponse:
    """Let rules look at events again; by POST, with `held`."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    held = request.POST.get("held", Pause.Held.SKIP)
    try:
        services.resume_rules(held=held if held in Pause.Held.values else Pause.Held.SKIP, actor=principal(request))
        what = "is skipped" if held != Pause.Held.PROCESS else "is decided on now"
        admin.message_user(request, f"Rules look at events again; what came meanwhile {what}.")
    except AttuneError as error:
        admin.message_user(request, error.message, "error")
    return HttpResponseRedirect(admin.back_to(request, list_url("rules.rule")))
