"""The doorbell of the packs room."""

import logging

import dramatiq

from apps.packs.installing import running

logger = logging.getLogger(__name__)

QUEUE = "packs"


@dramatiq.actor(queue_name=QUEUE, max_retries=0, time_limit=float("inf"))
def run_installation(pk: int) -> None:
    """Work an installation off; nothing happens if it is over or another worker has it."""
    running.run(pk)


def nudge(pk: int) -> None:
    """Ring the workers' doorbell. A broker that does not answer costs a sweep's delay, no more."""
    try:
        run_installation.send(pk)
    except Exception as error:
        logger.warning("The broker did not take installation %s (%s); the next sweep will find it.", pk, error)
