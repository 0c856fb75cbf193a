"""The root of every error that is meant for a person: which thing, and what to do about it."""

from __future__ import annotations

from typing import Any


class AttuneError(Exception):
    """Something that the person who asked can put right.

    `status_code` is the HTTP status, `code` a stable word for programs, the message a sentence for people,
    `details` whatever a program may need (a dict), e.g. the faults of single fields.
    """

    status_code = 400
    code = "bad_request"

    def __init__(self, message: str, *, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or {}


class InvalidInput(AttuneError):
    """What was given does not meet its schema or its rules."""

    status_code, code = 422, "validation_error"


class NotFound(AttuneError):
    """No such thing, or none that the asker may see."""

    status_code, code = 404, "not_found"


class Conflict(AttuneError):
    """The thing is in a state that does not allow it (disabled, already there, already over)."""

    status_code, code = 409, "conflict"


class Forbidden(AttuneError):
    """The asker is known, but may not do this."""

    status_code, code = 403, "forbidden"
