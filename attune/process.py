"""One process of Attune, with the parts it was asked to play: web, worker, sensor host; embedded, all of them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn
from django import db
from django.conf import settings

from apps.executions import lanes, runner, workers
from apps.executions.leading import Leadership
from apps.packs import tasks as pack_tasks
from apps.sensors import supervisor
from apps.sensors import tasks as sensor_tasks
from attune import broker, condition, tallying
from attune.broker import Workers
from attune.housekeeping import Housekeeping, fleet_chores, worker_chores
from attune.packets import Protocol

logger = logging.getLogger(__name__)

LAST_CALL = 6.0  # seconds that programs have to end once their worker waits for them no longer

SELDOM = (20_000, 20, 50)  # an event leaves little to collect: Python's own (700, 10, 10) looked for it all the time


class Process:
    """Starts its parts, stays until a signal comes, ends them in order. `drain`: seconds that running actions
    have."""

    def __init__(self, *, web: bool = False, actions: bool = False, sensors: bool = False, drain: float) -> None:
        self.web, self.actions, self.sensors, self.drain = web, actions, sensors, drain
        self.ending = threading.Event()
        self.server: uvicorn.Server | None = None
        self.part: Leadership | None = None  # of a process that runs actions

    def run(self, *, ready: str) -> None:
        """Play until SIGINT or SIGTERM. `ready` is printed by whoever called once everything is started."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        pools: dict[str, int] = {}
        chores: dict[Callable[[], object], float] = {tallying.write_down: tallying.EVERY}
        watching: dict[Callable[[], object], float] = {}
        slow: dict[Callable[[], object], float] = {}
        if self.actions:
            name = workers.sign_on(threads=settings.ATTUNE_WORKERS)
            self.part = Leadership(name, seconds=settings.ATTUNE_LEASE)
            few = max(1, settings.ATTUNE_WORKERS // 4)
            pools |= {lanes.QUEUE: settings.ATTUNE_WORKERS, lanes.PEOPLE: few, "events": max(2, few)}
            pools[pack_tasks.QUEUE] = 1
            quick, slow = fleet_chores(self.part)
            chores |= worker_chores(broker.current()) | quick
        if self.sensors:
            pools["sensors"] = 1
            chores[_keep_hosting] = settings.ATTUNE_SWEEP
        if self.web or self.sensors:
            watching[condition.watch] = condition.EVERY
        # Watching waits for nothing, and deleting may take long, so each has a thread of its own.
        side = {"housekeeping": chores, "watching": watching, "retention": slow}
        team, threads = Workers(pools), [Housekeeping(each, name=name) for name, each in side.items() if each]
        heart = Housekeeping({workers.give_sign_of_life: settings.ATTUNE_LEASE / 3} if self.actions else {})
        gc.collect()
        _give_back()
        gc.freeze()  # what is loaded by now stays: the collector need not look at it again and again
        gc.set_threshold(*SELDOM)
        team.start()
        for thread in (*threads, heart):
            thread.start()
        try:
            if self.web:
                self._serve(ready)
            else:
                _say(ready)
                self.ending.wait()
        finally:
            for thread in threads:
                thread.stop()
            self._stop(team)
            heart.stop()
            _write_down_the_rest()

    def _serve(self, ready: str) -> None:
        config = uvicorn.Config(
            "attune.asgi:application",
            http=Protocol,
            host=settings.ATTUNE_HOST,
            port=settings.ATTUNE_PORT,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
            proxy_headers=False,
            server_header=False,
        )
        self.server = _Server(config, ready)
        self.server.run()

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ending.set()
        if self.server:
            self.server.should_exit = True

    def _stop(self, team: Workers) -> None:
        """No new work; sensors end; running actions have `drain` seconds, then they are ended and `abandoned`."""
        supervisor.stop()
        stopping = threading.Thread(target=team.stop, kwargs={"timeout": self.drain + LAST_CALL})
        stopping.start()
        stopping.join(self.drain)
        if stopping.is_alive():
            runner.stopping.set()
            stopping.join(LAST_CALL)
        if self.actions:
            try:
                workers.sign_off()
                if self.part:
                    self.part.give_up()
            except db.Error as error:
                logger.warning("This worker could not sign off (%s); its lease runs out by itself.", error)


class _Server(uvicorn.Server):
    """uvicorn, saying when it really listens."""

    def __init__(self, config: uvicorn.Config, ready: str) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list | None = None) -> None:
        try:
            await super().startup(sockets=sockets)
        except SystemExit:  # uvicorn's own line says why
            logger.error("Attune cannot listen there; free the port, or set ATTUNE_HOST and ATTUNE_PORT to others.")
            raise
        if self.started:
            _say(self.ready)


def _say(line: str) -> None:
    """In one piece, its end included: other threads log meanwhile, and unbuffered, `print` writes two."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _give_back() -> None:
    """Let the system have back what getting ready took and what is free by now; glibc alone knows how."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _write_down_the_rest() -> None:
    """What was counted to the end; a database that is away must not keep the process from ending."""
    condition.rest()
    try:
        tallying.write_down()
    except db.Error as error:
        logger.warning("The last counts could not be written down (%s).", error)
    db.connections.close_all()


def _keep_hosting() -> None:
    """A host whose actor is not at work rings for itself: the message may have been lost with the broker."""
    if not supervisor.is_hosting():
        sensor_tasks.host_sensors.send()
