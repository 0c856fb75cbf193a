"""A warm Python's own program: it has the interpreter and common modules ready, and forks itself for each run.

Run by the interpreter of a pack's environment with the variables that a cold start there would have. Its stdin is the
launcher's socket (`zygotes.py`), each message one packet:

    {"do": "start", "run": "12-1", "script", "cwd", "env", "marker", "limits": [[number, soft, hard], …]}   with stdin,
                                                                                                  stdout, stderr
    {"do": "ping"}

It answers `b <run> <process>` when the script begins (the child itself says so, so what was not said has not begun),
`x <run> <process> <return code>` when it has ended and its group was killed, `c <run>` if it must be started cold,
with the reason if that is odd, `o` if no more runs may come since the environment has changed, and `p` to a ping. Its
children die with it when the launcher dies. It exits with 3 where it cannot do all this: its runs are started cold.

A child becomes what `python script.py` would be. It runs in place of the loop below, at the top of this file, so
that the interpreter's own machinery prints its errors, joins its threads and gives its exit code.
"""

import sys

if __name__ == "__main__":
    BARE = frozenset(sys.modules)
    PATH = sys.path[1:]  # our own folder is not for scripts to import from
    import os

    STANDARD = os.path.dirname(os.__file__)
    sys.path[1:] = [entry for entry in PATH if entry.startswith(STANDARD) and "-packages" not in entry]
    for entry in [entry for entry in sys.path_importer_cache if entry not in sys.path]:
        del sys.path_importer_cache[entry]

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import time
import warnings

from child import areas, become, show
from ending import Ending

READY = [
    *["argparse", "base64", "collections", "dataclasses", "datetime", "functools", "pathlib", "re", "subprocess"],
    *["traceback", "typing", "urllib.parse"],
]
PADDING = "ATTUNE_WARM"  # a variable whose place the run's own environment takes
LARGEST = 1 << 20  # bytes of a message
FRESH = 2.0  # seconds: a file changed so lately may change again without a trace
MOST_SCRIPTS = 256


class Unfit(Exception):
    """This run must be started cold."""


class Zygote:
    """The loop: takes runs from the launcher, forks for each, tells how they end."""

    def __init__(self, control):
        self.control = control
        self.children = {}  # process -> run
        self.codes = {}  # script -> (what the file was, code)
        self.folders = {}  # folder -> (when it was changed, names in it)
        self.loaded = loaded_names()
        self.environment = self.look()
        self.places = areas()

    def serve(self):
        """Work until the launcher is gone. Returns only in a child: its message, descriptors and code."""
        wake, waker = os.pipe()
        for fd in (wake, waker):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd == wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 1024)
                    self.reap()
                elif begun := self.listen():
                    return begun

    def listen(self):
        message, fds = self.receive()
        if message["do"] == "ping":
            self.tell("p")
            return None
        try:
            code = self.prepare(message["script"])
            pid = os.fork()
        except Exception:
            self.tell(f"c {message['run']}")
        else:
            if pid == 0:
                return message, fds, code
            self.children[pid] = message["run"]
        for fd in fds:
            os.close(fd)
        return None

    def receive(self):
        try:
            data, ancillary, _, _ = self.control.recvmsg(LARGEST, socket.CMSG_SPACE(8 * 4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            data = b""
        if not data:
            self.end()
        fds = []
        for _, _, payload in ancillary:
            fds += [fd for (fd,) in struct.iter_unpack("i", payload[: len(payload) // 4 * 4])]
        return json.loads(data), fds

    def tell(self, text):
        try:
            self.control.send(text.encode())
        except ConnectionError:
            self.end()

    def end(self):
        """The launcher is gone, or wants us no more: nothing of ours may run on."""
        for pid in self.children:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)

    def reap(self):
        while self.children:  # they are all the children we have
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if info is None:
                return
            with contextlib.suppress(OSError):
                os.killpg(info.si_pid, signal.SIGKILL)  # before it is reaped: its number is still its own
            _, status = os.waitpid(info.si_pid, 0)
            run = self.children.pop(info.si_pid, None)
            self.tell(f"x {run} {info.si_pid} {os.waitstatus_to_exitcode(status)}")

    def prepare(self, script):
        """The script's code. Raises Unfit or OSError where a cold start is the way."""
        if self.look() != self.environment:
            self.tell("o")
            raise Unfit("the environment has changed")
        for folder in (os.path.dirname(os.path.realpath(script)), *own_folders()):
            if not self.loaded.isdisjoint(self.names(folder)):
                raise Unfit("it has a module of its own under the name of one that is loaded")
        with open(script, "rb") as file:
            facts = os.fstat(file.fileno())
            key = (facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino)
            known, code = self.codes.get(script, (None, None))
            if known != key:
                code = compiled(file.read(), script)
                if time.time() - max(facts.st_mtime, facts.st_ctime) > FRESH:
                    if len(self.codes) >= MOST_SCRIPTS:
                        self.codes.clear()
                    self.codes[script] = key, code
                    gc.freeze()  # so that children leave it where it is
        if code is None:
            raise Unfit("the compiler has something to say")
        return code

    def look(self):
        """What shows that the environment is the one we started in."""
        folders = [os.stat(entry).st_mtime_ns if os.path.exists(entry) else 0 for entry in PATH]
        return [*folders, os.lstat(sys.executable).st_ctime_ns]

    def names(self, folder):
        """The names under which something could be imported from a folder."""
        try:
            changed = os.stat(folder).st_mtime_ns
            known, names = self.folders.get(folder, (None, ()))
            if known != changed:
                found = (name.partition(".") for name in os.listdir(folder))
                names = frozenset(name for name, _, kind in found if not kind or kind.endswith(("py", "pyc", "so")))
                self.folders[folder] = changed, names
        except FileNotFoundError:
            return frozenset()
        return names


def compiled(source, script):
    """Its code; None where there are errors or warnings, which must appear in the run itself."""
    with warnings.catch_warnings(record=True) as said:
        try:
            source.decode()  # the compiler minds this less than the interpreter
            code = compile(source, script, "exec", dont_inherit=True)
        except Exception:
            return None
    return None if said else code


def own_folders():
    return [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]


def loaded_names():
    """What we have imported beyond a bare start and a file of a pack could stand for."""
    return {name.partition(".")[0] for name in set(sys.modules) - BARE} - set(sys.builtin_module_names)


def give_up(reason):
    print(f"Python scripts of {sys.executable} are started cold: {reason}.", file=sys.stderr, flush=True)
    os._exit(3)


def prepare():
    """Everything that can be done before the first run. Exits with 3 where it cannot be done well."""
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.chdir("/")
    for name in READY:
        __import__(name)
    for name in ("child", "ending", sys.path.pop(0)):
        sys.modules.pop(name, None)  # ours alone
        sys.path_importer_cache.pop(name, None)
    hooks = [sys.modules.get(name) for name in ("sitecustomize", "usercustomize")]
    if any((getattr(hook, "__file__", None) or "").startswith(tuple(own_folders())) for hook in hooks if hook):
        give_up("its pack has a sitecustomize of its own, which must run each time")
    if len(os.listdir("/proc/self/task")) > 1:
        give_up("something in its environment starts a thread with every Python")
    if atexit._ncallbacks():
        give_up("something in its environment registers an exit function with every Python")
    try:
        zygote = Zygote(control)
        show(zygote.places[1], [f"{name}={value}" for name, value in os.environ.items() if name != PADDING])
    except (OSError, ValueError, IndexError) as error:
        give_up(f"this system does not let it show what runs ({error})")
    gc.collect()
    gc.freeze()
    return zygote


def begin(zygote, message, fds):
    """All that comes before a child's script. Returns the names to run it with."""
    try:
        names = become(message, fds, PATH, zygote.places)
        text = f"b {message['run']} {os.getpid()}"
    except Exception as error:
        text = f"c {message['run']} {error!r}"
    try:
        zygote.control.send(text.encode())
    except OSError:
        os._exit(1)  # there is nobody who would hear of us
    if text[0] == "c":
        os._exit(0)
    zygote.control.detach()
    os.closerange(3, 1024)
    return names


if __name__ == "__main__":
    itself = sys.modules["__main__"]  # so that a child need not take it apart when another one has its place
    zygote = prepare()
    message, fds, code = zygote.serve()
    names = begin(zygote, message, fds)
    end = Ending(names)
    del names
    atexit.register(end)
    try:
        exec(code, end.names)  # noqa: S102
        end.code = 0
    except BaseException as error:
        end.learn(error)
        raise
