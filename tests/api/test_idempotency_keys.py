"""Idempotency-Key: the same request sent again has the same answer, and nothing happens twice."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from apps.access.models import ApiToken
from apps.access.tokens import issue
from apps.executions import services
from apps.executions.models import Execution, RequestKey
from apps.rules.models import Event


@pytest.fixture
def ask(people, make_action, transactional_db):
    """POST as somebody with a key: `ask(path, body, key, who)`."""
    make_action("cat", parameters={"word": {"type": "string"}}, name="say")

    def post(path: str, body: dict, key: str, who: str = "operator"):
        token, _ = issue(people(who), ApiToken.Kind.ACCESS, lifetime=timedelta(hours=1))
        headers = {"authorization": f"Bearer {token}", "Idempotency-Key": key}
        return Client().post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers)

    return post


def run(word: str = "hello") -> dict:
    return {"action_ref": "demo.say", "parameters": {"word": word}, "env_vars": {}}


def test_an_execution_asked_for_again_is_the_same_one(ask):
    first, again = ask("executions/execute", run(), "k1"), ask("executions/execute", run(), "k1")
    assert first.status_code == again.status_code == 201 and first.json()["id"] == again.json()["id"]
    assert Execution.objects.count() == 1


def test_a_key_under_which_something_else_was_asked_is_refused_with_the_remedy(ask):
    first = ask("executions/execute", run(), "k1").json()
    answer = ask("executions/execute", run("other"), "k1")
    assert answer.status_code == 422 and f"execution {first['id']}" in answer.json()["message"]
    assert Execution.objects.count() == 1


def test_the_same_key_of_somebody_else_is_another_key(ask):
    one = ask("executions/execute", run(), "k1").json()["id"]
    two = ask("executions/execute", run(), "k1", who="admin").json()["id"]
    assert one != two


def test_a_request_that_is_refused_does_not_use_its_key_up(ask):
    assert ask("executions/execute", run() | {"parameters": {"word": 7}}, "k1").status_code == 422
    assert ask("executions/execute", run(), "k1").status_code == 201


def test_a_key_whose_day_is_over_is_free_again_and_forgotten(ask):
    first = ask("executions/execute", run(), "k1").json()["id"]
    RequestKey.objects.update(expires_at=timezone.now())
    assert ask("executions/execute", run(), "k1").json()["id"] != first
    RequestKey.objects.update(expires_at=timezone.now())
    services.forget()
    assert not RequestKey.objects.exists() and Execution.objects.count() == 2


def test_twenty_at_once_under_one_key_make_one_execution(ask):
    told, barrier = [], threading.Barrier(20)
    ask("executions", {}, "k0")  # whoever asks is known before the race

    def post() -> None:
        barrier.wait()
        told.append(ask("executions/execute", run(), "k1"))
        connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in told} == {201} and len({answer.json()["id"] for answer in told}) == 1
    assert Execution.objects.count() == 1


def test_an_event_sent_again_under_its_key_is_the_same_one_and_another_under_it_is_refused(ask, make_trigger):
    make_trigger("demo.happened")
    event = {"trigger_ref": "demo.happened", "payload": {"n": 1}}
    first, again = ask("events", event, "k1"), ask("events", event, "k1")
    assert first.status_code == again.status_code == 201
    assert first.json()["data"]["id"] == again.json()["data"]["id"]
    other = ask("events", event | {"payload": {"n": 2}}, "k1")
    assert other.status_code == 422 and "another event" in other.json()["message"]
    assert Event.objects.count() == 1


@pytest.mark.parametrize("key", ["x" * 201, "a\tb"])
def test_a_key_that_cannot_be_kept_is_refused(ask, key):
    assert ask("executions/execute", run(), key).status_code == 422
