"""Every time of a timer has one row, whatever becomes of its sensor and its host while a long gap is told of."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings as conf
from django.utils import timezone

from apps.executions.models import Execution
from apps.packs.loading import load_pack
from apps.packs.models import Pack
from apps.packs.services import build_environment
from apps.rules.models import Event, Rule
from apps.rules.services import create_rule
from apps.sensors.models import SensorProcess
from tests.conftest import until

GAP = 1500  # seconds


@pytest.fixture
def make_timer(stage: Any) -> Callable[[str], Rule]:
    """A rule that a timer should have fired each second, for as long as GAP."""
    report = load_pack(conf.ATTUNE_SYSTEM_PACKS_DIR / "core")
    assert report.ok, str(report)
    build_environment(Pack.objects.get(ref="core"))

    def make(misfire: str) -> Rule:
        rule = create_rule(
            ref=f"core.{misfire}",
            pack="core",
            trigger_ref="core.intervaltimer",
            trigger_params={"unit": "seconds", "interval": 1, "misfire": misfire},
            action_ref="core.noop",
            actor="test",
        )
        Rule.objects.filter(pk=rule.pk).update(active_since=timezone.now() - timedelta(seconds=GAP))
        return rule

    return make


def rows_of(rule: Rule) -> list[tuple[datetime, datetime]]:
    """The first and the last time that each row of the rule stands for, in the order in which they were kept."""
    payloads = Event.objects.filter(rule=rule).order_by("id").values_list("payload", flat=True)
    ends = [(each.get("first_scheduled_at", each["scheduled_at"]), each["scheduled_at"]) for each in payloads]
    return [(datetime.fromisoformat(first), datetime.fromisoformat(last)) for first, last in ends]


def kept(rule: Rule, **which: Any) -> int:
    return Event.objects.filter(rule=rule, **which).count()


def is_on_time(rule: Rule) -> bool:
    last = Event.objects.filter(rule=rule).order_by("-id").first()
    return last is not None and last.payload["missed"] == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("misfire", ["skip", "fire_once"])
def test_sensor_and_host_die_amid_a_gap_and_each_time_has_its_row(
    make_timer: Callable[[str], Rule], make_host: Any, misfire: str
) -> None:
    rule = make_timer(misfire)
    first = make_host("host-a")
    until(lambda: kept(rule) >= 100, "the gap to be told of")
    os.kill(SensorProcess.objects.get(sensor__ref="core.timer_sensor").pid, signal.SIGKILL)  # type: ignore[arg-type]
    before = kept(rule)
    until(lambda: kept(rule) >= before + 100, "the next start to go on")
    first.end()
    make_host("host-b")
    until(lambda: is_on_time(rule), "the timer to be on time", patience=120)

    rows = rows_of(rule)
    assert all(first == before + timedelta(seconds=1) for (_, before), (first, _) in pairwise(rows))
    assert (rows[-1][1] - rows[0][0]).total_seconds() >= GAP - 1
    late = Event.objects.filter(rule=rule, passed_over="", payload__missed__gt=0).count()
    # A start tells of the newest thousand one by one, of the older ones in one line; it may do so in one go.
    assert kept(rule, passed_over="skipped" if misfire == "skip" else "missed") >= 1000
    assert late == 0 if misfire == "skip" else 1 <= late <= 3  # one for each start at most
    assert Execution.objects.count() == kept(rule, passed_over="")
    process = SensorProcess.objects.get(sensor__ref="core.timer_sensor")
    assert process.bad_lines == 0 and process.events <= kept(rule, passed_over="")
