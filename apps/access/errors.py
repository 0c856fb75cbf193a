"""What can go wrong at the gate, in words for the person who knocks."""

from __future__ import annotations

from attune.lib.errors import AttuneError


class InvalidCredentials(AttuneError):
    """Raised for a wrong name, password or token; which of them it was is not said."""

    status_code, code = 401, "unauthorized"


class TooManyAttempts(AttuneError):
    """Raised when someone keeps failing to come in; `retry_after` is in seconds."""

    status_code, code = 429, "too_many_requests"

    def __init__(self, *, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(
            f"Too many failed attempts to sign in; wait {retry_after} s and try again.",
            details={"retry_after": retry_after},
        )


class OutOfReach(AttuneError):
    """Raised when somebody who is limited to some packs touches what they may only look at."""

    status_code, code = 403, "forbidden"
