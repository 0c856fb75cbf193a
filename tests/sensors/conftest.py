"""A stage of well and badly behaved sensors, and hosts for them that run in threads of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from apps.packs import runtimes
from apps.packs.loading import load_pack
from apps.packs.models import Pack, Sensor
from apps.rules.models import Event, Rule
from apps.rules.services import create_rule
from apps.sensors.models import SensorProcess
from apps.sensors.supervisor import Supervisor

STAGE = Path(__file__).parent.parent / "data" / "packs" / "sensing_stage"


@pytest.fixture
def stage(transactional_db: None, settings: Any) -> Pack:
    """The pack `sensing_stage`, loaded; none of its sensors is wanted yet."""
    settings.ATTUNE_KILL_GRACE = 1.0
    runtimes.detect()
    report = load_pack(STAGE)
    assert report.ok, str(report)
    return Pack.objects.get(ref="sensing_stage")


@pytest.fixture
def want(stage: Pack) -> Callable[..., Rule]:
    """`want("ticker")` makes a rule that wants that sensor's events, so that a host will run it."""

    def rule(name: str, *, rule: str = "", **trigger_params: Any) -> Rule:
        return create_rule(
            ref=f"sensing_stage.{rule or f'on_{name}'}",
            pack=stage,
            trigger_ref=f"sensing_stage.{name}_spoke",
            trigger_params=trigger_params,
            action_ref="sensing_stage.nothing",
            actor="test",
        )

    return rule


class Host(threading.Thread):
    """A supervisor in a thread of its own, as a worker's thread would run it."""

    def __init__(self, name: str, lease: float) -> None:
        super().__init__(name=name, daemon=True)
        self.supervisor = Supervisor(host=name, lease=lease)

    def run(self) -> None:
        try:
            self.supervisor.run()
        finally:
            connections.close_all()

    def end(self) -> None:
        self.supervisor.stopping.set()
        self.join(30)
        assert not self.is_alive(), f"Host {self.name} did not end."


@pytest.fixture
def make_host(stage: Pack) -> Iterator[Callable[..., Host]]:
    """Start hosts of sensors; all of them end with the test."""
    hosts: list[Host] = []

    def make(name: str = "host-a", *, lease: float = 30.0) -> Host:
        host = Host(name, lease)
        hosts.append(host)
        host.start()
        return host

    yield make
    for host in hosts:
        host.end()


def process_of(name: str) -> SensorProcess:
    return SensorProcess.objects.get(sensor__ref=f"sensing_stage.{name}")


def sensor(name: str) -> Sensor:
    return Sensor.objects.select_related("pack").get(ref=f"sensing_stage.{name}")


def said(name: str) -> list[dict[str, Any]]:
    """The payloads of a sensor's events, oldest first."""
    events = Event.objects.filter(trigger_ref=f"sensing_stage.{name}_spoke").order_by("id")
    return list(events.values_list("payload", flat=True))
