"""A Dramatiq broker for messages that are only hints: put into a lane, taken out in turn (see turns.py), forgotten.

Rows are the truth, and a row nobody was told of is found by the sweep. So a message needs no acknowledgement, no
heartbeat and no second delivery, and what remains is cheap: a push to send, a blocking pop to receive.
Within a process that has idle threads for a message, it does not even leave the process.

A message may say its `lane` (else it is its queue's name) and its `flow`, the sender among whom turns are taken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dramatiq import Worker
from dramatiq.broker import Broker, Consumer, MessageProxy
from dramatiq.errors import DecodeError, QueueJoinTimeout
from dramatiq.message import Message
from dramatiq.worker import _WorkQueueItem

from attune.turns import Hint, Turns, Unreachable

logger = logging.getLogger(__name__)

REST = 2.0  # seconds that Redis is left alone after it did not answer, so that senders are not held up one by one
AHEAD = 8  # messages that a consumer pops beyond what its threads can start
PATIENCE = 0.1  # seconds that those may wait until they are given back


class HintBroker(Broker):
    """Dramatiq's broker over lanes of hints. `lanes`: which ones a queue's consumers listen to, where not its own."""

    def __init__(self, turns: Turns, *, lanes: Mapping[str, Sequence[str]], middleware: list[Any]) -> None:
        super().__init__(middleware=middleware)
        self.turns = turns
        self.pools: dict[str, Worker] = {}  # this process's own, by queue; see `Workers`
        self._usual, self._more = dict(lanes), dict[str, tuple[str, ...]]()
        self._held: set[str] = set()
        self._away_until = 0.0  # by the monotonic clock; 0: it answered when last asked

    # Lanes -----------------------------------------------------------------------------------------------------------
    def lanes(self, queue_name: str) -> tuple[str, ...]:
        """The lanes that this process listens to for a queue, the most pressing first."""
        return (*self._usual.get(queue_name, (queue_name,)), *self._more.get(queue_name, ()))

    def listen(self, queue_name: str, lanes: Iterable[str]) -> None:
        """Listen to these lanes too, and to none that was named before."""
        self._more[queue_name] = tuple(lanes)

    def hold(self, queue_name: str, held: bool) -> None:
        """Take no more messages for a queue in this process, neither from outside nor from within; or do again."""
        (self._held.add if held else self._held.discard)(queue_name)

    def holds(self, queue_name: str) -> bool:
        return queue_name in self._held

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        return set(self.queues)

    def get_declared_delay_queues(self) -> set[str]:
        return set()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 1000) -> Consumer:
        return HintConsumer(self, queue_name, prefetch, timeout)

    # Sending ---------------------------------------------------------------------------------------------------------
    def enqueue(self, message: Message, *, delay: int | None = None) -> Message:
        """Send a message. Raises Unreachable where Redis does not take it; delays are rows, not messages."""
        if delay:
            raise ValueError("This broker knows no delay; write a row that says when.")
        self.emit_before("enqueue", message, delay)
        if not self._hand_over(message):
            self.push(message)
        self.emit_after("enqueue", message, delay)
        return message

    def push(self, message: Message | MessageProxy) -> None:
        """Put it into its lane. Raises Unreachable."""
        if time.monotonic() < self._away_until:
            raise Unreachable("Redis did not answer a moment ago")
        try:
            self.turns.push(_lane_of(message), message.options.get("flow", ""), message.encode())
        except Unreachable as error:
            self.note_silence(error)
            raise
        self.note_answer()

    def note_silence(self, error: Unreachable) -> None:
        """Redis did not answer: say so once, and let it rest."""
        if not self._away_until:
            logger.error("Redis does not answer (%s). Nothing is lost: the sweep finds all work until it does.", error)
        self._away_until = time.monotonic() + REST

    def note_answer(self) -> None:
        if self._away_until:
            logger.warning("Redis answers again.")
            self._away_until = 0.0

    def _hand_over(self, message: Message) -> bool:
        """Give it straight to a thread of this process, if one that listens to its lane has nothing to do."""
        lane = _lane_of(message)
        for queue_name, pool in self.pools.items():
            if lane not in self.lanes(queue_name):
                continue
            thread = pool.consumers.get(queue_name)
            consumer = thread.consumer if thread else None
            if thread and isinstance(consumer, HintConsumer) and consumer.reserve(pool.worker_threads):
                thread.work_queue.put(_WorkQueueItem(0, _meant_for(queue_name, message)))
                return True
        return False

    # Looking ---------------------------------------------------------------------------------------------------------
    def depth(self, lane: str) -> int:
        """How many messages wait in a lane."""
        return self.turns.depth(lane)

    def flush(self, queue_name: str) -> None:
        for lane in self.lanes(queue_name):
            self.turns.clear(lane)

    def flush_all(self) -> None:
        for queue_name in self.queues:
            self.flush(queue_name)

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until the queue is empty; for tests. Raises QueueJoinTimeout after `timeout` milliseconds."""
        deadline = time.monotonic() + (timeout or 60_000) / 1000
        while any(self.depth(lane) for lane in self.lanes(queue_name)):
            if time.monotonic() > deadline:
                raise QueueJoinTimeout(queue_name)
            time.sleep(0.05)


def _lane_of(message: Message | MessageProxy) -> str:
    return message.options.get("lane") or message.queue_name


def _read(data: bytes, actors: Mapping[str, Any]) -> Message | None:
    """The message, if it is for an actor that there is: whoever can write to Redis can write anything."""
    try:
        message = Message.decode(data)
    except (DecodeError, TypeError, AttributeError, ValueError, RecursionError):
        return None
    shape = (message.actor_name, message.args, message.kwargs, message.options, message.message_id)
    if not all(map(isinstance, shape, (str, list | tuple, dict, dict, str))) or message.actor_name not in actors:
        return None
    return message


def _meant_for(queue_name: str, message: Message) -> MessageProxy:
    """The message for the threads of that queue, which know their consumer by it."""
    return MessageProxy(message if message.queue_name == queue_name else message.copy(queue_name=queue_name))


class HintConsumer(Consumer):
    """Pops messages for one queue of one worker and hands it never more than its threads can start at once.

    It pops a few more than that, which saves most of the trips while runs are short, and gives them back as soon as
    they would have to wait.
    """

    def __init__(self, broker: HintBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        self.broker, self.queue_name = broker, queue_name
        self.prefetch, self.timeout = prefetch, timeout / 1000
        self.at_work = 0  # messages handed over and not done
        self.popped: list[Hint] = []
        self.lock = threading.Lock()
        self.room = threading.Event()  # set when a message is done and another may be handed over

    def reserve(self, most: int) -> bool:
        """Take a place for a message that is handed over within the process, if fewer than `most` are taken."""
        with self.lock:
            if self.at_work >= most or self.broker.holds(self.queue_name):
                return False
            self.at_work += 1
            return True

    def ack(self, message: MessageProxy) -> None:
        with self.lock:
            self.at_work -= 1
        self.room.set()

    nack = ack  # what failed was logged, and its row is swept

    def requeue(self, messages: Any) -> None:
        """Put back what was handed over and not begun."""
        try:
            for message in messages:
                self.broker.push(message)
        except Unreachable as error:
            logger.warning("Messages could not be put back (%s); the sweep finds their rows.", error)

    def _give_back(self) -> None:
        """Put back what was popped and not handed over."""
        waiting, self.popped = self.popped, []
        try:
            if waiting:
                self.broker.turns.put_back(waiting)
        except Unreachable as error:
            logger.warning("%d messages could not be put back (%s); the sweep finds their rows.", len(waiting), error)

    def __next__(self) -> MessageProxy | None:
        self.room.clear()
        if self.broker.holds(self.queue_name):
            self._give_back()
            self.room.wait(self.timeout)
            return None
        free = self.prefetch - self.at_work
        if free <= 0:
            if not self.room.wait(PATIENCE if self.popped else self.timeout):
                self._give_back()
            return None
        if not self.popped:
            self.popped = self._pop(free + AHEAD)
        if not self.popped or not self.reserve(self.prefetch):
            return None
        data = self.popped.pop(0).data
        message = _read(data, self.broker.actors)
        if message is None:
            logger.error("A message for %s is none of ours and was dropped (%d bytes).", self.queue_name, len(data))
            with self.lock:
                self.at_work -= 1
            return None
        return _meant_for(self.queue_name, message)

    def _pop(self, most: int) -> list[Hint]:
        """About `most` messages that wait; if none does, the next one to come within the time-out.

        While Redis does not answer the consumer stays: a new one would not know how many messages are at work, and
        what is handed over within the process needs no Redis.
        """
        lanes = self.broker.lanes(self.queue_name)
        try:
            waiting = self.broker.turns.pop(lanes, most) or self.broker.turns.wait(lanes, self.timeout)
        except Unreachable as error:
            self.broker.note_silence(error)
            time.sleep(self.timeout)
            return []
        self.broker.note_answer()
        return waiting

    def close(self) -> None:
        self._give_back()
