"""The command palette: where a number or a few words lead."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from apps.access.admin_base import allows, page_url, principal, reachable
from apps.access.principals import Role
from apps.executions.models import Execution
from apps.rules.models import Event


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
