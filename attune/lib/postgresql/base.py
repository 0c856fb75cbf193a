"""Django's PostgreSQL backend that asks a connection for its health at most every two seconds, not at every request.

Asking each time costs a round trip before every piece of work. A connection that breaks in between fails one piece of
work, which is answered with 503 or found again by the sweep, and is then closed as usual.
"""

from __future__ import annotations

import time

from django.db.backends.postgresql import base

EVERY = 2.0  # seconds


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that remembers when it was last found healthy."""

    healthy_at = 0.0
    health_check_done: bool

    def close_if_health_check_failed(self) -> None:
        if self.health_check_done:
            return
        if time.monotonic() - self.healthy_at < EVERY:
            self.health_check_done = True  # else it would be asked in the middle of this piece of work
            return
        super().close_if_health_check_failed()
        self.healthy_at = time.monotonic()
