"""Django's sessions in the database, asked only for keys that can be one: a cookie may hold anything."""

from __future__ import annotations

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """PostgreSQL refuses a text with NUL in it; whoever sends such a cookie is nobody, not a fault of ours."""

    def _validate_session_key(self, key: str | None) -> bool:
        return super()._validate_session_key(key) and str(key).isascii() and str(key).isalnum()  # type: ignore[misc]
