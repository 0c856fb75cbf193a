"""The front line of webhooks: what strangers can send, and what it does not do for them."""

from __future__ import annotations

import gzip
import hmac
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client, RequestFactory

from apps.access.models import AuditEntry
from apps.access.origin import client_address
from apps.packs import services as packs
from apps.packs.models import Trigger
from apps.rules.models import Event
from apps.sensors import deliveries, receiver, signatures
from apps.sensors.models import WebhookDelivery
from apps.sensors.signatures import signature
from apps.sensors.webhooks import CREDENTIALS, KEPT_HEADERS, Options, delivery_id

pytestmark = pytest.mark.django_db
SECRET = "It-is-a-secret"
NAMES = {"github": "X-Hub-Signature-256", "generic": "X-Hub-Signature-256", "attune": "X-Webhook-Signature"}


@pytest.fixture(autouse=True)
def _forget_refusals() -> None:
    deliveries._flood.clear()


@pytest.fixture
def hook(make_trigger: Callable[..., Trigger]) -> Callable[..., Trigger]:
    """A trigger open as a webhook, with these options and this secret."""

    def make(
        name: str = "knocked", *, secret: str = SECRET, payload_schema: dict[str, Any] | None = None, **options: Any
    ) -> Trigger:
        trigger = make_trigger(f"adhoc.{name}", payload_schema=payload_schema or {})
        packs.enable_webhook(trigger, actor="test")
        packs.set_webhook_options(trigger, options, secret=secret, actor="test")
        return trigger

    return make


def send(at: Trigger | str, body: bytes = b"{}", content_type: str = "application/json", **headers: str) -> Any:
    """POST to a webhook; headers as Python's names of them."""
    key = at.webhook_key if isinstance(at, Trigger) else at
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client().post(f"/api/v1/webhooks/{key}", data=body, content_type=content_type, headers=named)


def proof(body: bytes, *before: bytes) -> str:
    return signature(SECRET.encode(), *before, body)


def github(body: bytes) -> dict[str, str]:
    return {"X_Hub_Signature_256": f"sha256={proof(body)}"}


def stripe(body: bytes, at: int) -> dict[str, str]:
    return {"Stripe_Signature": f"t={at},v1={proof(body, str(at).encode(), b'.')}"}


def slack(body: bytes, at: int) -> dict[str, str]:
    signed = proof(body, b"v0:", str(at).encode(), b":")
    return {"X_Slack_Request_Timestamp": str(at), "X_Slack_Signature": f"v0={signed}"}


# Authentication comes first ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[" * 100_000, "application/json"),
        (b'{"a": 1', "application/json"),
        (gzip.compress(b"{}", mtime=0), "application/json"),
        (b"&".join(b"a=1" for _ in range(100_000)), "application/x-www-form-urlencoded"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>", "application/xml"),
    ],
)
def test_whoever_cannot_sign_gets_nothing_parsed(
    hook: Any, monkeypatch: pytest.MonkeyPatch, body: bytes, content_type: str
) -> None:
    looked: list[bytes] = []
    monkeypatch.setattr(receiver.webhooks, "read_body", lambda body, kind: looked.append(body) or {})
    webhook = hook(scheme="github")
    for headers in ({}, github(body + b" ")):
        assert send(webhook, body, content_type, **headers).status_code == 401
    assert looked == []


def test_a_ping_needs_a_signature_like_any_other(hook: Any) -> None:
    assert send(hook(scheme="github"), b'{"zen": "x"}', X_GitHub_Event="ping").status_code == 401
    assert not Event.objects.exists()


def test_what_the_payload_has_to_look_like_is_told_to_those_who_can_sign_only(hook: Any) -> None:
    webhook = hook(
        scheme="github", payload_schema={"type": "object", "properties": {"hidden_name": {"type": "integer"}}}
    )
    body = b'{"hidden_name": "x"}'
    assert b"hidden_name" not in send(webhook, body).content
    assert b"hidden_name" in send(webhook, body, **github(body)).content


@pytest.mark.parametrize("scheme", sorted(NAMES))
def test_a_proof_that_is_wrong_at_its_first_or_last_digit_gets_the_very_same_answer(hook: Any, scheme: str) -> None:
    webhook, right = hook(scheme=scheme), proof(b"{}")
    answers = []
    for at in (0, 1, 31, 63):
        wrong = right[:at] + ("0" if right[at] != "0" else "1") + right[at + 1 :]
        answer = send(webhook, **{NAMES[scheme].replace("-", "_"): f"sha256={wrong}"})
        answers.append((answer.status_code, answer.content))
    assert set(answers) == {(401, answers[0][1])}
    assert right.encode() not in answers[0][1]


def test_each_proof_is_compared_in_constant_time_and_all_of_them_whichever_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest
    monkeypatch.setattr(signatures.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    right, wrong = proof(b"{}", b"1000", b"."), "0" * 64
    for proofs in ([right, wrong, wrong], [wrong, wrong, right]):
        given = ",".join(["t=1000", *(f"v1={each}" for each in proofs)])
        headers = {"stripe-signature": given}
        signatures.check("stripe", secret=SECRET.encode(), headers=headers, body=b"{}", now=1000)
    assert len(compared) == 6
    assert {first for first, _ in compared} == {right.encode()}


@pytest.mark.parametrize("scheme", [*NAMES, "slack"])
def test_a_signature_that_is_sent_twice_is_refused_wherever_the_right_one_stands(hook: Any, scheme: str) -> None:
    """Two headers of one name reach us joined by a comma."""
    webhook, at = hook(scheme=scheme), int(time.time())
    right = slack(b"{}", at) if scheme == "slack" else {NAMES[scheme].replace("-", "_"): f"sha256={proof(b'{}')}"}
    name = "X_Slack_Signature" if scheme == "slack" else next(iter(right))
    assert send(webhook, **right).status_code == 202
    wrong = right[name].partition("=")[0] + "=" + "0" * 64
    for twice in (f"{right[name]},{wrong}", f"{wrong},{right[name]}", f"{right[name]},{right[name]}"):
        assert send(webhook, **(right | {name: twice})).status_code == 401, twice


def test_two_times_in_one_header_are_refused(hook: Any) -> None:
    at = int(time.time())
    right = stripe(b"{}", at)["Stripe_Signature"]
    webhook = hook(scheme="stripe")
    assert send(webhook, Stripe_Signature=f"t={at - 9999},{right}").status_code == 401
    assert send(webhook, Stripe_Signature=f"{right},t={at}").status_code == 401


# Sent again by somebody who heard it ---------------------------------------------------------------------------------
@pytest.mark.parametrize("sign", [stripe, slack])
def test_a_delivery_heard_and_sent_again_within_the_tolerance_is_the_same_event(hook: Any, sign: Any) -> None:
    webhook, at, body = hook(scheme=sign.__name__), int(time.time()), b'{"order": 1}'
    first = send(webhook, body, **sign(body, at)).json()
    again = send(webhook, body, **sign(body, at), Idempotency_Key="new", X_GitHub_Delivery="new")
    assert again.json()["event_id"] == first["event_id"]
    assert "received before" in again.json()["message"]
    assert send(webhook, body, **sign(body, at - 1)).json()["event_id"] != first["event_id"]  # signed anew
    assert Event.objects.count() == 2


def test_stripes_own_id_is_what_a_delivery_is_known_by_when_it_has_one(hook: Any) -> None:
    webhook, at, body = hook(scheme="stripe"), int(time.time()), b'{"id": "evt_1"}'
    first = send(webhook, body, **stripe(body, at)).json()
    assert send(webhook, body, **stripe(body, at - 5)).json()["event_id"] == first["event_id"]


def test_nothing_else_of_the_header_makes_a_heard_delivery_a_new_one(hook: Any) -> None:
    webhook, at = hook(scheme="stripe"), int(time.time())
    right = stripe(b"{}", at)["Stripe_Signature"]
    numbers = {
        send(webhook, Stripe_Signature=given).json()["event_id"]
        for given in (right, f"{right},v1={'0' * 64}", f"{right},v0=x", right.replace(",", " , "))
    }
    assert len(numbers) == 1


# Bodies --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"])
def test_a_compressed_body_is_not_unpacked_even_for_those_who_can_sign(hook: Any, encoding: str) -> None:
    bomb = gzip.compress(b'{"a": "' + b"x" * 50_000_000 + b'"}')
    answer = send(hook(scheme="github"), bomb, Content_Encoding=encoding, **github(bomb))
    assert answer.status_code == 415
    assert "send the body as it is" in answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested"),
        (b'{"a": ' + b"9" * 500_000 + b"}", "digits"),
        (b'{"a": 1e400}', "too large"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"\\ud800": 1}', "surrogate"),
        (gzip.compress(b"{}", mtime=0), "JSON"),
    ],
)
def test_a_body_that_would_hurt_later_readers_is_refused_with_the_reason(hook: Any, body: bytes, said: str) -> None:
    answer = send(hook(scheme="github"), body, **github(body))
    assert answer.status_code == 400
    assert said in answer.json()["message"]
    assert not Event.objects.exists()


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 30, "9" * 5000, "0x10", "1,1", " "])
def test_a_length_that_is_none_is_answered_all_the_same(hook: Any, length: str) -> None:
    answer = Client().post(
        f"/api/v1/webhooks/{hook(secret='').webhook_key}",
        data=b"{}",
        content_type="application/json",
        CONTENT_LENGTH=length,
    )
    assert answer.status_code in (202, 400, 413, 422)


def test_forged_deliveries_do_not_use_up_what_the_true_sender_may_send(hook: Any) -> None:
    webhook = hook(scheme="github", rate_limit=2)
    assert {send(webhook, X_Hub_Signature_256="sha256=" + "0" * 64).status_code for _ in range(20)} == {401}
    assert [send(webhook, **github(b"{}")).status_code for _ in range(3)] == [202, 202, 429]


# What is kept --------------------------------------------------------------------------------------------------------
def test_no_header_that_lets_somebody_in_is_written_down_anywhere(hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canaries = dict.fromkeys(sorted(CREDENTIALS | {"x-csrftoken", "x-amz-security-token", "forwarded"}), "CANARY-1a2b")
    for name, secret in (("open", ""), ("signed", SECRET)):
        send(
            hook(name, secret=secret),
            b'{"a": 1}',
            **{name.replace("-", "_"): value for name, value in canaries.items()},
        )
    rows = [
        *Event.objects.values("payload", "config", "dedup_key", "source"),
        *WebhookDelivery.objects.values(),
        *AuditEntry.objects.values(),
    ]
    assert WebhookDelivery.objects.count() == 2
    assert "CANARY-1a2b" not in json.dumps(rows, default=str) + caplog.text


def test_no_header_is_both_kept_and_a_credential() -> None:
    assert CREDENTIALS.isdisjoint(KEPT_HEADERS)


@pytest.mark.parametrize("header", sorted(CREDENTIALS))
def test_a_credential_taken_for_the_delivery_id_is_kept_as_its_hash(header: str) -> None:
    options = Options(dedup_header=header)
    found = delivery_id(options, {header: "CANARY"}, {})
    assert found.startswith("sha256:") and "CANARY" not in found
    assert delivery_id(options, {}, {}) == ""


# Who it was ----------------------------------------------------------------------------------------------------------
SPOOFS = [
    {"HTTP_X_FORWARDED_FOR": "203.0.113.9"},
    {"HTTP_X_FORWARDED_FOR": "127.0.0.1, 203.0.113.9"},
    {"HTTP_X_REAL_IP": "203.0.113.9"},
    {"HTTP_FORWARDED": "for=203.0.113.9"},
    {"HTTP_X_CLIENT_IP": "203.0.113.9"},
    {"HTTP_TRUE_CLIENT_IP": "203.0.113.9"},
    {"HTTP_CF_CONNECTING_IP": "203.0.113.9"},
    {"HTTP_X_ORIGINATING_IP": "203.0.113.9"},
    {"HTTP_X_CLUSTER_CLIENT_IP": "203.0.113.9"},
]


@pytest.mark.parametrize("headers", SPOOFS, ids=lambda headers: next(iter(headers)))
def test_no_header_changes_who_a_stranger_is(headers: dict[str, str]) -> None:
    assert client_address(RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", **headers)) == "192.0.2.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # what a client wrote itself stands further left
        ("10.0.0.1", "127.0.0.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, <script>", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:4711", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9\n127.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "١٢٧.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "0x7f.1", "10.0.0.1"),
        ("192.0.2.1", "127.0.0.1", "192.0.2.1"),
        ("", "127.0.0.1", ""),
    ],
)
def test_a_proxy_that_is_trusted_is_believed_one_step_at_a_time(
    settings: Any, peer: str, forwarded: str, address: str
) -> None:
    settings.ATTUNE_TRUSTED_PROXIES = ["10.0.0.0/8"]
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == address


# What strangers can find out -----------------------------------------------------------------------------------------
def test_keys_that_were_never_there_and_keys_that_are_closed_get_one_answer(hook: Any) -> None:
    closed = hook()
    packs.disable_webhook(closed, actor="test")
    keys = [closed.webhook_key, closed.webhook_key.upper(), "wh_" + "0" * 32, "wh_" + "0" * 33, "wh_", "x", "wh_%27"]
    answers = {(answer.status_code, answer.content) for answer in map(send, keys)}
    assert len(answers) == 1
    assert next(iter(answers))[0] == 404


def test_a_key_is_128_random_bits_and_a_new_one_shuts_the_old_one_out(hook: Any) -> None:
    webhook = hook(secret="")
    old = webhook.webhook_key
    new = packs.rotate_webhook_key(webhook, actor="test").webhook_key
    assert receiver.KEY.match(old) and receiver.KEY.match(new) and old != new
    assert (send(old).status_code, send(new).status_code) == (404, 202)


@pytest.mark.parametrize("header", ["X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"])
def test_a_get_does_not_become_a_post_by_a_header(hook: Any, header: str) -> None:
    path = f"/api/v1/webhooks/{hook(secret='').webhook_key}"
    answer = Client().get(path, headers={header.replace("_", "-"): "POST"})
    assert answer.status_code == 405
    assert not Event.objects.exists()
