"""The tokens of runs: signed, bound to one attempt, and not to be made up."""

from __future__ import annotations

from typing import Any

import pytest

from apps.access.origin import client_address
from apps.access.principals import Principal, Role
from apps.access.tokens import RunToken, read_run_token, run_token


@pytest.mark.parametrize(("kind", "pk", "fence"), [("execution", 1, 0), ("sensor", 2**62, 4_000_000_000)])
def test_a_run_token_says_what_it_was_made_for(kind: Any, pk: int, fence: int) -> None:
    assert read_run_token(run_token(kind, pk, fence)) == RunToken(kind, pk, fence)


def test_a_run_token_that_was_changed_anywhere_says_nothing() -> None:
    text = run_token("execution", 12, 3)
    for place in range(len(text)):
        for other in "0f_x٣":
            changed = text[:place] + other + text[place + 1 :]
            assert changed == text or read_run_token(changed) is None
    assert read_run_token(text + "\n") is None
    assert read_run_token(text.replace("execution", "sensor")) is None


def test_a_run_token_outlives_a_change_of_the_secret_key_while_the_old_one_is_named(settings: Any) -> None:
    text = run_token("execution", 1, 1)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [settings.SECRET_KEY]
    assert read_run_token(text) is not None
    settings.SECRET_KEY_FALLBACKS = []
    assert read_run_token(text) is None


@pytest.mark.parametrize("role", list(Role))
def test_a_role_holds_all_those_below_it(role: Role) -> None:
    principal = Principal("user", "anna", role=role)
    assert [each for each in Role if principal.has_role(each)] == [each for each in Role if each <= role]


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("192.0.2.1", "", [], "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", [], "192.0.2.1"),  # nobody is trusted: what is said does not count
        ("10.0.0.1", "198.51.100.7", ["10.0.0.0/8"], "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", ["10.0.0.0/8"], "198.51.100.7"),  # the first may be made up
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", ["10.0.0.0/8"], "198.51.100.7"),
        ("10.0.0.1", "nonsense", ["10.0.0.0/8"], "10.0.0.1"),
        ("192.0.2.1", "198.51.100.7", ["10.0.0.0/8"], "192.0.2.1"),
        ("", "198.51.100.7", ["10.0.0.0/8"], ""),
        ("::1", "2001:db8::5", ["::1"], "2001:db8::5"),
    ],
)
def test_only_trusted_proxies_say_where_a_request_comes_from(
    rf: Any, settings: Any, peer: str, forwarded: str, trusted: list[str], expected: str
) -> None:
    settings.ATTUNE_TRUSTED_PROXIES = trusted
    assert client_address(rf.get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)) == expected
