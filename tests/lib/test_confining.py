"""Limits as values: what is sound, which counts, how it shows that one was hit; what a launcher does to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attune.lib.confining import limits, oneself

pytestmark = pytest.mark.embedded_only


@pytest.mark.parametrize("given", [{}, {"cpu_seconds": 1}, dict.fromkeys(limits.KINDS, 100)])
def test_sound_limits_have_no_fault(given):
    assert limits.fault_of(given) == {}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"memory": 1}, "'memory' is no limit; there are cpu_seconds, memory_mb"),
        ({"memory_mb": 0}, "`memory_mb` must be a whole number of at least 1, not 0; leave it out for no limit"),
        ({"open_files": -5}, "at least 1"),
        ({"processes": True}, "whole number"),
        ({"cpu_seconds": 1.5}, "whole number"),
        ({"file_size_mb": "64"}, "whole number"),
        ({"memory_mb": 10**12}, "whole number"),
    ],
)
def test_a_limit_that_cannot_be_set_is_named_with_the_remedy(given, says):
    [(name, fault)] = limits.fault_of(given).items()
    assert name in given and says in fault


def test_the_stricter_limit_counts_whoever_sets_it():
    general = {"memory_mb": 100, "open_files": 50, "processes": 0}
    own = {"memory_mb": 200, "open_files": 20, "processes": 5}
    assert limits.stricter(general, own) == {"memory_mb": 100, "open_files": 20, "processes": 5}


def test_limits_become_the_beginning_of_a_command_line():
    command = limits.command("/usr/bin/prlimit", {"cpu_seconds": 5, "memory_mb": 64, "file_size_mb": 1})
    assert command == ["/usr/bin/prlimit", "--cpu=5:10", "--data=67108864:67108864", "--fsize=1048576:1048576", "--"]
    assert limits.command("/usr/bin/prlimit", {"memory_mb": 0}) == []


@pytest.mark.parametrize(
    ("exit_code", "said", "expected"),
    [
        (152, [], "It hit its limit of 7 s of processor time (`cpu_seconds`)."),
        (153, [], "It hit its limit of 5 MB in one file (`file_size_mb`)."),
        (1, ["Traceback …", "MemoryError"], "It seems to have hit its limit of 64 MB of memory (`memory_mb`)."),
        (1, ["OSError: [Errno 24] Too many open files"], "It seems to have hit its limit of 9 open files"),
        (1, ["no such host"], ""),
        (1, ["fork: Resource temporarily unavailable"], ""),  # there is no limit on processes here
        (137, [], ""),
    ],
)
def test_a_limit_that_was_hit_shows_in_words(exit_code, said, expected):
    held = {"cpu_seconds": 7, "memory_mb": 64, "file_size_mb": 5, "open_files": 9}
    found = limits.hit(held, exit_code=exit_code, said=said)
    assert found.startswith(expected) and bool(found) == bool(expected)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_confines_itself_keeps_its_memory_from_others_of_its_user():
    """The system gives the files of such a process to root."""
    script = "import os, oneself; oneself.confine({}); print(os.stat('/proc/self/environ').st_uid)"
    argv = [sys.executable, "-S", "-c", script]
    if os.getuid() == 0:
        argv = ["setpriv", "--reuid=65534", "--clear-groups", *argv]
        argv[argv.index(sys.executable)] = "/usr/bin/python3"
    folder = str(Path(oneself.__file__).parent)
    assert subprocess.check_output(argv, env={"PYTHONPATH": folder, "PATH": os.environ["PATH"]}) == b"0\n"
