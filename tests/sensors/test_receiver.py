"""Knocking at a webhook's door over HTTP: every answer of the contract, and what is kept of each knock."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError, connections
from django.test import Client
from django.utils import timezone

from apps.packs import services as packs
from apps.packs.models import Trigger
from apps.rules.models import Event
from apps.sensors import deliveries
from apps.sensors.models import WebhookDelivery
from apps.sensors.signatures import signature
from attune.lib import floods
from attune.lib.plans import Plan

GITHUB = sorted((Path(__file__).parent.parent / "data" / "webhooks").glob("github_*.json"))
Knock = Callable[..., Any]


@pytest.fixture(autouse=True)
def _forget_refusals() -> None:
    deliveries._flood.clear()


@pytest.fixture
def make_webhook(make_trigger: Callable[..., Trigger]) -> Callable[..., Trigger]:
    """A trigger open as a webhook, with these options and this secret."""

    def make(*, secret: str = "", payload_schema: dict[str, Any] | None = None, **options: Any) -> Trigger:
        trigger = make_trigger("adhoc.knocked", payload_schema=payload_schema or {})
        packs.enable_webhook(trigger, actor="test")
        packs.set_webhook_options(trigger, options, secret=secret, actor="test")
        return trigger

    return make


@pytest.fixture
def knock(client: Client) -> Knock:
    """POST to a webhook; `headers` by their HTTP names."""

    def post(
        at: Trigger | str,
        body: Any = b"{}",
        content_type: str = "application/json",
        client: Client = client,
        **more: Any,
    ) -> Any:
        key = at.webhook_key if isinstance(at, Trigger) else at
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post(f"/api/v1/webhooks/{key}", data=data, content_type=content_type, **more)

    return post


def test_a_delivery_becomes_an_event_before_it_is_answered(make_webhook: Any, knock: Knock) -> None:
    webhook = make_webhook()
    answer = knock(
        webhook, {"amount": 5, "who": "Ζωή 🎈"}, headers={"User-Agent": "tester/1", "X-GitHub-Event": "push"}
    )
    event = Event.objects.get()
    said = answer.json()
    assert answer.status_code == 202
    assert answer["Content-Type"] == "application/json"
    assert said["data"]["event_id"] == said["event_id"] == event.pk
    assert said["data"]["trigger_ref"] == "adhoc.knocked"
    assert said["data"]["received_at"].endswith("+00:00")
    assert said["data"]["message"]
    assert event.payload == {"amount": 5, "who": "Ζωή 🎈"}
    assert event.source == "webhook"
    assert event.config["headers"]["x-github-event"] == "push"
    logged = WebhookDelivery.objects.get()
    assert (logged.status, logged.trigger_ref, logged.event_id) == (202, "adhoc.knocked", event.pk)
    assert (logged.address, logged.size) == ("127.0.0.1", len(json.dumps({"amount": 5, "who": "Ζωή 🎈"})))


@pytest.mark.parametrize(
    ("body", "content_type", "payload"),
    [
        (b"", "", {}),
        (b'{"payload": {"a": 1}, "source_ip": "1.2.3.4"}', "application/json", {"a": 1}),
        (b"a=1&b=2", "application/x-www-form-urlencoded", {"a": "1", "b": "2"}),
        (b'{"a": 1}', "application/cloudevents+json; charset=utf-8", {"a": 1}),
    ],
)
def test_bodies_of_every_kind_we_promise_are_read(
    make_webhook: Any, knock: Knock, body: bytes, content_type: str, payload: dict[str, Any]
) -> None:
    assert knock(make_webhook(), body, content_type).status_code == 202
    assert Event.objects.get().payload == payload


@pytest.mark.parametrize("file", GITHUB, ids=lambda path: path.stem)
@pytest.mark.parametrize("form", [False, True], ids=["json", "form"])
def test_githubs_own_examples_come_in_signed_in_both_its_content_types(
    make_webhook: Any, knock: Knock, file: Path, form: bool
) -> None:
    body = urlencode({"payload": file.read_text()}).encode() if form else file.read_bytes()
    headers = {
        "X-Hub-Signature-256": f"sha256={signature(b'hush', body)}",
        "X-GitHub-Event": file.stem.removeprefix("github_"),
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    }
    webhook = make_webhook(scheme="github", secret="hush")
    answer = knock(webhook, body, "application/x-www-form-urlencoded" if form else "application/json", headers=headers)
    event = Event.objects.get()
    assert answer.status_code == 202
    assert event.payload == json.loads(file.read_bytes())
    assert event.config["headers"]["x-github-event"] == headers["X-GitHub-Event"]
    assert event.dedup_key == headers["X-GitHub-Delivery"]


def test_a_delivery_sent_again_is_the_same_event(make_webhook: Any, knock: Knock) -> None:
    webhook = make_webhook(dedup_header="X-Delivery")
    first = knock(webhook, {"n": 1}, headers={"X-Delivery": "d1"}).json()
    again = knock(webhook, {"n": 1}, headers={"X-Delivery": "d1"})
    other = knock(webhook, {"n": 1}, headers={"X-Delivery": "d2"}).json()
    assert again.status_code == 202
    assert again.json()["event_id"] == first["event_id"] != other["event_id"]
    assert "received before" in again.json()["message"]
    assert Event.objects.count() == 2
    assert list(WebhookDelivery.objects.order_by("id").values_list("delivery_id", flat=True)) == ["d1", "d1", "d2"]


@pytest.mark.django_db(transaction=True)
def test_many_copies_of_a_delivery_at_once_are_one_event(make_webhook: Any, knock: Knock) -> None:
    webhook, answers = make_webhook(), []

    def send() -> None:
        try:
            answers.append(knock(webhook, {"n": 1}, client=Client(), headers={"Idempotency-Key": "k"}))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.json()["event_id"] for answer in answers} == {Event.objects.get().pk}


STRIPE_TIME = 1700000000


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [
        ("github", lambda body: {"X-Hub-Signature-256": f"sha256={signature(b'hush', body)}"}),
        ("generic", lambda body: {"X-Acme": signature(b"hush", body)}),
        ("attune", lambda body: {"X-Webhook-Signature": f"sha256={signature(b'hush', body)}"}),
        (
            "stripe",
            lambda body: {
                "Stripe-Signature": f"t={int(time.time())},v1={signature(b'hush', b'%d.' % time.time(), body)}"
            },
        ),
        (
            "slack",
            lambda body: {
                "X-Slack-Signature": f"v0={signature(b'hush', b'v0:%d:' % time.time(), body)}",
                "X-Slack-Request-Timestamp": str(int(time.time())),
            },
        ),
    ],
)
def test_each_scheme_lets_in_what_is_signed_and_nothing_else(
    make_webhook: Any, knock: Knock, monkeypatch: pytest.MonkeyPatch, scheme: str, headers: Any
) -> None:
    monkeypatch.setattr(time, "time", lambda: float(STRIPE_TIME))
    webhook = make_webhook(scheme=scheme, secret="hush", header="X-Acme" if scheme == "generic" else None)
    body = b'{"id": "evt_1", "event_id": "Ev1"}'
    signed = headers(body)
    unsigned = knock(webhook, body)
    changed = knock(webhook, body + b" ", headers=signed)
    assert (unsigned.status_code, changed.status_code) == (401, 401)
    assert unsigned.json()["error"] == "invalid_signature"
    assert not Event.objects.exists()
    assert knock(webhook, body, headers=signed).status_code == 202
    monkeypatch.setattr(time, "time", lambda: STRIPE_TIME + 301.0)
    late = knock(webhook, body, headers=signed)
    assert late.status_code == (401 if scheme in ("stripe", "slack") else 202)


def test_the_signature_is_checked_before_the_body_is_looked_at(make_webhook: Any, knock: Knock) -> None:
    webhook = make_webhook(scheme="github", secret="hush")
    assert knock(webhook, b"not json at all").status_code == 401
    assert knock(webhook, b"\x00\xff", "image/png").status_code == 401


def test_a_scheme_without_a_secret_lets_nobody_in(make_webhook: Any, knock: Knock) -> None:
    answer = knock(make_webhook(scheme="github"), headers={"X-Hub-Signature-256": f"sha256={signature(b'', b'{}')}"})
    assert answer.status_code == 401
    assert "no secret" in answer.json()["message"]


@pytest.mark.parametrize(
    ("options", "body", "content_type", "status", "error", "hint"),
    [
        ({}, b"{", "application/json", 400, "malformed_body", "not JSON"),
        ({}, b'{"a": NaN}', "application/json", 400, "malformed_body", "NaN"),
        ({}, b"[1]", "application/json", 422, "not_an_object", "object"),
        ({}, b"<a/>", "application/xml", 415, "unsupported_media_type", "application/json"),
        ({"networks": ["10.0.0.0/8"]}, b"{}", "application/json", 403, "network_not_allowed", "127.0.0.1"),
        ({"max_bytes": 10}, b'{"a": "0123456789"}', "application/json", 413, "payload_too_large", "10"),
        (
            {"payload_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}},
            b'{"n": "x"}',
            "application/json",
            422,
            "invalid_payload",
            "n",
        ),
    ],
)
def test_what_cannot_be_let_in_is_told_why_and_logged(
    make_webhook: Any, knock: Knock, options: Any, body: bytes, content_type: str, status: int, error: str, hint: str
) -> None:
    answer = knock(make_webhook(**options), body, content_type)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert hint in answer.json()["message"]
    assert not Event.objects.exists()
    logged = WebhookDelivery.objects.get()
    assert (logged.status, logged.trigger_ref, logged.event_id) == (status, "adhoc.knocked", None)
    assert logged.reason == answer.json()["message"][:500]


def test_five_megabytes_are_refused_without_being_read(make_webhook: Any, knock: Knock) -> None:
    webhook = make_webhook()
    assert knock(webhook, b'{"a": "' + b"x" * 5_000_000 + b'"}').status_code == 413
    assert WebhookDelivery.objects.get().size > 5_000_000


def test_an_unknown_key_and_a_closed_webhook_look_the_same(make_webhook: Any, knock: Knock) -> None:
    webhook = make_webhook()
    packs.disable_webhook(webhook, actor="test")
    for key in (webhook.webhook_key, "wh_" + "0" * 32, "wh_short", "wh_" + "G" * 32):
        answer = knock(key)
        assert answer.status_code == 404, key
        assert answer.json()["error"] == "webhook_not_found"
    assert set(WebhookDelivery.objects.values_list("trigger_ref", flat=True)) == {""}


def test_a_disabled_trigger_or_pack_answers_409(make_webhook: Any, knock: Knock) -> None:
    webhook = make_webhook()
    packs.set_enabled(webhook.pack, False, actor="test")
    assert "Pack adhoc is disabled" in knock(webhook).json()["message"]
    packs.set_enabled(webhook, False, actor="test")
    answer = knock(webhook)
    assert answer.status_code == 409
    assert "Trigger adhoc.knocked is disabled; enable it" in answer.json()["message"]


def test_other_methods_are_refused(make_webhook: Any, client: Client) -> None:
    path = f"/api/v1/webhooks/{make_webhook().webhook_key}"
    for method in (client.get, client.put, client.delete, client.patch):
        answer = method(path)
        assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_more_deliveries_than_the_limit_wait_for_the_minute_to_pass(make_webhook: Any, knock: Knock) -> None:
    webhook = make_webhook(rate_limit=3)
    assert [knock(webhook).status_code for _ in range(5)] == [202, 202, 202, 429, 429]
    answer = knock(webhook)
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert answer.json()["error"] == "rate_limit_exceeded"
    oldest = WebhookDelivery.objects.filter(status=202).order_by("id").first()
    assert oldest is not None
    WebhookDelivery.objects.filter(pk=oldest.pk).update(received_at=timezone.now() - timedelta(seconds=61))
    assert [knock(webhook).status_code for _ in range(2)] == [202, 429]


def test_a_flood_of_refusals_is_logged_in_few_rows_that_tell_of_the_rest(
    make_webhook: Any, knock: Knock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(floods.time, "monotonic", lambda: now)
    for _ in range(50):
        knock("wh_" + "0" * 32)
    assert WebhookDelivery.objects.count() == deliveries.MOST_A_SECOND
    now = 1001.0
    knock("wh_" + "0" * 32)
    newest = WebhookDelivery.objects.first()
    assert newest is not None
    assert newest.reason.endswith("(and 45 more like it before)")


def test_a_forwarded_address_counts_only_from_a_trusted_proxy(make_webhook: Any, knock: Knock, settings: Any) -> None:
    webhook = make_webhook(networks=["203.0.113.0/24"])
    headers = {"X-Forwarded-For": "203.0.113.9"}
    assert knock(webhook, headers=headers).status_code == 403
    settings.ATTUNE_TRUSTED_PROXIES = ["127.0.0.0/8"]
    assert knock(webhook, headers=headers).status_code == 202
    assert WebhookDelivery.objects.first().address == "203.0.113.9"  # type: ignore[union-attr]


def test_credentials_in_headers_are_kept_nowhere(make_webhook: Any, knock: Knock) -> None:
    webhook = make_webhook()
    canary = {
        "Authorization": "Bearer CANARY",
        "Cookie": "a=CANARY",
        "X-Hub-Signature-256": "CANARY",
        "X-Api-Key": "CANARY",
    }
    assert knock(webhook, headers=canary).status_code == 202
    event, logged = Event.objects.get(), WebhookDelivery.objects.get()
    assert "CANARY" not in json.dumps([event.payload, event.config, logged.reason, logged.delivery_id])


def test_no_csrf_token_is_asked_for(make_webhook: Any, knock: Knock) -> None:
    assert knock(make_webhook(), client=Client(enforce_csrf_checks=True)).status_code == 202


def test_a_delivery_that_was_received_before_is_answered_so_even_if_the_log_fails(
    make_webhook: Any, knock: Knock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OperationalError("disk full")

    webhook, again = make_webhook(), {"X-GitHub-Delivery": "1"}
    assert knock(webhook, headers=again).status_code == 202
    monkeypatch.setattr(deliveries, "insert", full)
    assert knock(webhook, headers=again).status_code == 202
    assert Event.objects.count() == 1


def test_an_event_that_cannot_be_kept_is_answered_with_a_time_to_try_again(
    make_webhook: Any, knock: Knock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OperationalError("disk full")

    monkeypatch.setattr(Plan, "carry_out", full)
    answer = knock(make_webhook())
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert not Event.objects.exists()
