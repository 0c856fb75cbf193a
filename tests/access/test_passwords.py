"""How passwords are kept; and what a server is not started with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher, make_password
from rest_framework.test import APIClient

from attune import settings as configured
from tests.deploy_check import PRODUCTION

pytestmark = pytest.mark.embedded_only

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def real_hashers(settings: Any) -> None:
    settings.PASSWORD_HASHERS = configured.PASSWORD_HASHERS


def sign_in(password: str) -> int:
    return APIClient().post("/auth/login", {"login": "viewer", "password": password}, format="json").status_code


def test_new_passwords_are_hashed_with_argon2() -> None:
    kept = make_password("a password")
    assert kept.startswith("argon2$argon2id$") and identify_hasher(kept).algorithm == "argon2"


@pytest.mark.django_db
@pytest.mark.parametrize("former", ["pbkdf2_sha256", "weaker"])
def test_an_old_hash_is_made_anew_when_its_owner_signs_in(former: str, people: Callable[[str], Any]) -> None:
    user = people("viewer")
    user.password = make_password("viewer-Password-1", hasher="pbkdf2_sha256")
    if former == "weaker":  # Argon2, as it was before somebody made it cost more
        kept = make_password("viewer-Password-1").split("$")
        assert "m=19456,t=2,p=1" in kept
        from argon2 import PasswordHasher

        user.password = "argon2" + PasswordHasher(1, 8192, 1).hash("viewer-Password-1")
    user.save()
    old = user.password
    assert sign_in("wrong") == 401
    user.refresh_from_db()
    assert user.password == old
    assert sign_in("viewer-Password-1") == 200
    user.refresh_from_db()
    assert user.password.startswith("argon2$argon2id$") and "m=19456,t=2,p=1" in user.password
    assert sign_in("viewer-Password-1") == 200


def start(folder: Path, **given: str | None) -> subprocess.CompletedProcess[str]:
    """The settings of a production server, but for what is given; None takes one away."""
    env = os.environ | PRODUCTION | {"ATTUNE_DATA_DIR": str(folder)} | {k: v for k, v in given.items() if v is not None}
    for name in (name for name, value in given.items() if value is None):
        env.pop(name, None)
    return subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("name", ["SECRET_KEY", "ATTUNE_ENCRYPTION_KEY"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "is not set"),
        ("", "is not set"),
        ("x7Kq" * 7 + "abc", "has only 31 characters of the 32 it needs"),
        ("x" * 64, "is a placeholder"),
        ("django-insecure-0123456789abcdefghijklmnopqrst", "is a placeholder"),
        ("changeme-0123456789abcdefghijklmnopqrstuvwxyz", "is a placeholder"),
    ],
)
def test_a_server_is_not_started_with_a_secret_that_can_be_guessed(
    name: str, value: str | None, words: str, tmp_path: Path
) -> None:
    refused = start(tmp_path, **{name: value})
    assert refused.returncode != 0
    assert f"{name} {words}." in refused.stderr
    assert "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'" in refused.stderr
    assert not value or value not in refused.stderr


def test_a_server_is_not_started_with_one_secret_for_two_purposes(tmp_path: Path) -> None:
    refused = start(tmp_path, ATTUNE_ENCRYPTION_KEY=PRODUCTION["SECRET_KEY"])
    assert refused.returncode != 0 and "ATTUNE_ENCRYPTION_KEY is the same as SECRET_KEY" in refused.stderr
    assert PRODUCTION["SECRET_KEY"] not in refused.stderr


def test_a_server_is_not_started_with_debug(tmp_path: Path) -> None:
    refused = start(tmp_path, DEBUG="true")
    assert refused.returncode != 0 and "DEBUG is on, and server mode is not for that" in refused.stderr
    assert start(tmp_path, DEBUG="false").returncode == 0
    assert start(tmp_path, DEBUG="true", ATTUNE_MODE="embedded").returncode == 0
