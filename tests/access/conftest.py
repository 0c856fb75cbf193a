"""What floods are remembered is forgotten between tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.access import refusals, services


@pytest.fixture(autouse=True)
def no_flood() -> Iterator[None]:
    """What other tests tried in this second does not count here, nor the other way round."""

    def forget() -> None:
        services._flood.clear()
        refusals._flood.clear()

    forget()
    yield
    forget()
