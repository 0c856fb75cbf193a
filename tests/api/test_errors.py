"""Every error is JSON of one shape, with the right status, and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from attune.lib.api import MAX_PAGE_SIZE

pytestmark = pytest.mark.django_db


def error_of(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert set(body) <= {"error", "message", "details"}
    assert isinstance(body["error"], str)
    assert len(body["message"]) > 5
    return body


def test_a_request_without_a_token_is_401_and_says_how_to_sign_in(api: Callable[..., APIClient]) -> None:
    answer = api("").get("/api/v1/packs")
    body = error_of(answer, 401)
    assert body["error"] == "unauthorized"
    assert "Authorization: Bearer" in body["message"]
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", ["nonsense", "att_" + "x" * 43, "", "atr_execution_1_1_" + "0" * 64])
def test_a_wrong_token_is_401_even_where_it_looks_right(token: str) -> None:
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
    error_of(client.get("/api/v1/packs"), 401)


def test_a_role_that_is_too_low_is_403(api: Callable[..., APIClient]) -> None:
    body = error_of(api("viewer").post("/api/v1/rules", {}), 403)
    assert "role" in body["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothing",
        "/api/v1/packs/",
        "/api/v1/packs/none",
        "/auth/nothing",
        "/auth/me/",
        "/health/x",
        "/api/v2/packs",
    ],
)
def test_what_is_not_there_is_404_without_any_redirect(api: Callable[..., APIClient], path: str) -> None:
    assert error_of(api("admin").get(path), 404)["error"] == "not_found"
    assert error_of(api("admin").post(path, {}), 405 if path.endswith("none") else 404)


def test_a_wrong_method_is_405(api: Callable[..., APIClient]) -> None:
    assert error_of(api("admin").delete("/api/v1/packs"), 405)["error"] == "method_not_allowed"
    error_of(api("admin").patch("/api/v1/rules/a.b", {}), 405)
    error_of(api("admin").options("/api/v1/packs"), 405)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"ref": "a.b",\n  oops}', "line 2, column 3"),
        (b"", "required"),
        (b'{"ref": NaN}', "NaN"),
        (b'{"ref": 1e999}', "too large"),
        (b'{"ref": "\\u0000"}', "NUL"),
        (b'{"ref": "\\ud800"}', "surrogate"),
        (b'{"\\u0000": 1}', "NUL"),
        (b"[" * 200_000, "nested"),
        (b'{"ref": ' + b"9" * 5000 + b"}", "JSON"),
        (b'{"ref": "\xff"}', "JSON"),
    ],
)
def test_a_body_that_is_no_json_is_400_naming_the_place(api: Callable[..., APIClient], body: bytes, said: str) -> None:
    answer = api("admin").generic("POST", "/api/v1/packs", body, content_type="application/json")
    assert said in error_of(answer, 422 if body == b"" else 400)["message"]


@pytest.mark.parametrize("body", ["[]", "null", '"text"', "3", "true"])
def test_a_body_that_is_no_object_is_422(api: Callable[..., APIClient], body: str) -> None:
    answer = api("admin").generic("POST", "/api/v1/packs", body, content_type="application/json")
    assert error_of(answer, 422)["error"] == "validation_error"


def test_a_surrogate_pair_is_a_character_like_any_other(api: Callable[..., APIClient]) -> None:
    body = b'{"ref": "smile", "label": "\\ud83d\\ude00", "version": "1.0.0"}'
    answer = api("admin").generic("POST", "/api/v1/packs", body, content_type="application/json")
    assert answer.json()["data"]["label"] == "😀"


def test_missing_and_wrong_fields_are_422_naming_each(api: Callable[..., APIClient]) -> None:
    body = error_of(api("admin").post("/api/v1/rules", {"ref": "a.b", "trigger_params": [1], "enabled": "maybe"}), 422)
    paths = {fault["path"] for fault in body["details"]["faults"]}
    assert {"trigger_ref", "action_ref", "trigger_params", "enabled"} <= paths


def test_a_form_is_415(api: Callable[..., APIClient]) -> None:
    answer = api("admin").generic("POST", "/api/v1/packs", b"ref=a", content_type="application/x-www-form-urlencoded")
    assert "application/json, not application/x-www-form-urlencoded" in error_of(answer, 415)["message"]


def test_a_body_that_is_too_large_is_413(api: Callable[..., APIClient], settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = error_of(api("admin").post("/api/v1/packs", {"ref": "a", "label": "x" * 2000}), 413)
    assert "larger than 1000 bytes" in body["message"]


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "page_size=-1", "page=99999999999999999999", "include_total=perhaps"]
)
def test_a_page_that_cannot_be_is_422(api: Callable[..., APIClient], query: str) -> None:
    error_of(api("admin").get(f"/api/v1/packs?{query}"), 422)


def test_a_page_never_holds_more_than_the_most(api: Callable[..., APIClient]) -> None:
    answer = api("admin").get("/api/v1/packs?page_size=100000").json()
    assert answer["pagination"]["page_size"] == MAX_PAGE_SIZE


def test_a_fault_of_ours_is_500_with_a_number_and_no_inner_life(
    api: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from apps.packs.views import packs

    monkeypatch.setattr(packs, "page_of", lambda *args: 1 / 0)
    body = error_of(api("admin").get("/api/v1/packs"), 500)
    assert "ZeroDivision" not in body["message"]
    number = body["message"].rpartition(" ")[2].rstrip(".")
    assert number in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_database_that_is_away_is_503_and_asks_to_come_again(
    api: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.packs.views import packs

    def locked(*args: Any) -> None:
        raise OperationalError("database is locked")

    client = api("admin")
    monkeypatch.setattr(packs, "page_of", locked)
    answer = client.get("/api/v1/packs")
    error_of(answer, 503)
    assert answer["Retry-After"] == "1"


def test_an_unknown_host_is_refused_in_json(api: Callable[..., APIClient]) -> None:
    body = error_of(api("admin").get("/api/v1/packs", headers={"host": "evil.example"}), 400)
    assert "ALLOWED_HOSTS" in body["message"]
