"""What a webhook makes of networks, content types, bodies and headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from apps.sensors import webhooks
from apps.sensors.errors import BodyNotAnObject, BodyUnreadable, ContentTypeRefused, NetworkRefused
from apps.sensors.webhooks import Options

GITHUB = sorted((Path(__file__).parent.parent / "data" / "webhooks").glob("github_*.json"))


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("203.0.113.9", ()),
        ("", ()),
        ("203.0.113.9", ("203.0.113.0/24",)),
        ("203.0.113.9", ("10.0.0.0/8", "203.0.113.9")),
        ("::ffff:203.0.113.9", ("203.0.113.0/24",)),
        ("2001:db8::7", ("2001:db8::/32",)),
        ("203.0.113.9", ("203.0.113.77/24",)),
    ],
)
def test_a_sender_from_an_allowed_network_may_knock(address: str, networks: tuple[str, ...]) -> None:
    webhooks.check_network(address, networks)


@pytest.mark.parametrize(
    ("address", "networks", "hint"),
    [
        ("203.0.113.9", ("10.0.0.0/8",), "203.0.113.9"),
        ("2001:db8::7", ("10.0.0.0/8",), "none of the networks"),
        ("", ("10.0.0.0/8",), "unknown"),
        ("not-an-address", ("10.0.0.0/8",), "unknown"),
        ("10.1.1.1", ("10.0.0.0/99",), "list of networks is wrong"),
    ],
)
def test_any_other_sender_is_refused(address: str, networks: tuple[str, ...], hint: str) -> None:
    with pytest.raises(NetworkRefused, match=hint):
        webhooks.check_network(address, networks)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "json"),
        ("application/json; charset=utf-8", "json"),
        ('Application/JSON; charset="UTF-8"', "json"),
        ("application/cloudevents+json", "json"),
        ("application/vnd.github+json", "json"),
        ("", "json"),
        ("application/x-www-form-urlencoded", "form"),
    ],
)
def test_json_and_forms_are_read(content_type: str, kind: str) -> None:
    assert webhooks.check_kind(content_type) == kind


@pytest.mark.parametrize(
    ("content_type", "encoding", "hint"),
    [
        ("text/plain", "", "text/plain"),
        ("multipart/form-data; boundary=x", "", "multipart"),
        ("application/xml", "", "application/xml"),
        ("application/json; charset=utf-16", "", "utf-16"),
        ("application/json", "gzip", "gzip"),
    ],
)
def test_another_kind_of_body_is_told_what_to_send(content_type: str, encoding: str, hint: str) -> None:
    with pytest.raises(ContentTypeRefused, match=hint):
        webhooks.check_kind(content_type, encoding)


@pytest.mark.parametrize(
    ("body", "kind", "payload"),
    [
        (b'{"a": 1}', "json", {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', "json", {"a": 1}),
        (b"", "json", {}),
        (b"  \n", "form", {}),
        (b'{"payload": {"a": 1}}', "json", {"a": 1}),
        (b'{"payload": {"a": 1}, "headers": {"x": 1}, "source_ip": null, "user_agent": "c"}', "json", {"a": 1}),
        (b'{"payload": {"a": 1}, "id": 7}', "json", {"payload": {"a": 1}, "id": 7}),
        (b'{"payload": [1]}', "json", {"payload": [1]}),
        (b'{"payload": "text"}', "json", {"payload": "text"}),
        (b"a=1&b=x+y&c=%C3%BC", "form", {"a": "1", "b": "x y", "c": "ü"}),
        (b"a=1&a=2&a=3&b=", "form", {"a": ["1", "2", "3"], "b": ""}),
        (urlencode({"payload": '{"action": "opened"}'}).encode(), "form", {"action": "opened"}),
        (
            urlencode({"payload": '{"action": "opened"}', "x": "1"}).encode(),
            "form",
            {"payload": '{"action": "opened"}', "x": "1"},
        ),
        (b'{"sent": "by curl -d"}', "form", {"sent": "by curl -d"}),
    ],
)
def test_a_body_becomes_a_payload(body: bytes, kind: str, payload: dict[str, Any]) -> None:
    assert webhooks.read_body(body, kind) == payload


@pytest.mark.parametrize(
    ("body", "kind", "error", "hint"),
    [
        (b"{", "json", BodyUnreadable, "not JSON"),
        (b"\xff", "json", BodyUnreadable, "UTF-8"),
        (b"[1]", "json", BodyNotAnObject, "object"),
        (b"null", "json", BodyNotAnObject, "object"),
        (b'"x"', "json", BodyNotAnObject, "object"),
        (b'{"a": NaN}', "json", BodyUnreadable, "NaN"),
        (b'{"a": 1e999}', "json", BodyUnreadable, "too large"),
        (b'{"a": "\\u0000"}', "json", BodyUnreadable, "NUL"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "json", BodyUnreadable, "nested"),
        (b"a=%00", "form", BodyUnreadable, "NUL"),
        (b"a=%ff", "form", BodyUnreadable, "UTF-8"),
        (b"&".join(b"a%d=1" % number for number in range(1001)), "form", BodyUnreadable, "1000 fields"),
        (urlencode({"payload": '{"broken'}).encode(), "form", BodyUnreadable, "not JSON"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_why(body: bytes, kind: str, error: type[Exception], hint: str) -> None:
    with pytest.raises(error, match=hint):
        webhooks.read_body(body, kind)


@pytest.mark.parametrize("file", GITHUB, ids=lambda path: path.stem)
def test_githubs_own_examples_are_taken_as_they_are_in_both_its_content_types(file: Path) -> None:
    body = file.read_bytes()
    assert webhooks.read_body(body, "json") == json.loads(body)
    assert webhooks.read_body(urlencode({"payload": body.decode()}).encode(), "form") == json.loads(body)


@pytest.mark.parametrize(
    ("options", "headers", "payload", "expected"),
    [
        (Options(), {}, {}, ""),
        (Options(scheme="github"), {"x-github-delivery": "72d3162e"}, {}, "72d3162e"),
        (Options(), {"webhook-id": "msg_1"}, {}, "msg_1"),
        (Options(), {"idempotency-key": "k"}, {"id": "not me"}, "k"),
        (Options(scheme="stripe"), {"idempotency-key": "k"}, {"id": "evt_1"}, "evt_1"),
        (Options(scheme="stripe"), {}, {"id": 5}, ""),
        (Options(scheme="slack"), {}, {"event_id": "Ev1"}, "Ev1"),
        (Options(dedup_header="x-my-id"), {"x-my-id": " 9 ", "x-github-delivery": "other"}, {}, "9"),
        (Options(dedup_header="x-my-id"), {"x-github-delivery": "other"}, {}, ""),
    ],
)
def test_the_senders_own_id_is_found(
    options: Options, headers: dict[str, str], payload: dict[str, Any], expected: str
) -> None:
    assert webhooks.delivery_id(options, headers, payload) == expected


def test_where_the_time_is_signed_no_header_says_what_is_the_same_delivery() -> None:
    options = Options(scheme="slack", dedup_header="x-my-id")
    assert {webhooks.delivery_id(options, {"x-my-id": id}, {}, mark="signed:1") for id in ("1", "2")} == {"signed:1"}
    assert webhooks.delivery_id(options, {"x-my-id": "1"}, {"event_id": "Ev1"}, mark="signed:1") == "Ev1"


@pytest.mark.parametrize("odd", ["i" * 301, "a\x00b", "\ud800"])
def test_an_id_that_cannot_be_kept_is_kept_as_its_hash(odd: str) -> None:
    found = webhooks.delivery_id(Options(scheme="stripe"), {}, {"id": odd})
    assert found.startswith("sha256:")
    assert len(found) == 71


def test_credentials_never_become_part_of_an_event() -> None:
    names = """authorization proxy-authorization cookie x-hub-signature-256 x-hub-signature stripe-signature
    x-slack-signature x-webhook-signature x-gitlab-token x-api-key x-auth-token x-forwarded-for"""
    secret = dict.fromkeys(names.split(), "CANARY")
    kept = webhooks.kept_headers(secret | {"x-github-event": "push", "user-agent": "u" * 900, "content-type": ""})
    assert kept == {"user-agent": "u" * 500, "x-github-event": "push"}


def test_options_left_out_have_their_defaults() -> None:
    assert Options.of({}, has_secret=False, max_bytes=10) == Options(max_bytes=10)
    assert Options.of({}, has_secret=True, max_bytes=10).scheme == "generic"
    given = {"scheme": "stripe", "tolerance": 60, "networks": ["10.0.0.0/8"], "rate_limit": 5, "max_bytes": 99,
             "dedup_header": "X-Id", "header": None}  # fmt: skip
    assert Options.of(given, has_secret=True, max_bytes=10) == Options(
        scheme="stripe", tolerance=60.0, networks=("10.0.0.0/8",), rate_limit=5, max_bytes=99, dedup_header="x-id"
    )
