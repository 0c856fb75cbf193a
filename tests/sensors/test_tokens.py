"""For whom a sensor's token speaks, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.access.tokens import RunToken, read_run_token
from apps.packs.models import Trigger
from apps.rules import services as rules
from apps.rules.models import Rule
from apps.sensors import tokens
from apps.sensors.models import SensorProcess
from tests.sensors.conftest import sensor

State = SensorProcess.State


@pytest.fixture
def token(stage: Any) -> RunToken:
    """The token of the ticker's third start, which runs."""
    SensorProcess.objects.create(
        sensor=sensor("ticker"),
        state=State.RUNNING,
        generation=3,
        host="host-a",
        lease_expires_at=timezone.now() + timedelta(minutes=1),
    )
    found = read_run_token(tokens.token_for(sensor("ticker").pk, 3))
    assert found is not None
    return found


def test_a_running_sensors_token_speaks_for_it_alone(token: RunToken) -> None:
    principal = tokens.principal_of(token)
    assert principal is not None
    assert (principal.kind, principal.name, principal.role) == ("sensor", "sensor sensing_stage.ticker", None)
    assert (principal.sensor_id, principal.generation) == (sensor("ticker").pk, 3)
    assert (principal.pack_ref, tuple(principal.trigger_refs)) == ("sensing_stage", ("sensing_stage.ticker_spoke",))


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 4},
        {"state": State.STOPPED},
        {"state": State.BACKOFF},
        {"lease_expires_at": None},
        {"lease_expires_at": timezone.now() - timedelta(seconds=1)},
    ],
    ids=["started anew", "stopped", "waiting", "without a lease", "past its lease"],
)
def test_it_is_worth_nothing_once_that_start_is_over(token: RunToken, change: dict[str, Any]) -> None:
    SensorProcess.objects.update(**change)
    assert tokens.principal_of(token) is None


def test_it_names_the_keys_that_enabled_rules_refer_to(token: RunToken, want: Callable[..., Rule]) -> None:
    properties = {"credential": {"type": "string", "key_ref": True, "default": "jira.credentials"}, "n": {}}
    Trigger.objects.filter(ref="sensing_stage.ticker_spoke").update(parameters_schema={"properties": properties})
    principal = tokens.principal_of(token)
    assert principal is not None
    assert set(principal.key_refs()) == set()
    want("ticker", rule="first", credential="jira.own")
    want("ticker", rule="second", n="not a key")
    rules.set_enabled(want("ticker", rule="third", credential="jira.third"), False, actor="test")
    assert set(principal.key_refs()) == {"jira.own", "jira.credentials"}
