"""The doorbell: Dramatiq's broker, in memory (embedded) or on Redis (server), and the workers that listen to it.

Messages are only nudges; the rows are the truth. So a broker that fails costs a sweep's delay and never work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import dramatiq
from django import db
from django.conf import settings
from dramatiq.broker import Broker
from dramatiq.middleware import Middleware, Retries, ShutdownNotifications, TimeLimit

from apps.executions import lanes
from attune.hints import HintBroker
from attune.turns import MemoryTurns

LANES = {lanes.QUEUE: lanes.USUAL}

logger = logging.getLogger(__name__)

IDLE_WAIT = 1000  # milliseconds a consumer waits for a message before it looks up


class DatabaseConnections(Middleware):
    """Give each message a database connection that works: one that is too old or broken is closed before."""

    def before_process_message(self, broker: Broker, message: Any) -> None:
        if settings.SERVER_MODE:
            db.close_old_connections()

    def before_consumer_thread_shutdown(self, broker: Broker, thread: Any) -> None:
        db.connections.close_all()

    before_worker_thread_shutdown = before_consumer_thread_shutdown


def make_broker() -> HintBroker:
    """The broker of this mode, without Dramatiq's own retries and age limits: rows decide what is done again."""
    middleware: list[Middleware] = [
        TimeLimit(),
        ShutdownNotifications(notify_shutdown=False),
        Retries(max_retries=0),
        DatabaseConnections(),
    ]
    if not settings.REDIS_URL:
        return HintBroker(MemoryTurns(), lanes=LANES, middleware=middleware)
    from attune.redis_turns import RedisTurns, connect  # its client is megabytes that embedded mode does without

    turns = RedisTurns(connect(settings.REDIS_URL), namespace=settings.ATTUNE_BROKER_NAMESPACE)
    return HintBroker(turns, lanes=LANES, middleware=middleware)


def current() -> HintBroker:
    """The broker that `install` made."""
    broker = dramatiq.get_broker()
    assert isinstance(broker, HintBroker)
    return broker


def install() -> None:
    """Make it the broker that actors are declared on; called once, before any `tasks` module is imported."""
    dramatiq.set_broker(make_broker())


class Workers:
    """This process's worker threads: a pool for each queue, so that long actions never hold up decisions or sensors."""

    def __init__(self, pools: dict[str, int]) -> None:
        self.broker = current()
        for queue in pools:
            self.broker.declare_queue(queue)
        self.pools = [
            dramatiq.Worker(self.broker, queues={queue}, worker_threads=threads, worker_timeout=IDLE_WAIT)
            for queue, threads in pools.items()
        ]

    def start(self) -> None:
        self.broker.emit_after("process_boot")
        for pool in self.pools:
            pool.queue_prefetch = pool.worker_threads  # no message waits behind a busy thread while another idles
            pool.start()
        self.broker.pools = {queue: pool for pool in self.pools for queue in pool.consumer_whitelist or ()}

    def stop(self, *, timeout: float) -> None:
        """Take no more messages, tell those at work, wait for them up to `timeout` seconds."""
        self.broker.pools = {}
        each: list[Callable[[], None]] = [
            lambda pool=pool: pool.stop(timeout=int(timeout * 1000))
            for pool in self.pools  # type: ignore[misc]
        ]
        threads = [threading.Thread(target=stop) for stop in each]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
