"""Places where a test may make a process of ours die, to see what a crash at that very place leaves behind.

`CRASH_AT=after-claim` kills the process as it comes by that point, `CRASH_AT=after-claim:3` when it does for the third
time. Without the variable a point costs one look at a constant.
"""

from __future__ import annotations

import itertools
import os
import signal

_NAME, _, _TIME = os.environ.get("CRASH_AT", "").partition(":")
_FATAL = int(_TIME or 1)
_passed = itertools.count(1)


def point(name: str) -> None:
    """Die here by SIGKILL, if this is where we were told to."""
    if _NAME and name == _NAME and next(_passed) == _FATAL:
        os.kill(os.getpid(), signal.SIGKILL)
