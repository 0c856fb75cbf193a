"""The worker that this process is: its name, its sign of life, what it is asked to do; and how the others stand."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django import db
from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.executions import backlog, isolation, lanes, spool
from apps.executions.models import Worker
from apps.packs import runtimes
from apps.packs.models import Action
from attune.lib import labels
from attune.lib.launcher import clock
from attune.lib.programs import launcher
from attune.lib.surroundings import base_environment

GRACE = 2.0  # seconds after the lease until a worker counts as dead: its launcher has ended its programs by then
_REFUSES_ALL = ("connection refused", "starting up", "shutting down", "in recovery mode", "administrator command")
_name = ""
_in_hand: list[int] = []  # executions that a thread of this process is about to claim, or runs; twice if two try
_last_sign = _unbroken_since = float("-inf")  # by the launcher's clock
_draining = False  # what `heed` last saw on our row
_lanes: tuple[str, ...] = ()  # likewise: of the selectors that we meet


class State(models.TextChoices):
    """How a worker stands."""

    ACTIVE = "active"
    DRAINING = "draining"  # takes no new executions
    STOPPED = "stopped"  # signed off
    LOST = "lost"  # gave no sign of life for the time of a lease


def current_name() -> str:
    """This process's name as a worker, made when first asked for: host, process number, and a random part."""
    global _name
    if not _name or f":{os.getpid()}:" not in _name:
        _name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
    return _name


def sign_on(*, threads: int) -> str:
    """Enter this process in the list of workers. Raises AccountShutOut if its actions could not run."""
    name = current_name()
    base_environment()
    Worker.objects.update_or_create(
        name=name,
        defaults={
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": settings.ATTUNE_VERSION,
            "threads": threads,
            "labels": settings.ATTUNE_WORKER_LABELS,
            "runtimes": _runtimes(),
            "isolation": isolation.in_words()[:400],
            "heartbeat_at": Now(),
            "stopped_at": None,
        },
    )
    launcher.spool = spool.folder_of(name)
    give_sign_of_life()
    return name


def _runtimes() -> list[dict[str, Any]]:
    """The interpreters of this host, which may have others than the one where the Runtime rows were written."""
    found = {runner: runtimes.installed(runner) for runner in runtimes.SEEDS}
    return [
        {"name": str(runner), "versions": [here.version] if here.version else []}
        for runner, here in found.items()
        if not here.problem
    ]


def give_sign_of_life() -> None:
    """Renew this worker's lease, with the database first and then with its launcher.

    A database that refuses everybody (it restarts) lets nobody take over what we run, so that the lease holds on; one
    that we cannot reach may be there for others.
    """
    global _unbroken_since, _last_sign
    asked = clock()
    try:
        Worker.objects.filter(name=current_name()).update(heartbeat_at=Now())
    except db.OperationalError as error:
        if any(sign in str(error).lower() for sign in _REFUSES_ALL):
            launcher.lease(settings.ATTUNE_LEASE)
        raise
    if asked - _last_sign > settings.ATTUNE_LEASE:
        _unbroken_since = asked
    _last_sign = clock()
    launcher.lease(settings.ATTUNE_LEASE - (_last_sign - asked))


def may_judge() -> bool:
    """Whether we have seen the database for so long that whoever gave no sign in it is dead.

    After the database was away the others need time to show that they live. Alone, we have nobody to wait for.
    """
    return not settings.SERVER_MODE or clock() - _unbroken_since > settings.ATTUNE_LEASE + GRACE


def sign_off() -> None:
    """Say that this process takes no more work."""
    Worker.objects.filter(name=current_name()).update(stopped_at=timezone.now())


@contextmanager
def with_in_hand(execution_id: int) -> Iterator[None]:
    """While this lasts the execution is known to be this process's concern."""
    _in_hand.append(execution_id)
    try:
        yield
    finally:
        _in_hand.remove(execution_id)


def has_in_hand(execution_id: int) -> bool:
    return execution_id in _in_hand


# What it is asked to do ----------------------------------------------------------------------------------------------
def heed() -> tuple[bool, tuple[str, ...]]:
    """Look whether we are to drain, and which lanes our labels open to us; see `is_draining` and `lanes_of_ours`."""
    global _draining, _lanes
    _draining = Worker.objects.filter(name=current_name(), draining_since__isnull=False).exists()
    _lanes = tuple(lanes.lane_for(selector) for selector in _selectors()) if settings.ATTUNE_WORKER_LABELS else ()
    return _draining, _lanes


def is_draining() -> bool:
    return _draining


def lanes_of_ours() -> tuple[str, ...]:
    """The lanes of executions that ask for labels which this worker has."""
    return _lanes


def meets(selector: str) -> bool:
    """Whether this worker has every label of the selector."""
    return labels.meets(settings.ATTUNE_WORKER_LABELS, selector)


def _selectors() -> list[str]:
    """Every selector that an action has, or that something waits with, and that we meet."""
    asked = Action.objects.exclude(worker_selector={}).values_list("worker_selector", flat=True)
    return sorted(selector for selector in {*backlog.selectors(), *map(labels.write, asked)} if meets(selector))


def set_draining(worker: Worker, *, by: Any, reason: str) -> bool:
    """Ask it to drain; False if it was asked before."""
    return _change(worker, was=True, draining_since=timezone.now(), drained_by=by, drain_reason=reason)


def end_draining(worker: Worker) -> bool:
    """Ask it to take work again; False if it does."""
    return _change(worker, was=False, draining_since=None, drained_by=None, drain_reason="")


def _change(worker: Worker, *, was: bool, **changes: Any) -> bool:
    rows = Worker.objects.filter(pk=worker.pk, draining_since__isnull=was)
    changed = rows.update(updated=timezone.now(), **changes)
    worker.refresh_from_db()
    return bool(changed)


# The others ----------------------------------------------------------------------------------------------------------
def state_of(worker: Worker) -> State:
    if worker.stopped_at:
        return State.STOPPED
    if timezone.now() - worker.heartbeat_at > timedelta(seconds=settings.ATTUNE_LEASE):
        return State.LOST
    return State.DRAINING if worker.draining_since else State.ACTIVE


def alive() -> list[Worker]:
    """The workers that are active or draining."""
    since = Now() - timedelta(seconds=settings.ATTUNE_LEASE)
    return list(Worker.objects.filter(heartbeat_at__gte=since, stopped_at=None))


def taking(selector: str, among: list[Worker]) -> list[Worker]:
    """Those of them that take what asks for workers with these labels: they have the labels and do not drain."""
    return [worker for worker in among if not worker.draining_since and labels.meets(worker.labels, selector)]


def taken_selectors() -> list[str]:
    """The selectors, the empty one included, of what a worker takes in its turn: what has another waits in vain."""
    waiting = backlog.selectors()
    among = alive() if waiting else []
    return ["", *(selector for selector in waiting if taking(selector, among))]


def alive_names() -> list[str]:
    """The workers that have given a sign of life within the lease, signed off or not; by the database's clock.

    A little later than the lease of the launcher, which has ended their programs by then.
    """
    since = Now() - timedelta(seconds=settings.ATTUNE_LEASE + GRACE)
    return list(Worker.objects.filter(heartbeat_at__gte=since).values_list("name", flat=True))


def declare_dead_of_this_host() -> int:
    """In embedded mode we are the only process: whoever else signed on is gone. Returns how many were.

    Their leases stay: as long as those hold, their launchers may have programs that run, and places of policies.
    """
    return Worker.objects.exclude(name=current_name()).filter(stopped_at=None).update(stopped_at=timezone.now())
