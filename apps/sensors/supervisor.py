"""The host of sensors: one loop, in one thread, for all sensors of this process.

Each turn it hears what the sensors say and does what is due; at every tick it looks in the database for
what should run, takes the sensors that nobody hosts, and keeps its leases alive.
"""

from __future__ import annotations

import logging
import selectors
import threading
import time
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.db import connections

from apps.sensors import desired, leases
from apps.sensors.intake import AWAY, forget_connection
from apps.sensors.leases import Leases, State
from apps.sensors.leash import Leash
from apps.sensors.post import LeaseLost, Post
from attune.lib.loglines import about
from attune.lib.programs import launcher

logger = logging.getLogger(__name__)

TICK = 0.7  # seconds; a rule's change must reach its sensor within two
LAST_WORDS = 4.0  # seconds that sensors have at most to end when their host does
SHUT_DOWN = "Its host was shut down."


class Supervisor:
    """One host of sensors."""

    def __init__(self, *, host: str = "", lease: float | None = None) -> None:
        self.host = host or leases.name_of_this_host()
        self.stopping = threading.Event()
        self.posts: dict[int, Post] = {}
        seconds = settings.ATTUNE_LEASE if lease is None else lease
        self._leases = Leases(self.host, seconds=seconds)
        self._leash = Leash(seconds, self._cut)
        self._selector = selectors.DefaultSelector()
        self._tick_at = self._renew_at = 0.0
        self._is_away = False  # the database does not answer

    def run(self, stop: threading.Event | None = None) -> None:
        """Host sensors until `stop` or `self.stopping` is set; then end them and hand the leases back."""
        self._leash.start()
        logger.info("Host %s takes sensors.", self.host)
        try:
            while not (self.stopping.is_set() or (stop is not None and stop.is_set())):
                self._turn(self._tick)
        finally:
            self._end()

    # One turn ---------------------------------------------------------------------------------------------------------
    def _turn(self, tick: Callable[[], None]) -> None:
        for key, mask in self._selector.select(self._wait()):
            self._try(partial(key.data, mask))
        if time.monotonic() >= self._tick_at:
            self._tick_at = time.monotonic() + TICK
            self._try(tick)
        for post in list(self.posts.values()):
            self._try(post.work, post)
            if not self._leash.is_cut:
                self._try(post.step, post)
            if post.is_given_up:
                self.posts.pop(post.sensor_id, None)

    def _wait(self) -> float:
        """How long nothing need be done unless somebody speaks."""
        if any(post.has_work for post in self.posts.values()):
            return 0.0
        due = self._tick_at
        if not (self._is_away or self._leash.is_cut):
            due = min([due, *(post.starts_at for post in self.posts.values())])
        return max(0.0, due - time.monotonic())

    def _try(self, deed: Callable[[], object], post: Post | None = None) -> None:
        """Do it; what goes wrong with one sensor, or with the database, must not end the loop."""
        if post is None:
            self._try_as_told(deed, post)
            return
        with about(sensor_ref=post.ref):
            self._try_as_told(deed, post)

    def _try_as_told(self, deed: Callable[[], object], post: Post | None) -> None:
        try:
            deed()
        except LeaseLost as lost:
            self._drop(post, str(lost))
        except AWAY as error:
            if not self._is_away:
                logger.warning("The database does not answer the host of sensors: %s", error)
            self._is_away = True
            forget_connection()
        except Exception:
            logger.exception("The host of sensors failed at %s.", post.ref if post else "its tick")

    # One tick ---------------------------------------------------------------------------------------------------------
    def _tick(self) -> None:
        self._renew()
        glances = {glance.sensor_id: glance for glance in desired.look()}
        for sensor_id in self.posts.keys() - glances.keys():
            self._drop(self.posts[sensor_id], "the sensor was deleted")
        idle = []
        for glance in glances.values():
            post = self.posts.get(glance.sensor_id)
            if post is not None:
                if glance.host == self.host:
                    self._try(partial(post.see, glance), post)
                else:
                    self._drop(post, "another host took it over")
            elif glance.is_free and not glance.why_not:
                self._take(glance)
            elif glance.is_free and (glance.state, glance.reason) != (State.STOPPED, glance.why_not):
                idle.append((glance.sensor_id, glance.why_not))
        leases.note_reasons(idle)
        self._is_away = False

    def _renew(self) -> None:
        now = time.monotonic()
        if now >= self._renew_at:
            self._leases.renew()
            self._leash.renewed(now)
            launcher.lease(self._leases.seconds)  # it ends our sensors if we freeze and cannot
            self._renew_at = now + self._leases.seconds / 3

    def _take(self, glance: desired.Glance) -> None:
        row = self._leases.take(glance.sensor_id)
        if row is not None:
            self.posts[glance.sensor_id] = Post(row, glance, leases=self._leases, selector=self._selector)

    def _drop(self, post: Post | None, why: str) -> None:
        if post is not None:
            self.posts.pop(post.sensor_id, None)
            with about(sensor_ref=post.ref):
                post.abandon(why)

    def _cut(self) -> None:
        """The leash's own doing, in its thread."""
        for post in list(self.posts.values()):
            if post.child is not None:
                post.child.kill("its host could not renew its lease")

    # The end ----------------------------------------------------------------------------------------------------------
    def _end(self) -> None:
        """Stop all sensors, keep what they still say, hand the leases back; whoever does not end is killed."""
        deadline = time.monotonic() + min(settings.ATTUNE_KILL_GRACE, LAST_WORDS)
        try:
            for post in self.posts.values():
                post.retire(SHUT_DOWN)
            self._tick_at = 0.0
            while self.posts and time.monotonic() < deadline:
                self._turn(self._renew)
        finally:
            for post in list(self.posts.values()):
                self._drop(post, "its host ended")
            self._leash.end()
            launcher.lease(None)
            self._selector.close()
            logger.info("Host %s has ended.", self.host)


_lock = threading.Lock()
_running: Supervisor | None = None


def host(stop_event: threading.Event | None = None) -> None:
    """Host sensors in this thread until `stop_event` is set or `stop()` is called; at once back if one does already."""
    global _running
    with _lock:
        if _running is not None:
            return
        supervisor = _running = Supervisor()
    try:
        supervisor.run(stop_event)
    finally:
        _running = None
        connections.close_all()


def stop() -> None:
    """Ask this process's host of sensors to end; returns at once."""
    supervisor = _running
    if supervisor is not None:
        supervisor.stopping.set()


def is_hosting() -> bool:
    """Whether a host of sensors is at work in this process."""
    return _running is not None
