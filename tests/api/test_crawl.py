"""What a stranger reaches: every address with every method, asked without credentials, is what the list says it is.

The list is `tests/data/anonymous.txt`. Whatever is new in it is put there on purpose: run this file with
`ATTUNE_TEST_WRITE=1` and look at the difference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.conftest import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_only]

LIST = ROOT / "tests" / "data" / "anonymous.txt"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
# The only ones that let a stranger in: pages without secrets, doors with locks of their own, signs of life.
OPEN = {
    "/admin/jsi18n/", "/admin/login/", "/admin/logout/", "/api-spec/openapi.json", "/docs",
    "/health", "/health/detailed", "/health/live", "/health/ready",
    "/auth/logout", "/auth/settings",
    "/metrics",  # for this machine alone, as long as there is no token for it
}  # fmt: skip
SAMPLES = {"int": "999999", "slug": "run", "path": "none.none", "ref": "none.none", "str": "none"}


def addresses(resolver: URLResolver | None = None, prefix: str = "/") -> Iterator[str]:
    """Every address of the project, with something in place of each variable part."""
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            plain = re.sub(r"\^|\$|\\Z", "", re.sub(r"\(\?P<\w+>[^)]*\)", "none", path))
            yield re.sub(r"<(?:(\w+):)?\w+>", lambda found: SAMPLES[found[1] or "str"], plain)
        else:
            yield from addresses(pattern, path)


@pytest.fixture(scope="module")
def answers(django_db_setup: Any, django_db_blocker: Any) -> dict[str, dict[str, Any]]:
    """For each address, each method's answer."""
    found: dict[str, dict[str, Any]] = {}
    client = Client(raise_request_exception=False)
    with django_db_blocker.unblock():
        for address in sorted(set(addresses())):
            found[address] = {method: client.generic(method, address, b"") for method in METHODS}
    return found


def listed(answers: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for address, by_method in answers.items():
        statuses: dict[int, list[str]] = {}
        for method, answer in by_method.items():
            statuses.setdefault(answer.status_code, []).append(method)
        lines.append(f"{address} " + "; ".join(f"{status} {' '.join(names)}" for status, names in statuses.items()))
    return lines


def test_a_stranger_reaches_what_the_list_says_and_nothing_else(answers: dict[str, dict[str, Any]]) -> None:
    now = listed(answers)
    if os.environ.get("ATTUNE_TEST_WRITE"):
        LIST.write_text("\n".join(now) + "\n")
    known = LIST.read_text().splitlines()
    assert [line for line in now if line not in known] == [], "not in tests/data/anonymous.txt"
    assert [line for line in known if line not in now] == [], "in tests/data/anonymous.txt, and no more so"


def test_no_address_lets_a_stranger_in_but_those_that_are_meant_to(answers: dict[str, dict[str, Any]]) -> None:
    let_in = {
        address for address, by_method in answers.items() for answer in by_method.values() if answer.status_code < 300
    }
    assert let_in <= OPEN


def test_whoever_is_led_elsewhere_is_led_to_sign_in(answers: dict[str, dict[str, Any]]) -> None:
    for address, by_method in answers.items():
        for method, answer in by_method.items():
            if 300 <= answer.status_code < 400:
                aim = answer["Location"]
                assert aim.startswith("/admin/login/") or (address, aim) == ("/", "/admin/"), f"{method} {address}"


def test_no_answer_shows_anything_of_our_inner_life(answers: dict[str, dict[str, Any]]) -> None:
    inner = re.compile(
        r"Traceback|File \"|/site-packages/|DJANGO_|SECRET_KEY|django\.(?!contrib\.admin)\w+\.|sqlite3|psycopg"
    )
    for address, by_method in answers.items():
        for method, answer in by_method.items():
            assert answer.status_code < 500, f"{method} {address}"
            text = b"".join(answer.streaming_content) if answer.streaming else answer.content
            if address not in ("/api-spec/openapi.json", "/metrics"):
                assert not inner.search(text.decode("utf-8", "replace")), f"{method} {address}"


def test_every_refusal_of_the_api_is_a_sentence_in_json(answers: dict[str, dict[str, Any]]) -> None:
    for address, by_method in answers.items():
        if not address.startswith(("/api/", "/auth/")):
            continue
        for method, answer in by_method.items():
            if answer.status_code >= 400 and method != "HEAD":
                body = answer.json()
                assert body["error"] and len(body["message"]) > 5, f"{method} {address}"


def test_the_document_for_everybody_tells_only_of_the_api(answers: dict[str, dict[str, Any]]) -> None:
    document = answers["/api-spec/openapi.json"]["GET"].json()
    assert document["paths"]
    assert {path.split("/")[1] for path in document["paths"]} <= {"api", "auth", "health"}
