"""Hints as the broker has them, to be sent by a test: too often, too late, or to one worker alone."""

from __future__ import annotations

from dramatiq import Message

from apps.executions import lanes
from attune.redis_turns import RedisTurns
from tests.chaos.town import Town

QUEUES = {"run_execution": lanes.QUEUE, "process_event": "events"}


def hint_for(actor: str, number: int) -> bytes:
    """The message that says "look at that row"."""
    return Message(queue_name=QUEUES[actor], actor_name=actor, args=(number,), kwargs={}, options={}).encode()


def push(town: Town, namespace: str, queue: str, hint: bytes) -> None:
    RedisTurns(town.redis.client, namespace=namespace).push(queue, "", hint)


def waiting(town: Town, namespace: str) -> int:
    """How many nobody has taken yet."""
    turns = RedisTurns(town.redis.client, namespace=namespace)
    return sum(turns.depth(lane) for lane in (*QUEUES.values(), lanes.PEOPLE))
