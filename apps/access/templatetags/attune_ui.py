"""The admin's way of showing values, for templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.access import admin_live, admin_show
from apps.access.admin_links import list_url, page_url
from attune.lib import ansi

register = template.Library()
register.filter("output", admin_live.output)
register.filter("tree", admin_show.tree)
register.filter("pretty", admin_show.pretty)
register.filter("duration", admin_show.duration)
register.filter("moment", admin_show.moment)
register.filter("enabled", admin_show.enabled_badge)


@register.filter
def unstyled(text: str | None) -> str:
    """An error as a program wrote it, without its colours."""
    return ansi.plain(text or "")


@register.filter
def badge(word: Any) -> SafeString:
    return admin_show.badge(str(word))


@register.filter
def seconds_since(start: datetime | None, end: datetime | None = None) -> str:
    """How long something has been going on, or lasted."""
    if start is None:
        return admin_show.DASH
    return admin_show.span(max(0.0, ((end or timezone.now()) - start).total_seconds()))


@register.simple_tag
def to(model: str, key: Any, text: Any = None) -> SafeString:
    """A link to a thing's page: `{% to "packs.action" execution.action_ref %}`."""
    if key in (None, ""):
        return admin_show.ref("", "")
    return admin_show.ref(page_url(model, key), text if text is not None else key)


@register.simple_tag(name="page_url")
def page_url_tag(model: str, key: Any) -> str:
    return page_url(model, key)


@register.simple_tag(name="list_url")
def list_url_tag(model: str, query: str = "") -> str:
    return list_url(model, query)
