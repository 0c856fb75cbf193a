"""Health while database and broker are well, away, frozen and back; and what the admin's pages say of it."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.test import Client
from django.utils import timezone

from apps.executions.models import Worker
from apps.rules import pressure
from attune import broker, condition
from tests.conftest import until
from tests.live import PASSWORD, Live, wait
from tests.servers import OwnPostgres, OwnRedis
from tests.services import free_port, postgres_programs

HUNG = 15.0  # seconds; what is frozen never answers, so what answers at all did not wait for it

needs_redis = pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server for a Redis of its own")
needs_postgres = pytest.mark.skipif(postgres_programs() is None, reason="needs initdb for a PostgreSQL of its own")


def ask(live: Live, path: str) -> tuple[int, Any]:
    """One look at a live installation, as a stranger: the status, and the JSON or text."""
    connection = HTTPConnection("127.0.0.1", live.port, timeout=HUNG)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith("{") else text
    finally:
        connection.close()


def alive() -> Worker:
    return Worker.objects.create(name="here:1:a", host="here", pid=1, heartbeat_at=timezone.now())


# In one process ------------------------------------------------------------------------------------------------------
def test_all_is_well_with_a_worker(http: Callable[..., httpx.Client]) -> None:
    alive()
    ready = http("").get("/health/ready")
    assert ready.json() == {"status": "ok", "database": "connected", "broker": "connected"}
    details = http("").get("/health/detailed").json()
    assert (details["status"], details["workers"], details["accepting"]) == ("ok", 1, True)


def test_without_a_worker_it_is_ready_and_degraded(http: Callable[..., httpx.Client]) -> None:
    assert http("").get("/health/ready").status_code == 200
    assert http("").get("/health/detailed").json()["status"] == "degraded"


@pytest.mark.django_db
def test_being_alive_asks_no_database(client: Client, django_assert_num_queries: Callable[[int], Any]) -> None:
    with django_assert_num_queries(0):
        assert client.get("/health").json() == client.get("/health/live").json() == {"status": "ok"}
    assert condition.database.latest() is None


# The pages -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def page(people: Callable[[str], Any], transactional_db: None) -> Client:
    client = Client()
    client.force_login(people("viewer"))
    return client


def seen() -> None:
    """Look as a web server does every second, and wait for what comes of it."""
    condition.watch()
    condition.database.look()
    condition.broker.look()
    condition.watch()


def told(page: Client, path: str = "/admin/executions/execution/") -> str:
    """A page from its banner on, with its spaces made few."""
    text = " ".join(page.get(path).content.decode().split())
    return text.split('id="condition">', 1)[1][:1500]


def test_every_page_says_that_no_worker_is_alive_and_asks_nothing_for_it(
    page: Client, django_assert_num_queries: Callable[[int], Any]
) -> None:
    assert "at-trouble" not in told(page)
    seen()
    for path in ("/admin/", "/admin/packs/pack/", "/admin/rules/event/"):
        banner = told(page, path)
        assert 'data-trouble="workers"' in banner
        assert "manage.py worker" in banner
    with django_assert_num_queries(0):
        assert [trouble.name for trouble in condition.troubles()] == ["workers"]


def test_nobody_hears_of_it_who_is_not_signed_in(transactional_db: None) -> None:
    seen()
    assert b"at-trouble" not in Client().get("/admin/login/").content


def test_pages_say_since_when_no_events_are_taken(page: Client, settings: Any) -> None:
    alive()
    settings.ATTUNE_DISK_RESERVE = 2**60
    seen()
    found = pressure.current()
    banner = told(page)
    assert found is not None
    assert 'data-trouble="overload"' in banner
    assert f"since {found.since:%H:%M:%S} UTC" in banner
    assert "nothing need be restarted" in banner


@pytest.mark.server_only
def test_pages_say_that_redis_is_away_and_no_longer_when_it_is_back(
    page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive()
    monkeypatch.setattr(broker.current().turns, "client", redis.Redis(port=free_port(), socket_timeout=1))
    seen()
    banner = told(page)
    assert "Redis does not answer, since" in banner
    assert "within 5 s" in banner
    monkeypatch.undo()

    def is_well_again() -> bool:
        seen()
        return "at-trouble" not in told(page)

    until(is_well_again, "the banner to go")


# Real ones that are hurt ---------------------------------------------------------------------------------------------
@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.send(signal.SIGCONT)
    server.send(signal.SIGKILL)


@pytest.fixture
def own_postgres() -> Iterator[OwnPostgres]:
    server = OwnPostgres()
    server.start()
    yield server
    server.thaw()
    server.remove()


@pytest.mark.server_only
@needs_redis
@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "hanging"])
def test_without_redis_it_stays_ready_and_says_degraded(live: Live, own_redis: OwnRedis, fate: signal.Signals) -> None:
    live.env["REDIS_URL"] = f"redis://127.0.0.1:{own_redis.port}/0"
    live.manage("prepare")
    live.start("web")
    assert ask(live, "/health/ready")[1]["status"] == "ok"
    own_redis.send(fate)
    wait(lambda: ask(live, "/health/ready")[1]["status"] == "degraded", "it to be noticed")
    status, ready = ask(live, "/health/ready")
    assert (status, ready) == (200, {"status": "degraded", "database": "connected", "broker": "disconnected"})
    assert ask(live, "/health/live") == (200, {"status": "ok"})
    assert "attune_broker_up 0.0" in ask(live, "/metrics")[1]
    if fate == signal.SIGKILL:
        own_redis.start()
    own_redis.send(signal.SIGCONT)
    wait(lambda: ask(live, "/health/ready")[1]["status"] == "ok", "Redis to be back")


@pytest.mark.server_only
@needs_postgres
def test_a_database_that_hangs_holds_up_neither_health_nor_metrics_and_nothing_need_be_restarted(
    live: Live, own_postgres: OwnPostgres
) -> None:
    live.env["DATABASE_URL"] = own_postgres.address("postgres")
    live.manage("prepare")
    live.start("web")
    assert live.call("GET", "/api/v1/packs")["items"]
    own_postgres.freeze()
    stuck = [threading.Thread(target=_get_packs, args=[live], daemon=True) for _ in range(20)]
    for thread in stuck:  # more than the web server has threads for pages
        thread.start()
    wait(lambda: ask(live, "/health/ready")[0] == 503, "it to be noticed")
    for _ in range(3):
        assert ask(live, "/health/live") == (200, {"status": "ok"})
        status, ready = ask(live, "/health/ready")
        assert (status, ready["status"]) == (503, "disconnected")
    assert ask(live, "/health/detailed")[1]["status"] == "error"
    wait(lambda: "attune_database_up 0.0" in ask(live, "/metrics")[1], "the metrics to say so")
    own_postgres.thaw()
    wait(lambda: ask(live, "/health/ready")[0] == 200, "the database to be back")
    wait(lambda: "attune_database_up 1.0" in ask(live, "/metrics")[1], "its figures to be back")
    for thread in stuck:
        thread.join(60)
    assert live.call("GET", "/api/v1/packs")["items"]


def _get_packs(live: Live) -> None:
    with suppress(HTTPException, OSError, AssertionError):
        live.call("GET", "/api/v1/packs")


def sign_in(live: Live) -> httpx.Client:
    browser = httpx.Client(base_url=f"http://127.0.0.1:{live.port}", trust_env=False, follow_redirects=True, timeout=30)
    browser.get("/admin/login/")
    form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    assert browser.post("/admin/login/", data=form, params={"next": "/admin/"}).status_code == 200
    return browser


@pytest.mark.server_only
@needs_postgres
def test_a_database_that_is_stopped_and_started_again_is_told_of_and_forgiven(
    live: Live, own_postgres: OwnPostgres
) -> None:
    live.env["DATABASE_URL"] = own_postgres.address("postgres")
    live.manage("prepare")
    live.start("web")
    with closing(sign_in(live)) as browser:
        own_postgres.stop(signal.SIGINT)
        wait(lambda: ask(live, "/health/ready")[0] == 503, "it to be noticed")
        away = browser.get("/admin/")
        assert (away.status_code, away.headers["Retry-After"]) == (503, "5")
        assert "Nothing need be restarted" in away.text
        own_postgres.start()
        wait(lambda: ask(live, "/health/ready")[0] == 200, "the database to be back")
        wait(lambda: "The database was away for" in browser.get("/admin/").text, "the page to tell of it")


@pytest.mark.server_only
def test_a_database_without_this_versions_tables_is_not_ready(live: Live) -> None:
    live.manage("prepare")
    live.manage("migrate", "attune", "zero")
    live.start("web")
    assert ask(live, "/health/ready") == (
        503,
        {"status": "not_migrated", "database": "not_migrated", "broker": "connected"},
    )
    live.manage("prepare")
    wait(lambda: ask(live, "/health/ready")[0] == 200, "it to be ready")


def test_a_whole_installation_is_ready_and_well(live: Live) -> None:
    live.start_all()
    wait(lambda: ask(live, "/health/detailed")[1]["status"] == "ok", "the worker to have signed on")
    assert ask(live, "/health/detailed")[1]["workers"] == 1
