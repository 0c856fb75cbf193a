"""Django's authentication backends beside its own: accounts that came by single sign-on, and break-glass alone."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend


class SignedOn(ModelBackend):
    """Knows the sessions of those whom the OpenID provider vouched for; takes no passwords."""

    def authenticate(self, request: Any, username: Any = None, password: Any = None, **more: Any) -> None:
        return None


class Superusers(ModelBackend):
    """Local passwords where they are switched off: those of superusers are for the day the provider is down."""

    def user_can_authenticate(self, user: Any) -> bool:
        return bool(user is not None and user.is_superuser and super().user_can_authenticate(user))
