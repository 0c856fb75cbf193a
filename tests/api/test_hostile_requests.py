"""Requests made to break something: each gets a status below 500, and a refusal is a sentence without our inner life.

Beside the cases that are made up from the OpenAPI document, these are thought out by hand.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.access.models import AuditEntry
from apps.packs import keys
from apps.packs import services as packs
from apps.packs.models import Trigger
from apps.rules.models import Event
from tests.api.hostile import BODIES, DOORS, HEADERS, LISTS, PAGES, PATHS, QUERIES, RAW, VALUES

INNER = re.compile(r"Traceback|File \"|/site-packages/|\bline \d+, in |DJANGO_|SECRET_KEY=|sqlite3|psycopg|<class '")

COUNTED = len(BODIES) * len(DOORS) + sum(len(door) for door in DOORS.values()) * len(VALUES)


@pytest.fixture
def things(db: None, make_trigger: Callable[..., Trigger], settings: Any) -> Trigger:
    """A webhook to knock at; nobody works on what is asked for."""
    settings.ATTUNE_INSTALL_BEGIN = 0.0
    return packs.enable_webhook(make_trigger("adhoc.knocked"), actor="test")


@pytest.fixture
def admin(api: Callable[..., APIClient]) -> APIClient:
    client = api("admin")
    client.raise_request_exception = False
    return client


def fault_of(answer: Any, what: str) -> str:
    """What is wrong with an answer; empty where it is as it should be."""
    text = b"".join(answer.streaming_content) if answer.streaming else answer.content
    said = text.decode("utf-8", "replace")
    if answer.status_code >= 500:
        return f"{what}: {answer.status_code} {said[:300]}"
    if INNER.search(said):
        return f"{what}: {answer.status_code} shows {INNER.search(said)}"
    if any("\n" in f"{value}" for value in answer.headers.values()):
        return f"{what}: a header of the answer holds a line break"
    if answer.status_code >= 400 and answer["Content-Type"].startswith("application/json") and said:
        body = json.loads(said)
        if not body.get("error") or len(body.get("message", "")) < 6:
            return f"{what}: {answer.status_code} without a sentence: {said[:200]}"
    return ""


def ask(client: Any, requests: Iterator[tuple[str, str, Any, dict[str, Any]]]) -> list[str]:
    """Send each; all faults."""
    faults = []
    for method, path, body, more in requests:
        answer = client.generic(method, path, body, **more)
        faults.append(fault_of(answer, f"{method} {path[:80]} {str(body)[:60]} {str(more)[:100]}"))
    return [fault for fault in faults if fault]


JSON = {"content_type": "application/json"}


def test_there_are_more_than_two_hundred_of_them() -> None:
    assert len(BODIES) + len(VALUES) + len(QUERIES) + len(PATHS) + len(HEADERS) + len(PAGES) > 200
    assert COUNTED > 2000


@pytest.mark.parametrize("door", [*DOORS, "webhook"])
def test_no_body_breaks_a_door(things: Trigger, admin: APIClient, door: str) -> None:
    path = f"/api/v1/webhooks/{things.webhook_key}" if door == "webhook" else door
    assert ask(admin, (("POST", path, body, JSON) for body in BODIES)) == []


@pytest.mark.parametrize("door", DOORS)
def test_no_value_of_any_field_breaks_a_door(things: Trigger, admin: APIClient, door: str) -> None:
    def requests() -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
        for field in DOORS[door]:
            for value in VALUES:
                yield "POST", door, json.dumps(DOORS[door] | {field: value}, allow_nan=False).encode(), JSON

    assert ask(admin, requests()) == []


@pytest.mark.parametrize("what", LISTS)
def test_no_query_reaches_further_than_the_list_itself(things: Trigger, admin: APIClient, what: str) -> None:
    assert ask(admin, (("GET", f"/api/v1/{what}?{query}", b"", {}) for query in QUERIES)) == []


@pytest.mark.parametrize(
    "query", [query for query in QUERIES if re.match(r"\w*__\w+=|_connector|_negated|order", query)]
)
def test_names_of_the_orm_in_a_query_change_no_answer(things: Trigger, admin: APIClient, query: str) -> None:
    """Neither what is found nor in which order: so nothing can be guessed letter by letter."""
    for value in ("a", "b"):
        Event.objects.create(trigger=things, trigger_ref=things.ref, payload={"a": value})
        keys.write(value=value, local_ref=value, actor="test")
    for what in ("events", "keys", "triggers"):
        plain, asked = (admin.get(f"/api/v1/{what}{end}") for end in ("", f"?{query}"))
        assert (asked.status_code, asked.json()) in ((200, plain.json()), (422, asked.json()))


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_no_address_leads_elsewhere(things: Trigger, admin: APIClient, method: str) -> None:
    assert ask(admin, ((method, path, b"{}", JSON) for path in PATHS)) == []
    for path in PATHS[:8]:
        answer = admin.get(path)
        assert answer.status_code == 404 and b"root:" not in answer.content


@pytest.mark.usefixtures("_server")  # which closes the connections of the streams' threads
@pytest.mark.parametrize(
    "path", ["/api/v1/packs", "/auth/login", "/api/v1/executions/stream", "/health", "/metrics", "/docs"]
)
def test_no_header_breaks_anything(things: Trigger, admin: APIClient, path: str) -> None:
    for client in (admin, APIClient(raise_request_exception=False)):
        for method in ("GET", "POST"):
            for headers in HEADERS:
                named = dict(headers)
                kind = named.pop("Content-Type", "application/json")
                if method == "GET" and path.endswith("stream") and client is admin and "Authorization" not in named:
                    continue  # that would be a stream without end
                answer = client.generic(method, path, b"{}", content_type=kind, headers=named)
                assert fault_of(answer, f"{method} {path} {str(headers)[:100]}") == ""
                assert "evil" not in str(dict(answer.headers)).lower()


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL"])
def test_no_header_changes_what_is_asked_for(things: Trigger, api: Callable[..., APIClient], header: str) -> None:
    answer = api("viewer").get(f"/api/v1/triggers/{things.ref}", headers={header: "DELETE"})
    assert answer.json()["data"]["ref"] == things.ref
    assert Trigger.objects.filter(ref=things.ref).exists()


def test_a_request_id_that_would_break_a_header_or_a_log_line_is_replaced(admin: APIClient) -> None:
    for given in ("a\r\nX-Evil: 1", "a b", "\x1b[31m", "é", "a" * 65, ""):
        answer = admin.get("/api/v1/packs", headers={"X-Request-ID": given})
        assert re.fullmatch(r"[0-9a-f-]{36}", answer["X-Request-ID"]), given


def test_no_query_breaks_a_page_of_the_admin(things: Trigger, people: Callable[[str], Any]) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(people("admin"))
    assert ask(client, (("GET", path, b"", {}) for path in PAGES)) == []


@pytest.mark.parametrize(
    "lookup",
    [
        "auth/user/?password__startswith=argon2",
        "packs/trigger/?webhook_key__startswith=wh_",
        "packs/trigger/?webhook_secret__gt=a",
        "packs/key/?sealed__gt=a",
        "access/apitoken/?digest__startswith=a",
        "packs/packindex/?sealed__gt=a",
        "executions/execution/?parameters__secret__startswith=a",
        "executions/execution/?action__pack__config__token__startswith=a",
    ],
)
@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_no_secret_is_guessed_letter_by_letter_with_a_filter_of_the_admin(
    things: Trigger, people: Callable[[str], Any], lookup: str, role: str
) -> None:
    client = Client()
    client.force_login(people(role))
    assert client.get(f"/admin/{lookup}").status_code in (302, 400, 403, 404)


def test_what_was_refused_left_nothing_behind(things: Trigger, admin: APIClient) -> None:
    for body in BODIES:
        admin.generic("POST", "/api/v1/keys", body, content_type="application/json")
    assert not AuditEntry.objects.filter(action="key.create").exists()


# On the wire ---------------------------------------------------------------------------------------------------------
def test_no_bytes_on_the_wire_break_the_server(server: str, caplog: pytest.LogCaptureFixture) -> None:
    address = urlsplit(server)
    for raw in RAW:
        with socket.create_connection((address.hostname, address.port), timeout=20) as link:
            link.sendall(raw.replace(b"{host}", address.netloc.encode()))
            link.shutdown(socket.SHUT_WR)
            received = b""
            try:
                while part := link.recv(65_536):
                    received += part
            except ConnectionResetError:
                pass
        status = int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/") else 0
        assert status < 500, f"{raw[:80]!r}: {received[:300]!r}"
        assert b"Traceback" not in received and b"root:" not in received and b"CANARY" not in received
    assert "Traceback" not in caplog.text
