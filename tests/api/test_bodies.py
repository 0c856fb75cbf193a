"""Bodies on the wire: slow, silent, broken, ambiguous and too many. Nobody else waits for them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from apps.packs import services as packs
from apps.packs.models import Pack, Trigger
from apps.rules.models import Event
from apps.sensors.signatures import signature
from attune import asgi, bodies
from tests.conftest import until

Wire = Callable[..., socket.socket]


@pytest.fixture
def wire(server: str) -> Iterator[Wire]:
    """A connection on which this request line, these headers and this beginning of a body were sent."""
    address = urlsplit(server)
    with ExitStack() as opened:

        def connect(target: str, *headers: str, body: bytes = b"", kind: str = "application/json") -> socket.socket:
            link = opened.enter_context(socket.create_connection((address.hostname, address.port), timeout=30))
            head = [f"{target} HTTP/1.1", f"Host: {address.netloc}", f"Content-Type: {kind}", *headers]
            link.sendall("\r\n".join([*head, "", ""]).encode() + body)
            return link

        yield connect


def answer_of(link: socket.socket) -> tuple[int, str]:
    """The status and all the rest; 0 where the server only hung up."""
    received = b""
    while b"\r\n\r\n" not in received:
        try:
            part = link.recv(65_536)
        except ConnectionResetError:
            break
        if not part:
            break
        received += part
    return (int(received.split(b" ", 2)[1]) if received else 0), received.decode("utf-8", "replace")


@pytest.fixture
def hook(server: str, make_trigger: Callable[..., Trigger]) -> Trigger:
    trigger = make_trigger("adhoc.knocked")
    return packs.enable_webhook(trigger, actor="test")


def test_many_slow_senders_keep_no_thread_from_anybody_else(wire: Wire, server: str) -> None:
    """More of them than the server has threads, each with a body that is on its way for ever."""
    for _ in range(3 * asgi.THREADS):
        wire("POST /auth/login", "Content-Length: 200000", body=b'{"login": "' + b"x" * 70_000)
        wire("POST /auth/login", "Transfer-Encoding: chunked", body=b"5\r\n{    \r\n")
    with httpx.Client(base_url=server, timeout=20, trust_env=False) as client:
        assert client.post("/auth/login", json={"login": "nobody", "password": "wrong"}).status_code == 401
        assert client.post("/auth/login", json={"login": "x" * 100_000, "password": "wrong"}).status_code < 500


def test_those_who_send_more_than_any_form_may_have_wait_for_one_another_alone(wire: Wire, server: str) -> None:
    for _ in range(2 * asgi.THREADS):
        wire("POST /auth/login", "Content-Length: 900000000", body=b"x" * 1000)
    with httpx.Client(base_url=server, timeout=20, trust_env=False) as client:
        assert client.post("/auth/login", json={"login": "nobody", "password": "wrong"}).status_code == 401


def test_bodies_under_way_have_a_bound_together_and_make_room_when_they_end(
    wire: Wire, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_rest = bodies.Body.together
    monkeypatch.setattr(bodies, "MOST_TOGETHER", at_rest + 200_000)
    first = wire("POST /auth/login", "Content-Length: 190000", body=b"x" * 150_000)
    until(lambda: bodies.Body.together >= at_rest + 150_000, "the first body to be under way")
    with httpx.Client(base_url=server, timeout=20, trust_env=False) as client:
        crowded = client.post("/auth/login", content=b"{" + b" " * 100_000 + b"}")
        assert (crowded.status_code, crowded.headers["Retry-After"]) == (503, "5")
        assert crowded.json()["error"] == "unavailable"
        assert client.post("/auth/login", json={"login": "a", "password": "b"}).status_code == 401  # small ones go on
        first.close()
        until(lambda: bodies.Body.together == at_rest, "room again")
        assert client.post("/auth/login", content=b"{" + b" " * 100_000 + b"}").status_code in (415, 422)


def test_a_sender_who_falls_silent_is_given_up(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SILENCE", 0.2)
    status, text = answer_of(wire("POST /auth/login", "Transfer-Encoding: chunked", body=b"5\r\n{    \r\n"))
    assert status == 408 and "send it again" in text
    status, text = answer_of(wire("POST /auth/login", "Content-Length: 200000", body=b"{" * 10))
    assert status == 400 and "send it again" in text
    assert bodies.Body.together == 0


def test_half_a_form_in_chunks_is_no_event(wire: Wire, hook: Trigger, server: str) -> None:
    """Where no length is told, a body that breaks off looks whole."""
    head = f"POST /api/v1/webhooks/{hook.webhook_key}"
    form = "application/x-www-form-urlencoded"
    link = wire(head, "Transfer-Encoding: chunked", body=b"f\r\npay=1000&to=ann\r\n", kind=form)
    link.shutdown(socket.SHUT_WR)
    assert answer_of(link)[0] in (0, 408)
    answer = httpx.post(f"{server}/api/v1/webhooks/{hook.webhook_key}", json={"whole": 1}, trust_env=False)
    assert answer.status_code == 202
    assert list(Event.objects.values_list("payload", flat=True)) == [{"whole": 1}]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (("Content-Length: 2", "Content-Length: 30"), b"{}"),
        (("Content-Length: 2", "Transfer-Encoding: chunked"), b"2\r\n{}\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), b"2\r\n{}\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked, gzip",), b"2\r\n{}\r\n0\r\n\r\n"),
        (("Transfer-Encoding : chunked",), b"2\r\n{}\r\n0\r\n\r\n"),
        (("Content-Length: -1",), b"{}"),
        (("Content-Length: +2",), b"{}"),
        (("Content-Length: 0x2",), b"{}"),
        (("Content-Length: 99999999999999999999999",), b"{}"),
        (("Content-Length: 2\n",), b"{}"),
        (("X-Line: a\r\n folded", "Content-Length: 2"), b"{}"),
        (("Transfer-Encoding: chunked",), b"zz\r\n{}\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"-2\r\n{}\r\n0\r\n\r\n"),
    ],
    ids=repr,
)
def test_a_length_that_can_be_read_in_two_ways_lets_no_second_request_in(
    wire: Wire, hook: Trigger, server: str, headers: tuple[str, ...], body: bytes
) -> None:
    """One answer at most, no event but the one asked for, and never a fault of ours."""
    smuggled = f"POST /api/v1/webhooks/{hook.webhook_key} HTTP/1.1\r\nHost: {urlsplit(server).netloc}\r\n".encode()
    smuggled += b"Content-Type: application/json\r\nContent-Length: 14\r\n\r\n" + b'{"smuggled":1}'
    status, _ = answer_of(wire("POST /auth/login", "Connection: close", *headers, body=body + smuggled))
    assert status == 0 or 400 <= status < 500
    assert not Event.objects.exists()


def test_a_signature_that_is_sent_in_two_headers_is_refused(wire: Wire, hook: Trigger) -> None:
    packs.set_webhook_options(hook, {"scheme": "github"}, secret="hush", actor="test")
    right = f"X-Hub-Signature-256: sha256={signature(b'hush', b'{}')}"
    wrong = f"X-Hub-Signature-256: sha256={'0' * 64}"
    target = f"POST /api/v1/webhooks/{hook.webhook_key}"
    assert answer_of(wire(target, right, "Content-Length: 2", body=b"{}"))[0] == 202
    for pair in ((right, wrong), (wrong, right)):
        assert answer_of(wire(target, *pair, "Content-Length: 2", body=b"{}"))[0] == 401
    spoofed = right.replace("-", "_", 3).replace("sha256_", "sha256=")
    assert answer_of(wire(target, spoofed, "Content-Length: 2", body=b"{}"))[0] == 401


def test_a_large_body_arrives_as_it_was_sent(http: Callable[..., httpx.Client], hook: Trigger) -> None:
    client = http("editor")
    for size in (60_000, 70_000, 900_000):
        payload = {"text": "ä" * (size // 2)}
        raw = json.dumps(payload, ensure_ascii=False).encode()
        for content in (raw, (raw[at : at + 9000] for at in range(0, len(raw), 9000))):
            answer = client.post(
                f"/api/v1/webhooks/{hook.webhook_key}", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 202, answer.text
            assert Event.objects.get(pk=answer.json()["event_id"]).payload == payload
    assert bodies.Body.together == 0
    assert not Pack.objects.filter(ref="x").exists()


def test_the_server_itself_is_not_given_up_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of its end by the same kind of message as of a body's next part."""
    monkeypatch.setattr(bodies, "SILENCE", 0.05)
    sent: list[dict[str, Any]] = []

    async def live() -> None:
        messages = iter([({"type": "lifespan.startup"}, 0.0), ({"type": "lifespan.shutdown"}, 0.3)])

        async def receive() -> dict[str, Any]:
            message, after = next(messages)
            await asyncio.sleep(after)
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        await asgi.application({"type": "lifespan"}, receive, send)

    asyncio.run(live())
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# What proxies say ----------------------------------------------------------------------------------------------------
def test_only_a_trusted_proxy_says_that_a_request_came_by_https(settings: Any) -> None:
    def proto(client: Any) -> list[bytes]:
        scope = {
            "headers": [(b"host", b"x"), (b"x-forwarded-proto", b"https"), (b"x_forwarded_proto", b"https")],
            "query_string": b"",
            "client": client,
        }
        return [value for name, value in asgi._plain(scope)["headers"] if name == b"x-forwarded-proto"]

    assert proto(("127.0.0.1", 1)) == []
    settings.ATTUNE_TRUSTED_PROXIES = ["127.0.0.0/8"]
    assert proto(("127.0.0.1", 1)) == proto(("::ffff:127.0.0.1", 1)) == [b"https"]
    assert proto(("192.0.2.1", 1)) == proto(None) == []
