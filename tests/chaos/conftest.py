"""One installation for all chaos tests of a test process, and the mark that they need servers of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.chaos import checker
from tests.chaos.sender import Sender
from tests.chaos.town import Town
from tests.services import postgres_programs


@pytest.fixture(scope="session")
def _town() -> Iterator[Town]:
    if not shutil.which("redis-server") or postgres_programs() is None:
        pytest.skip("needs the programs of PostgreSQL and Redis, to start some of its own")
    town = Town()
    try:
        checker.watch(town)
        yield town
    finally:
        town.remove()


@pytest.fixture
def town(_town: Town) -> Iterator[Town]:
    """The installation with all that it needs to be well, and no process too many; whatever a test before did to it."""
    _town.staff(web=1, worker=2)
    yield _town
    _town.redis.heal()
    _town.postgres.heal()


@pytest.fixture
def sender(town: Town, request: pytest.FixtureRequest) -> Iterator[Callable[[], Sender]]:
    """Make a careful client of that installation."""
    count = iter(range(1000))

    def make() -> Sender:
        name = f"{request.node.name[:60]}-{next(count)}"
        return Sender(lambda: town.ports, town.live.authorized(), name=name)

    yield make
