"""Every promise about security names a test that is there, and the settings of production are what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.deploy_check import PRODUCTION

pytestmark = pytest.mark.embedded_only

PAGES = ("docs/security.md", "docs/asvs.md")
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# How many sections each chapter of the standard has.
SECTIONS = {1: 5, 2: 4, 3: 7, 4: 4, 5: 4, 6: 8, 7: 6, 8: 4, 9: 2, 10: 7, 11: 7, 12: 3, 13: 4, 14: 3, 15: 4, 16: 5}
# Sections of the standard that say without a test why: what does not apply, and what is missing.
WITHOUT = ("do not apply", "does not apply", "not met", "yours", "there are no questions")


def sections(page: str, mark: str) -> dict[str, str]:
    """What stands below each heading of a kind."""
    parts = re.split(rf"^{mark} (.+)$", (ROOT / page).read_text(), flags=re.MULTILINE)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {heading: re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0] for heading, text in pairs}


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_the_page_names_is_there(page: str) -> None:
    named = _NAMED.findall((ROOT / page).read_text())
    assert len(named) > 40
    missing = [f"{file}::{test}" for file, test in named if not has(file, test)]
    assert missing == []


def has(file: str, test: str) -> bool:
    path = ROOT / file
    return path.exists() and re.search(rf"^def {test}\(", path.read_text(), re.MULTILINE) is not None


def test_every_threat_names_a_test_that_shows_what_is_done_about_it() -> None:
    threats = sections("docs/security.md", "###")
    assert len(threats) >= 35
    assert [threat for threat, text in threats.items() if not _NAMED.search(text)] == []


def _sections_in(text: str) -> set[int]:
    """The numbers of a chapter's sections that stand in it; `7.2 to 7.5` means all between."""
    found = {int(number) for number in re.findall(r"\b\d+\.(\d+)\b", text)}
    for first, last in re.findall(r"\b\d+\.(\d+) to (?:\d+\.)?(\d+)\b", text):
        found |= set(range(int(first), int(last) + 1))
    return found


def test_every_chapter_of_the_standard_is_there_and_each_of_its_points_names_a_test_or_says_why_not() -> None:
    chapters = sections("docs/asvs.md", "##")
    numbers = {int(number) for text in chapters for number in re.findall(r"^V(\d+)", text)}
    numbers |= {int(number) for number in re.findall(r"V(\d+)", chapters["What does not apply"])}
    assert numbers == set(range(1, 18))
    for chapter, text in chapters.items():
        if number := re.match(r"V(\d+)", chapter):
            assert set(range(1, SECTIONS[int(number[1])] + 1)) <= _sections_in(text), chapter
    points = [point for text in chapters.values() for point in re.split(r"^- ", text, flags=re.MULTILINE)[1:]]
    assert len(points) > 30
    silent = [
        point[:60] for point in points if not _NAMED.search(point) and not any(w in point.lower() for w in WITHOUT)
    ]
    assert silent == []


def test_the_page_says_how_to_report_a_vulnerability_and_what_is_not_protected() -> None:
    text = (ROOT / "docs/security.md").read_text()
    assert "## Reporting a vulnerability" in text
    assert "## What Attune does not protect against" in text


# Settings ------------------------------------------------------------------------------------------------------------
def checked(folder: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check --deploy` in the settings of production, with these ones changed."""
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    plain = {name: value for name, value in os.environ.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"}  # of the tests
    environment = plain | PRODUCTION | {"ATTUNE_DATA_DIR": str(folder)} | changed
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_production_installation_is_checked_by_django_without_a_warning(tmp_path: Path) -> None:
    done = checked(tmp_path)
    assert done.returncode == 0, done.stderr


def test_servers_behind_a_unix_socket_or_a_file_of_passwords_are_not_warned_of(tmp_path: Path) -> None:
    sockets = {"DATABASE_URL": "postgres:////run/postgresql/attune", "REDIS_URL": "unix:///run/redis.sock"}
    assert "has no password" not in checked(tmp_path, **sockets).stderr
    by_file = {"DATABASE_URL": "postgres://attune@127.0.0.1/attune", "PGPASSFILE": "/etc/attune/pgpass"}
    assert "has no password" not in checked(tmp_path, **by_file).stderr


@pytest.mark.parametrize("proxies", ["*", "proxy.example.org", "10.0.0.0/99", "10.0.0.1;10.0.0.2"])
def test_a_server_is_not_started_with_proxies_that_are_none(tmp_path: Path, proxies: str) -> None:
    done = checked(tmp_path, ATTUNE_TRUSTED_PROXIES=proxies)
    assert done.returncode != 0
    assert "ATTUNE_TRUSTED_PROXIES" in done.stderr


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ATTUNE_TRUSTED_PROXIES": "10.0.0.1,0.0.0.0/0"}, "attune.W002"),
        ({"ATTUNE_TRUSTED_PROXIES": "::/0"}, "attune.W002"),
        ({"ALLOWED_HOSTS": "*"}, "attune.W003"),
        ({"SECRET_KEY": PRODUCTION["ATTUNE_ENCRYPTION_KEY"]}, "ATTUNE_ENCRYPTION_KEY is the same"),
        ({"SECRET_KEY_FALLBACKS": "short"}, "attune.W004"),
        ({"DATABASE_URL": "postgres://attune@127.0.0.1/attune"}, "DATABASE_URL has no password"),
        ({"REDIS_URL": "redis://127.0.0.1/0"}, "REDIS_URL has no password"),
        ({"ATTUNE_API_URL": "http://attune.example.org"}, "security.W0"),
    ],
)
def test_settings_that_open_a_door_are_warned_of(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    done = checked(tmp_path, **changed)
    assert done.returncode != 0
    assert said in done.stderr
