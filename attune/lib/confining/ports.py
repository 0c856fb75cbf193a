"""Ports that a process and all that it starts cannot connect to, by Landlock (Linux 6.7). For the bare interpreter.

Landlock is told what is allowed: so every other port is named, once, in a quarter of a second. It knows no addresses: a
port is closed on every machine. The numbers are those of the kernel's `linux/landlock.h`.
"""

import ctypes
import os
import struct

CREATE, ADD, RESTRICT = 444, 445, 446  # system calls, of the same number on every architecture
ASK_VERSION = 1
KNOWS_PORTS = 4  # the version that does
CONNECT_TCP = 2
PORT_RULE = 2
NO_NEW_PRIVILEGES = 38  # for prctl
EVERY = range(65536)


def numbered(text):
    """The port that the text names. Raises ValueError."""
    number = int(text)
    if number not in EVERY or number == 0:
        raise ValueError(text)
    return number


def can_be_closed():
    """Whether this system can do it."""
    if not os.path.exists("/proc/self/status"):
        return False
    return ctypes.CDLL(None).syscall(CREATE, None, 0, ASK_VERSION) >= KNOWS_PORTS


def close(ports):
    """Close them for this process and what it starts, for ever. Raises OSError where that cannot be done."""
    system = ctypes.CDLL(None, use_errno=True)

    def call(*arguments):
        answer = system.syscall(*arguments)
        if answer < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return answer

    rules = call(CREATE, struct.pack("QQ", 0, CONNECT_TCP), 16, 0)
    try:
        for port in EVERY:
            if port not in ports:
                call(ADD, rules, PORT_RULE, struct.pack("QQ", CONNECT_TCP, port), 0)
        system.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)  # whoever could gain privileges may not do this
        call(RESTRICT, rules, 0)
    finally:
        os.close(rules)
