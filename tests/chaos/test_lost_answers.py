"""The database did what it was asked, and its answer never came: neither done twice nor left for ever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.checker import check
from tests.chaos.proxy import Proxy
from tests.chaos.sender import Sender
from tests.chaos.town import Town
from tests.live import wait

pytestmark = [pytest.mark.server_only, pytest.mark.timeout(900)]

CLAIM = b"SET status = 'running', attempt = attempt + 1"
RESULT = b'UPDATE "executions_execution" SET "status"'
DECISION = b'guard AS (UPDATE "rules_event"'
EVENT = b'INSERT INTO "rules_event"'


@pytest.fixture(scope="module")
def proxy(_town: Town) -> Iterator[Proxy]:
    """All that web server and worker ask of the database goes through it."""
    proxy = Proxy(_town.postgres.port)
    address = _town.live.env["DATABASE_URL"].replace(f":{_town.postgres.port}/", f":{proxy.port}/")
    _town.staff(web=0, worker=0)
    members = [_town.hire("web", DATABASE_URL=address), _town.hire("worker", DATABASE_URL=address)]
    yield proxy
    for member in members:
        _town.dismiss(member)
    proxy.close()


@pytest.mark.parametrize(
    ("statement", "end", "starts"), [(CLAIM, "abandoned", 0), (RESULT, "completed", 1)], ids=["claim", "result"]
)
def test_a_run_whose_claim_or_result_was_not_answered_has_one_end(
    _town: Town, proxy: Proxy, statement: bytes, end: str, starts: int
) -> None:
    proxy.lose_answer_to(statement)
    execution = _town.execute("work")
    wait(proxy.lost.is_set, "the answer to be lost")
    _town.drain()
    assert _town.status(execution) == end
    assert sum(len(attempt.starts) for attempt in _town.ledger.of(execution)) == starts
    assert _town.all_are_alive()
    check(_town)


def test_a_next_try_is_planned_once_when_the_commit_was_not_answered(_town: Town, proxy: Proxy) -> None:
    proxy.lose_answer_to(b"COMMIT")
    execution = _town.execute("retried", fail=True)
    wait(proxy.lost.is_set, "the answer to be lost")
    tries = "SELECT status FROM executions_execution WHERE %s IN (id, original_id)"
    wait(lambda: _town.rows(tries, execution) == [("failed",), ("failed",)], "the second try")
    check(_town)


@pytest.mark.parametrize(
    ("statement", "trigger"), [(EVENT, "happened"), (DECISION, "crowded")], ids=["event", "decision"]
)
def test_an_event_whose_commit_or_decision_was_not_answered_is_kept_once(
    _town: Town, proxy: Proxy, statement: bytes, trigger: str
) -> None:
    client = Sender(lambda: _town.ports, _town.live.authorized(), name=f"lost-{trigger}")
    proxy.lose_answer_to(statement)
    client.send(1, trigger)
    wait(proxy.lost.is_set, "the answer to be lost")
    check(_town, client)
    assert client.answers == ({503: 1, 201: 1} if trigger == "happened" else {201: 1})
