"""The look of the admin: name, colours, sidebar, command palette."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _role(name: str) -> Callable[[HttpRequest], bool]:
    """Whether the person holds that role; asked when the sidebar is drawn, when all apps are loaded."""

    def held(request: HttpRequest) -> bool:
        from apps.access.admin_base import allows
        from apps.access.principals import Role

        return allows(request, Role[name])

    return held


def _item(title: str, icon: str, name: str, role: str = "VIEWER") -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), "permission": _role(role)}


def _list(title: str, icon: str, model: str, role: str = "VIEWER") -> dict[str, Any]:
    return _item(title, icon, f"{model}_changelist", role)


def _file(name: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(f"attune/{name}")


def _is_in_indices(request: HttpRequest) -> bool:
    """The catalogue lies below the indices, but has an item of its own."""
    return "/packs/packindex/" in request.path and "/packindex/catalogue/" not in request.path


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Attune",
    "SITE_HEADER": "Attune",
    "SITE_SUBHEADER": "When this happens, do that",
    "SITE_SYMBOL": "bolt",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("favicon.svg")}],
    "DASHBOARD_CALLBACK": "attune.dashboard.home",
    "STYLES": [_file("colors.css"), _file("attune.css"), _file("ansi.css")],
    "SCRIPTS": [_file("alpine.js"), _file("attune.js")],
    "BORDER_RADIUS": "6px",
    "COLORS": lambda request: {},  # they are in colors.css; as a <style> in the page no policy lets them pass
    "LOGIN": {"form": "apps.access.admin_login.LoginForm"},
    "COMMAND": {
        "search_models": [
            *("rules.rule", "packs.action", "packs.trigger", "packs.pack", "packs.sensor", "packs.key"),
            "executions.policy",
        ],
        "search_callback": "attune.palette.go_to",
        "show_history": True,
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "navigation": [
            {"title": "", "items": [_item("Home", "home", "index")]},
            {
                "title": "What happens",
                "items": [
                    _list("Executions", "play_circle", "executions_execution"),
                    _list("Events", "notifications", "rules_event"),
                    _list("Enforcements", "gavel", "rules_enforcement"),
                    _list("Webhook deliveries", "webhook", "sensors_webhookdelivery"),
                ],
            },
            {
                "title": "What shall happen",
                "items": [
                    _list("Rules", "rule", "rules_rule"),
                    _list("Triggers", "sensors", "packs_trigger"),
                    _list("Actions", "terminal", "packs_action"),
                    _list("Policies", "traffic", "executions_policy"),
                ],
            },
            {
                "title": "What is installed",
                "items": [
                    _list("Packs", "deployed_code", "packs_pack"),
                    _item("Catalogue", "storefront", "packs_packindex_catalogue"),
                    _list("Installations", "download", "packs_installation"),
                    _list("Pack indices", "list_alt", "packs_packindex") | {"active": _is_in_indices},
                    _list("Sensors", "radar", "packs_sensor"),
                    _list("Keys", "key", "packs_key"),
                ],
            },
            {
                "title": "The machinery",
                "items": [
                    _list("Workers", "precision_manufacturing", "executions_worker"),
                    _list("Sensor processes", "memory", "sensors_sensorprocess"),
                    _list("Runtimes", "code_blocks", "packs_runtime"),
                ],
            },
            {
                "title": "People",
                "items": [
                    _list("Users", "person", "auth_user", "ADMIN"),
                    _list("Groups", "group", "auth_group", "ADMIN"),
                    _list("API tokens", "badge", "access_apitoken"),
                    _list("Audit log", "history", "access_auditentry", "ADMIN"),
                ],
            },
        ],
    },
}
