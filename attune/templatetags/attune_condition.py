"""What the admin's pages say of the installation's condition; they ask nothing for it."""

from __future__ import annotations

from django import template
from django.http import HttpRequest

from attune import condition

register = template.Library()


@register.simple_tag(takes_context=True)
def troubles(context: dict) -> list[condition.Trouble]:
    """What is wrong, for those who are signed in."""
    request: HttpRequest | None = context.get("request")
    user = getattr(request, "user", None)
    return condition.troubles() if user is not None and user.is_authenticated else []
