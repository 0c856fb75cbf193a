"""Guessing is slow, in all doors alike, and nobody is kept out by another's guesses for longer than a minute."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.access import services, throttle, tokens
from apps.access.errors import InvalidCredentials, TooManyAttempts
from apps.access.models import ApiToken, AuditEntry, SignInFailures
from apps.access.throttle import Attempt

pytestmark = pytest.mark.django_db

HERE, THERE = "127.0.0.1", "192.0.2.7"


class Clock:
    """A clock that stands until it is turned on."""

    def __init__(self) -> None:
        self.at = timezone.now()

    def __call__(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throttle, "now", clock)
    return clock


def sign_in(name: str = "viewer", password: str = "viewer-Password-1", origin: str = HERE) -> Any:
    return APIClient(REMOTE_ADDR=origin).post("/auth/login", {"login": name, "password": password}, format="json")


def fail(times: int, **more: Any) -> list[int]:
    return [sign_in(password="wrong", **more).status_code for _ in range(times)]


def test_after_five_failures_a_name_waits_and_then_the_right_password_works(
    people: Callable[[str], Any], clock: Clock
) -> None:
    people("viewer")
    people("operator")
    assert fail(5) == [401] * 5
    stopped = sign_in()
    assert stopped.status_code == 429 and stopped["Retry-After"] == "1"
    assert stopped.json() == {
        "error": "too_many_requests",
        "message": "Too many failed attempts to sign in; wait 1 s and try again.",
        "details": {"retry_after": 1},
    }
    assert sign_in(origin=THERE).status_code == 429  # it is the name that waits, wherever it is tried
    assert sign_in("operator", "operator-Password-1").status_code == 200
    clock.turn(seconds=1)
    assert sign_in().status_code == 200
    assert fail(5) == [401] * 5  # what was failed before is forgotten


def test_the_wait_doubles_up_to_a_minute_and_asking_makes_it_no_longer(
    people: Callable[[str], Any], clock: Clock
) -> None:
    people("viewer")
    fail(4)
    waits = []
    for _ in range(8):
        assert fail(2) == [401, 429]
        waits.append(int(sign_in()["Retry-After"]))
        clock.turn(seconds=waits[-1])
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert sign_in().status_code == 200


def test_a_count_is_forgotten_after_a_quarter_of_an_hour(people: Callable[[str], Any], clock: Clock) -> None:
    people("viewer")
    fail(12)
    clock.turn(minutes=15)
    assert fail(5) == [401] * 5


def test_many_names_from_one_address_make_the_address_wait(people: Callable[[str], Any], clock: Clock) -> None:
    people("viewer")
    for number in range(throttle.FREE["address"]):
        assert fail(1, name=f"n{number}") == [401]
    assert sign_in().status_code == 429
    assert sign_in(origin=THERE).status_code == 200
    clock.turn(seconds=60)
    assert sign_in().status_code == 200
    assert fail(1, name="another") == [401]  # a sign-in of one's own does not give the address a new count
    assert fail(1, name="another") == [429]


def test_somebody_who_was_here_before_is_not_kept_out_by_guesses_from_elsewhere(people: Callable[[str], Any]) -> None:
    people("viewer")
    assert sign_in().status_code == 200
    assert fail(6, origin=THERE) == [401] * 5 + [429]
    assert sign_in().status_code == 200
    assert sign_in(origin=THERE).status_code == 429  # nor do they give the guesser a new count
    assert fail(6) == [401] * 5 + [429]  # and who guesses here waits as well


def test_a_name_that_nobody_has_waits_like_one_that_somebody_has(people: Callable[[str], Any]) -> None:
    people("viewer")
    assert fail(6, name="nobody") == fail(6) == [401] * 5 + [429]


@pytest.mark.parametrize("name", ["nobody", "viewer", "service", "gone"])
def test_a_hash_is_worked_out_once_whatever_the_name_is(
    name: str, people: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    people("viewer")
    services.create_service_account("service", role=services.Role.VIEWER, actor="test")
    gone = people("operator")
    type(gone).objects.filter(pk=gone.pk).update(username="gone", is_active=False)
    hashed: list[str] = []
    hasher = type(hashers.get_hasher())
    real = hasher.encode
    monkeypatch.setattr(hasher, "encode", lambda self, *given: hashed.append("once") or real(self, *given))
    assert sign_in(name, "wrong").status_code == 401
    assert hashed == ["once"]


@pytest.mark.parametrize("name", ["", "x" * 150, "‮víš?", "' OR 1=1 --", "a b"])
def test_odd_names_are_counted_like_others(name: str) -> None:
    expected = [422] * 6 if not name else [401] * 5 + [429]
    assert fail(6, name=name) == expected


@pytest.mark.parametrize(("path", "field"), [("token-login", "token"), ("refresh", "refresh_token")])
def test_tokens_that_are_not_valid_make_the_address_wait_and_no_password(
    path: str, field: str, people: Callable[[str], Any], clock: Clock
) -> None:
    user = people("viewer")
    kind = ApiToken.Kind.PERSONAL if path == "token-login" else ApiToken.Kind.REFRESH
    right, _ = tokens.issue(user, kind, lifetime=timedelta(days=1))

    def come(text: str) -> Any:
        return APIClient().post(f"/auth/{path}", {field: text}, format="json")

    assert {come(f"att_{number}").status_code for number in range(throttle.FREE["tokens"])} == {401}
    stopped = come(right)
    assert stopped.status_code == 429 and stopped["Retry-After"] == "1"
    assert sign_in().status_code == 200
    clock.turn(seconds=1)
    assert come(right).status_code == 200


def test_the_admins_form_and_the_api_count_together(people: Callable[[str], Any], clock: Clock) -> None:
    people("admin")
    fail(3, name="admin")
    page = Client()
    for _ in range(2):
        assert page.post("/admin/login/", {"username": "admin", "password": "wrong"}).status_code == 200
    for answer in (
        page.post("/admin/login/", {"username": "admin", "password": "admin-Password-1"}),
        sign_in("admin", "admin-Password-1"),
    ):
        assert answer.status_code == 429 and answer["Retry-After"] == "1"
        assert "wait 1 s and try again" in answer.content.decode()
    clock.turn(seconds=1)
    assert page.post("/admin/login/", {"username": "admin", "password": "admin-Password-1"}).status_code == 302


def test_the_current_password_is_not_guessed_with_a_stolen_session(people: Callable[[str], Any]) -> None:
    people("viewer")
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {sign_in().json()['data']['access_token']}")
    body = {"current_password": "wrong", "new_password": "A-better-one-22"}
    got = [client.post("/auth/change-password", body, format="json").status_code for _ in range(6)]
    assert got == [401] * 5 + [429]


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_no_more_are_answered_than_one_by_one(people: Callable[[str], Any]) -> None:
    people("viewer")
    got: list[type[Exception]] = []
    start = threading.Barrier(12)

    def guess() -> None:
        attempt = Attempt(HERE, "viewer")
        try:
            attempt.refuse_early()
            start.wait()  # all are let in before any has failed
            attempt.failed()
            got.append(InvalidCredentials)
        except TooManyAttempts:
            got.append(TooManyAttempts)
        finally:
            connection.close()

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got.count(InvalidCredentials) == 5 and got.count(TooManyAttempts) == 7
    assert set(SignInFailures.objects.values_list("failures", flat=True)) == {5}
    with pytest.raises(TooManyAttempts):
        Attempt(HERE, "viewer").succeeded()  # a right one among them is not told from the others


def test_what_is_refused_is_not_logged_and_no_name_is_kept_with_the_counts(people: Callable[[str], Any]) -> None:
    people("viewer")
    fail(8)
    assert AuditEntry.objects.filter(action=services.LOGIN_FAILED).count() == 5
    assert "viewer" not in str(list(SignInFailures.objects.values()))
