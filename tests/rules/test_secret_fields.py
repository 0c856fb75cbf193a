"""Fields of a payload and settings of a pack that are secret: kept encrypted, handed on, and never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.access.models import AuditEntry
from apps.executions.models import Execution, Status
from apps.executions.secrets import open_parameters
from apps.packs import services as packs
from apps.packs.models import Action, Pack
from apps.rules import events, services
from apps.rules.errors import RuleInvalid
from apps.rules.models import Enforcement, Event, Rule
from apps.rules.services import emit_event, replay_event

SECRET = {"type": "string", "secret": True}
PAYLOAD = {
    "type": "object",
    "properties": {
        "password": SECRET,
        "host": {"type": "string"},
        "logins": {"type": "array", "items": {"type": "object", "properties": {"token": SECRET}}},
    },
}
EVENT = {"password": "hunter2", "host": "db", "logins": [{"token": "tok-1", "n": 1}, {"token": "tok-2"}]}


@pytest.fixture
def echo(make_action: Any) -> Action:
    return make_action("cat", parameters={"said": {}, "more": {}})


@pytest.fixture
def came(make_trigger: Any) -> Any:
    return make_trigger("own.came", payload_schema=PAYLOAD)


def everything() -> str:
    return str([list(model.objects.values()) for model in (Event, Enforcement, Execution, Pack)])


def test_a_rule_hands_a_secret_field_on_and_nobody_else_sees_it(
    flow: Any, echo: Action, make_rule: Any, came: Any
) -> None:
    make_rule(
        echo,
        trigger=came,
        action_params={
            "said": "{{ payload.password }}",
            "more": ["at {{ event.payload.logins[1].token }}", "{{ payload }}"],
        },
    )
    with flow():
        emit_event(came, payload=EVENT)
    event, execution = Event.objects.get(), Execution.objects.get()
    assert event.payload == {
        "password": "********",
        "host": "db",
        "logins": [{"token": "********", "n": 1}, {"token": "********"}],
    }
    assert execution.status == Status.COMPLETED, execution.error
    assert open_parameters(execution, echo, again=True).parameters == {"said": "hunter2", "more": ["at tok-2", EVENT]}
    assert json.loads(execution.stdout)["said"] == "********"
    assert not any(secret in everything() for secret in ("hunter2", "tok-1", "tok-2"))


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{{ payload.password | upper }}", "secret"),
        ("{{ payload.password ~ 'x' }}", "secret"),
        ("{{ payload.nope }}", "nope"),
    ],
)
@pytest.mark.django_db
def test_a_secret_field_is_used_as_it_is_or_not_at_all(
    echo: Action, make_rule: Any, came: Any, template: str, complaint: str
) -> None:
    make_rule(echo, trigger=came, action_params={"said": template})
    emit_event(came, payload=EVENT)
    verdict = Enforcement.objects.get()
    assert verdict.verdict == "error" and complaint in verdict.reason
    assert "hunter2" not in everything()


@pytest.mark.django_db
def test_criteria_see_the_mask(echo: Action, make_rule: Any, came: Any) -> None:
    make_rule(echo, trigger=came, criteria={"var": "payload.password", "starts_with": "hunter"})
    emit_event(came, payload=EVENT)
    assert not Execution.objects.exists()
    assert "hunter2" not in str(list(Event.objects.values("misses", "payload", "config")))


@pytest.mark.django_db
def test_a_replay_and_a_new_key_keep_the_secret(echo: Action, make_rule: Any, came: Any, settings: Any) -> None:
    first = emit_event(came, payload=EVENT).event
    again = replay_event(first, actor="anna")
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = [settings.ATTUNE_ENCRYPTION_KEY]
    settings.ATTUNE_ENCRYPTION_KEY = "a new one"
    assert events.reseal_all() == 2
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = []
    for event in Event.objects.all():
        assert events.open_payload(event) == EVENT
    assert again.payload["password"] == "********"


@pytest.mark.django_db
def test_what_a_sender_calls_sealed_is_not_believed(came: Any) -> None:
    event = emit_event(
        came, payload={"host": "db"}, config={"sealed": {"text": "s1.x", "places": [["host"]]}, "a": 1}
    ).event
    assert event.config == {"a": 1}


@pytest.mark.django_db
def test_a_dry_run_shows_no_secret(echo: Action, make_rule: Any, came: Any) -> None:
    rule = make_rule(echo, trigger=came, action_params={"said": "{{ payload.password }}"})
    told = services.dry_run(
        trigger=came, criteria={}, action=echo, action_params=rule.action_params, payload=EVENT, rule=rule
    )
    assert told["matched"] and told["action_params"]["said"] == "********"


def test_a_secret_setting_reaches_the_action_and_no_table(flow: Any, echo: Action, make_rule: Any, came: Any) -> None:
    packs.save_adhoc_pack(
        ref="own", pack=came.pack, actor="t", conf_schema={"token": SECRET | {"required": True}, "room": "string"}
    )
    packs.set_pack_config(Pack.objects.get(ref="own"), {"token": "hunter2", "room": "attic"}, actor="t")
    make_rule(
        echo,
        trigger=came,
        action_params={"said": "{{ pack.config.token }}", "more": "{{ config.room }}: {{ config.token }}"},
    )
    with flow():
        emit_event(came, payload={"host": "db"})
    execution = Execution.objects.get()
    assert execution.status == Status.COMPLETED, execution.error
    opened = open_parameters(execution, echo, again=True).parameters
    assert opened == {"said": "hunter2", "more": "attic: hunter2"}
    assert "hunter2" not in everything()


# What is written into a rule -----------------------------------------------------------------------------------------
@pytest.fixture
def login(make_action: Any) -> Action:
    """An action with secret parameters, one of them deep in another."""
    return make_action("cat", parameters={"user": {}, "pin": SECRET, "auth": PAYLOAD})


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"user": "anna", "pin": "hunter2"}, "action_params.pin"),
        (
            {"auth": {"logins": [{"token": "{{ payload.t }}"}, {"token": "hunter2"}]}},
            "action_params.auth.logins.1.token",
        ),
    ],
)
def test_a_rule_with_a_secret_written_into_it_is_refused_without_repeating_it(
    login: Action, make_rule: Any, came: Any, params: dict[str, Any], path: str
) -> None:
    rule = make_rule(login, trigger=came)
    for save in (
        lambda: make_rule(login, trigger=came, action_params=params),
        lambda: services.update_rule(rule, action_params=params, actor="t"),
    ):
        with pytest.raises(RuleInvalid, match="keep it as a key and write") as refused:
            save()
        assert [fault["path"] for fault in refused.value.details["faults"]] == [path]
        assert "hunter2" not in refused.value.message
    assert "hunter2" not in str([list(model.objects.values()) for model in (Rule, AuditEntry)])


def test_a_rule_may_hand_a_key_to_a_secret_parameter_or_leave_it_empty(
    login: Action, make_rule: Any, came: Any
) -> None:
    rule = make_rule(login, trigger=came, action_params={"pin": "{{ key.own.pin }}", "auth": {"password": ""}})
    services.update_rule(rule, action_params={"pin": "{{ payload.password }}"}, actor="t")


def test_a_rule_that_was_saved_before_its_parameter_was_secret_can_still_be_switched_on(
    login: Action, make_rule: Any, came: Any
) -> None:
    rule = make_rule(login, trigger=came, action_params={"user": "anna"}, enabled=False)
    Rule.objects.update(action_params={"pin": "1234"})
    assert services.set_enabled(Rule.objects.get(pk=rule.pk), True, actor="t").enabled
