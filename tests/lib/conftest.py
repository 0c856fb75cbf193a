"""A launcher as a worker has one, without a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from attune.lib.programs import Launcher


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    made = Launcher()
    made.spool = tmp_path / "spool"
    yield made
    if made._socket is not None:
        made._socket.close()
