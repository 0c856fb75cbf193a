"""The admin's tests: the core pack loaded, people of each role signed in, and a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from django.conf import settings as attune_settings
from django.test import Client

from apps.packs.loading import load_pack
from apps.packs.models import Pack

PATIENCE = 40_000  # milliseconds until a wait is given up; generous, since machines may be busy
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(autouse=True)
def own_logs(settings: Any, tmp_path: Path) -> None:
    """Logs of this test's executions alone: their numbers come again in the next one."""
    settings.ATTUNE_LOG_DIR = tmp_path / "logs"


@pytest.fixture
def core(known_runtimes: None) -> Pack:
    """The core pack, as it ships."""
    report = load_pack(attune_settings.ATTUNE_SYSTEM_PACKS_DIR / "core")
    assert report.ok, str(report)
    return Pack.objects.get(ref="core")


@pytest.fixture
def sign_in(people: Callable[[str], Any]) -> Callable[[str], Client]:
    """A client that is signed in as somebody of that role."""

    def signed_in(role: str = "admin") -> Client:
        client = Client()
        client.force_login(people(role))
        return client

    return signed_in


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window. Missing, it fails in CI and is skipped elsewhere."""
    from playwright.sync_api import expect, sync_playwright

    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        message = (
            f"No browser on the PATH (looked for {', '.join(BROWSERS)}); install chromium to test the pages in it."
        )
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(SWITCHES))
        yield opened
        opened.close()


def troubles_of(page: Any) -> list[str]:
    """What goes wrong on that page from now on: errors in scripts, and what its policy forbids."""
    wrong: list[str] = []

    def note(message: Any) -> None:
        if "Content Security Policy" in message.text or (message.type == "warning" and "Alpine" in message.text):
            wrong.append(message.text)

    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", note)
    return wrong


@pytest.fixture
def page(browser: Any, live_server: Any, people: Callable[[str], Any], core: Pack) -> Iterator[Any]:
    """A page of that browser, signed in as an administrator.

    An error in its scripts fails the test, and so does whatever the page's policy did not let pass.
    """
    people("admin")
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1500, "height": 1000})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    wrong = opened.troubles = troubles_of(opened)
    opened.goto("/admin/")
    opened.fill("[name=username]", "admin")
    opened.fill("[name=password]", "admin-Password-1")
    opened.click("#login-form button")
    opened.wait_for_selector("#home")
    yield opened
    context.close()
    for queue in ("executions", "events"):
        dramatiq.get_broker().flush(queue)  # what no worker took would reach those of the next test
    assert not wrong, wrong
