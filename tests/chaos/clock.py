"""A clock that may be set: the core pack's timers, as they are, in a pack `clock` that reads the time from here."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.chaos.town import Town
from tests.conftest import write_pack
from tests.live import ROOT

CORE = ROOT / "packs" / "core"
PARTS = ("lib", "sensors", "triggers")
_SENSOR = """
import runpy
import time
from pathlib import Path

right = time.time
time.time = lambda: right() + float(Path("@clock@").read_text())
runpy.run_path(str(Path(__file__).with_name("true_sensor.py")), run_name="__main__")
"""


class Clock:
    """What that pack's sensor takes for the time, on every host."""

    def __init__(self, town: Town) -> None:
        self.file, self.ahead = town.folder / "clock.time", 0.0
        self.turn(0.0)
        town.live.manage("load_pack", str(self._pack(town.folder / "clock")))

    def _pack(self, folder: Path) -> Path:
        write_pack(folder, "clock", {}, runtime_deps=["python3"])
        shutil.copy(CORE / "requirements.txt", folder)
        for part in PARTS:
            shutil.copytree(CORE / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            for file in (folder / part).iterdir():
                file.write_text(file.read_text().replace("core.", "clock."))
        sensor = folder / "sensors" / "timer_sensor.py"
        sensor.rename(sensor.with_name("true_sensor.py"))
        sensor.write_text(_SENSOR.replace("@clock@", str(self.file)))
        return folder

    def now(self) -> float:
        return time.time() + self.ahead

    def turn(self, seconds: float) -> None:
        """Set it forward by so many seconds, or back."""
        self.ahead += seconds
        new = self.file.with_suffix(".new")
        new.write_text(str(self.ahead))
        new.replace(self.file)

    def turn_to(self, moment: float) -> None:
        self.turn(moment - self.now())


def changes_of(zone: ZoneInfo) -> list[tuple[datetime, timedelta]]:
    """The next two moments at which the zone's clocks are changed, and by how much."""
    found: list[tuple[datetime, timedelta]] = []
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    while len(found) < 2:
        before, hour = hour, hour + timedelta(hours=1)
        turned = _offset(hour, zone) - _offset(before, zone)
        if turned:
            found.append((hour, turned))
    return found


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
