"""Who does the harm: faults at moments drawn from a seed, so that what was found once can be had again."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable

Deed = Callable[[], object]

LONG = bool(os.environ.get("CHAOS_LONG"))  # `make chaos`; the ordinary test run takes the short version
SEED = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))


def chance(what: str) -> random.Random:
    """Luck for one scenario, from the seed and its name: the same whichever others are run."""
    print(f"CHAOS_SEED={SEED} ({what})")
    return random.Random(f"{SEED} {what}")


class Nemesis:
    """Does each deed at its time, one after the other, in a thread; `with nemesis:` waits until all are done."""

    def __init__(self) -> None:
        self.deeds: list[tuple[float, str, Deed]] = []
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="nemesis")

    def at(self, second: float, what: str, deed: Deed) -> None:
        self.deeds.append((second, what, deed))

    def every(self, seconds: float, until: float, what: str, deed: Deed) -> None:
        for number in range(1, int(until / seconds)):
            self.at(number * seconds, what, deed)

    def _run(self) -> None:
        began = time.monotonic()
        try:
            for second, what, deed in sorted(self.deeds, key=lambda deed: deed[0]):
                time.sleep(max(0.0, began + second - time.monotonic()))
                print(f"{time.monotonic() - began:6.1f} s  {what}")
                deed()
        except BaseException as error:
            self.failure = error

    def __enter__(self) -> Nemesis:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        if self.failure is not None:
            raise self.failure
