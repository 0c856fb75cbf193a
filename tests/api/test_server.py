"""The real server: bodies without a length, odd headers and addresses, many at once."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from apps.access.models import AuditEntry
from apps.packs.models import Pack

NEW_PACK = {"ref": "chunky", "label": "Chunky — ✓", "version": "1.0.0"}


@pytest.fixture
def chunked(server: str, token_of: Callable[[str], str]) -> Callable[..., tuple[int, Any]]:
    """POST a body in chunks, without Content-Length, as Node's `http.request` does."""

    def post(path: str, chunks: Iterator[bytes] | list[bytes]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=30)
        headers = {"Authorization": f"Bearer {token_of('admin')}", "Content-Type": "application/json"}
        try:
            connection.request("POST", path, body=iter(chunks), headers=headers, encode_chunked=True)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return post


def test_a_chunked_body_is_read_whole(chunked: Callable[..., tuple[int, Any]]) -> None:
    body = json.dumps(NEW_PACK).encode()
    status, answer = chunked("/api/v1/packs", [body[:1], body[1:20], body[20:]])
    assert status == 201, answer
    assert answer["data"]["label"] == "Chunky — ✓"


def test_a_chunked_body_that_is_too_large_is_413(chunked: Callable[..., tuple[int, Any]], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
    status, answer = chunked("/api/v1/packs", [b'{"ref": "', *[b"x" * 1000] * 30, b'"}'])
    assert status == 413
    assert answer["error"] == "too_large"


def test_a_declared_body_that_is_too_large_is_413(http: Callable[..., httpx.Client], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
    answer = http("admin").post("/api/v1/packs", json=NEW_PACK | {"description": "x" * 20_000})
    assert answer.status_code == 413
    assert answer.json()["error"] == "too_large"


def test_a_body_that_breaks_off_changes_nothing(server: str, token_of: Callable[[str], str]) -> None:
    address = urlsplit(server)
    with socket.create_connection((address.hostname, address.port), timeout=10) as wire:
        head = (
            f"POST /api/v1/packs HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token_of('admin')}\r\nContent-Length: 5000\r\n\r\n"
        )
        wire.sendall(head.encode() + json.dumps(NEW_PACK).encode())
    assert httpx.get(f"{server}/health/live", trust_env=False).status_code == 200
    assert not Pack.objects.exists()


@pytest.mark.parametrize(
    "target", ["/api/v1/packs?q=%ff%fe", "/api/v1/packs/%ff", "/api/v1/packs/a%00b", "/api/v1/keys/a%00b"]
)
def test_bytes_that_are_no_text_break_nothing(http: Callable[..., httpx.Client], target: str) -> None:
    answer = http("admin").get(target)
    assert answer.status_code in (200, 404), answer.text
    assert answer.headers["content-type"] == "application/json"


def test_a_query_of_raw_bytes_breaks_nothing(server: str, token_of: Callable[[str], str]) -> None:
    address = urlsplit(server)
    with socket.create_connection((address.hostname, address.port), timeout=10) as wire:
        head = f"Host: {address.netloc}\r\nConnection: close\r\nAuthorization: Bearer {token_of('viewer')}\r\n\r\n"
        wire.sendall(b"GET /api/v1/packs?q=\xff\xe4 HTTP/1.1\r\n" + head.encode())
        answer = wire.recv(65_536)
    assert answer.split(b" ", 2)[1] in (b"200", b"400")


def test_a_header_with_underscores_does_not_pass_for_the_real_one(
    http: Callable[..., httpx.Client], settings: Any
) -> None:
    settings.ATTUNE_TRUSTED_PROXIES = ["127.0.0.1"]
    client = http("")
    for header in ("X_Forwarded_For", "X-Forwarded-For"):
        client.post("/auth/login", json={"login": header, "password": "wrong"}, headers={header: "198.51.100.9"})
    origins = dict(AuditEntry.objects.values_list("target", "origin"))
    assert origins == {"X_Forwarded_For": "127.0.0.1", "X-Forwarded-For": "198.51.100.9"}


def test_many_requests_at_once_are_all_answered(http: Callable[..., httpx.Client]) -> None:
    client = http("editor")

    def make(number: int) -> int:
        return client.post("/api/v1/packs", json=NEW_PACK | {"ref": f"p{number}"}).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(make, range(40))) == {201}
    assert Pack.objects.count() == 40


def test_of_many_who_make_one_pack_one_does(http: Callable[..., httpx.Client]) -> None:
    client = http("editor")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/api/v1/packs", json=NEW_PACK), range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7, [a.text for a in answers]


def test_whoever_types_the_bare_address_is_led_to_the_admin(http: Callable[..., httpx.Client]) -> None:
    answer = http("").get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_health_answers_without_a_token(http: Callable[..., httpx.Client]) -> None:
    client = http("")
    for path in ("/health", "/health/live", "/health/ready"):
        assert client.get(path).json()["status"] == "ok"
    details = client.get("/health/detailed").json()
    assert details["database"] == details["broker"] == "connected"
    assert details["status"] == "degraded"  # no worker is alive
    assert details["version"]


def test_health_answers_even_with_a_wrong_token(http: Callable[..., httpx.Client]) -> None:
    assert http(token="wrong").get("/health/ready").status_code == 200


def test_the_document_and_its_page_need_no_token_and_nothing_from_elsewhere(http: Callable[..., httpx.Client]) -> None:
    client = http("")
    document = client.get("/api-spec/openapi.json")
    assert document.headers["content-type"].startswith("application/")
    assert document.json()["openapi"].startswith("3.1")
    page = client.get("/docs").text
    assert "https://" not in page
    assert "//" not in page.replace("</", "")
    for name in ("docs.css", "docs.js"):
        assert f"/static/attune/{name}" in page
        assert client.get(f"/static/attune/{name}").status_code == 200
