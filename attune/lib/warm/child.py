"""Make a forked child what `python script.py` would be, up to its first line."""

import io
import os
import signal
import sys
import threading
import time
from importlib.machinery import SourceFileLoader


def become(message, fds, path, places):
    """Make this child what a cold start would be, up to the script. Returns the names of its `__main__`."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    limit(message["limits"])
    os.chdir(message["cwd"])
    env, script = message["env"], message["script"]
    os.environ.clear()
    os.environ.update(env)
    if "TZ" in env:
        time.tzset()
    first, second = places
    show(first, [sys.orig_argv[0], script])
    show(second, dict.fromkeys([message["marker"], *(f"{name}={value}" for name, value in env.items())]))
    if os.fsencode(message["marker"]) not in read_bytes("/proc/self/environ"):
        raise OSError("nobody could find what it leaves behind")
    sys.argv = [script]
    sys.orig_argv = [sys.orig_argv[0], script]
    sys.path[:] = [os.path.dirname(os.path.realpath(script)), *path]
    for name, fd, old in (("stdin", 0, sys.stdin), ("stdout", 1, sys.stdout), ("stderr", 2, sys.stderr)):
        stream = reopened(fd, f"<{name}>", old)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if hasattr(main := threading.main_thread(), "_set_native_id"):
        main._set_native_id()
    module = type(sys)("__main__")
    module.__dict__.update(
        __annotations__={},
        __builtins__=sys.modules["builtins"],
        __file__=script,
        __cached__=None,
        __loader__=SourceFileLoader("__main__", script),
    )
    sys.modules["__main__"] = module
    return module.__dict__


def limit(bounds):
    """Take limits of our own; how is not for the script to find loaded."""
    if bounds:
        import resource

        for number, soft, hard in bounds:
            resource.setrlimit(number, (soft, hard))
        del sys.modules["resource"]


def reopened(fd, name, old):
    """One of the three streams anew, as the interpreter opens them (`create_stdio` in its pylifecycle.c)."""
    writes, unbuffered = fd > 0, old.write_through
    buffer = open(fd, "wb" if writes else "rb", 0 if writes and unbuffered else -1, closefd=False)
    getattr(buffer, "raw", buffer).name = name
    stream = io.TextIOWrapper(
        buffer,
        encoding=old.encoding,
        errors=old.errors,
        newline="\n",
        line_buffering=not unbuffered and (fd == 2 or buffer.isatty()),
        write_through=unbuffered,
    )
    stream.mode = "w" if writes else "r"
    return stream


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def areas():
    """Where in our memory the system reads our arguments and our environment: two pairs of addresses."""
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return [(int(fields[at]), int(fields[at + 1])) for at in (45, 47)]


def show(place, texts):
    """Have `ps` and /proc show these texts in that place; those that do not fit are left out."""
    start, end = place
    data = b""
    for text in texts:
        piece = os.fsencode(text) + b"\0"
        if len(data) + len(piece) < end - start:
            data += piece
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(data.ljust(end - start, b"\0"))
