"""The doorbell of the rules room."""

import dramatiq

from apps.rules import enforcing


@dramatiq.actor(queue_name="events", max_retries=0, time_limit=600_000)
def process_event(event_id: int) -> None:
    """Decide on an event; nothing happens if that was done already."""
    enforcing.enforce(event_id)
