"""What the launcher does to itself, once, so that every program it starts inherits it. For the bare interpreter.

The plan is a JSON object: {"limits": [[number, soft, hard], …], "no_new_privileges": true, "closed_ports": [5432]}.
"""

import contextlib
import os
import resource

NO_NEW_PRIVILEGES, DUMPABLE = 38, 4  # for prctl
FIRST_TO_GO = 300  # of the 1000 of the system's scale: programs are killed before the server when memory runs out
CPU = resource.RLIMIT_CPU  # counts what we use ourselves, so it is not for us to inherit from


def confine(plan):
    """Take limits, forbid set-user-id programs, leave no core files, keep others out of our memory, and close ports.

    Raises OSError where ports cannot be closed.
    """
    for number, soft, hard in [*plan.get("limits", ()), (resource.RLIMIT_CORE, 0, 0)]:
        if number != CPU:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(number, within(resource.getrlimit(number)[1], soft, hard))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "r+") as file:
        score = int(file.read())
        file.seek(0)
        file.write(str(min(1000, score + FIRST_TO_GO)))
    if os.path.exists("/proc/self/status"):
        control(DUMPABLE, 0)
        if plan.get("no_new_privileges"):
            control(NO_NEW_PRIVILEGES, 1)
    if plan.get("closed_ports"):
        import ports

        ports.close(plan["closed_ports"])


def within(most, soft, hard):
    """These bounds, as far as the one that we have allows."""
    if most == resource.RLIM_INFINITY:
        return soft, hard
    return min(soft, most), min(hard, most)


def control(option, value):
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
