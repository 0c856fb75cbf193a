"""The launcher's warm Pythons: one zygote for each interpreter and its variables, which forks for each run.

Loaded by the launcher when the first run of that kind comes (`zygote.py` is what the zygote does, and what both say to
each other). A run given to a zygote waits until its script has begun; whatever goes wrong before that, it is started
cold. A zygote that dies takes its runs with it: their groups are killed, and they end as if killed themselves. One that
answers no more is killed; one that has nothing to do for a while is ended.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import time

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zygote.py")
MOST = 16  # zygotes
ASK = 5.0  # seconds of silence of one that has runs until it is asked whether it lives
PATIENCE = 15.0  # seconds that it may take to answer
UNFIT = 600.0  # seconds during which nothing is tried that failed from the start
ARGUMENTS, VARIABLES = 512, 8192  # bytes: room in which its children show their own


class Zygote:
    """One of them, and the runs it was given: by name, begun or not."""

    def __init__(self, key, env, idle, before):
        self.key, self.idle = key, idle
        self.control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        with its:
            argv = [*before, key[0], PROGRAM, " " * ARGUMENTS]
            self.pid = os.posix_spawn(
                argv[0],
                argv,
                {**env, "ATTUNE_WARM": " " * VARIABLES},
                file_actions=[(os.POSIX_SPAWN_DUP2, its.fileno(), 0)],
                setsid=True,
                setsigmask=[],
                setsigdef=[n for n in signal.valid_signals() if n not in (signal.SIGKILL, signal.SIGSTOP)],
            )
        self.runs = {}
        self.has_begun = False  # any run at all
        self.heard = time.monotonic()
        self.asked = 0.0

    def kill(self):
        """For certain; what is to be done about its runs is done when its socket ends."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def send(self, message, fds=()):
        """Never waits: False if it could not be sent."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
        try:
            self.control.sendmsg([json.dumps(message).encode()], ancillary)
        except OSError:
            return False
        return True


def heard(zygote):
    return zygote.heard


class Zygotes:
    """All of them. `spawn(run)` of the launcher starts a run cold."""

    def __init__(self, launcher):
        self.launcher = launcher
        self.by_key = {}  # those that may be given runs
        self.by_fd = {}  # all
        self.unfit = {}  # key -> until when it is not tried again
        self.due = 0.0  # when to look after them

    def start(self, run):
        """Give a run to its zygote; False if it must be started cold."""
        wanted = run.message["warm"]
        argv = wanted.get("argv") or run.message["argv"]
        key = (argv[0], *sorted(wanted["env"].items()))
        zygote = self.by_key.get(key) or self.begin(key, wanted)
        if zygote is None:
            return False
        message = {name: run.message[name] for name in ("run", "cwd", "env")}
        message |= {"do": "start", "script": argv[1], "marker": run.keep["marker"], "limits": wanted.get("limits", ())}
        if not zygote.send(message, run.given):
            return False
        if not zygote.runs:
            zygote.heard = time.monotonic()
        zygote.runs[run.name] = run
        return True

    def begin(self, key, wanted):
        """Start another one; None if that is not to be done now."""
        if self.unfit.get(key, 0.0) > time.monotonic():
            return None
        if len(self.by_fd) >= MOST:
            free = [other for other in self.by_fd.values() if not other.runs]
            if not free:
                return None
            self.part(min(free, key=heard))
        try:
            zygote = Zygote(key, wanted["env"], wanted["idle"], wanted.get("before", ()))
        except OSError:
            return None
        self.by_key[key] = self.by_fd[zygote.control.fileno()] = zygote
        self.launcher.poll.register(zygote.control.fileno(), select.POLLIN)
        return zygote

    def listen(self, fd):
        """Take all that a zygote says."""
        zygote = self.by_fd[fd]
        while True:
            try:
                words = zygote.control.recv(1024).decode().split()
            except BlockingIOError:
                return
            except OSError:
                words = []
            if not words:
                self.lose(zygote)
                return
            zygote.heard, zygote.asked = time.monotonic(), 0.0
            self.hear(zygote, *words)

    def hear(self, zygote, word, name="", *numbers):
        if word == "o":
            self.retire(zygote)
        run = zygote.runs.get(name)
        if run is None:
            return
        if word == "b":
            zygote.has_begun = True
            self.launcher.begun(run, int(numbers[0]))
        elif word == "c":
            del zygote.runs[name]
            if numbers:
                print(f"A warm Python cannot do run {name}: {' '.join(numbers)}", file=sys.stderr)
            self.launcher.spawn(run)
        elif word == "x" and run.pid == int(numbers[0]):
            del zygote.runs[name]
            self.launcher.ended(run, int(numbers[1]))
        if not zygote.runs and self.by_key.get(zygote.key) is not zygote:
            self.part(zygote)

    def lose(self, zygote):
        """It is gone. What had begun is ended, what had not is started cold, if the launcher still may."""
        zygote.kill()
        runs, zygote.runs = list(zygote.runs.values()), {}
        self.part(zygote)
        if not zygote.has_begun:
            self.unfit[zygote.key] = time.monotonic() + UNFIT
        for run in runs:
            if run.pid:
                self.launcher.lost(run)
            else:
                self.launcher.spawn(run)

    def forget(self, run):
        for zygote in self.by_fd.values():
            zygote.runs.pop(run.name, None)

    def retire(self, zygote):
        if self.by_key.get(zygote.key) == zygote:
            del self.by_key[zygote.key]

    def part(self, zygote):
        """Close its socket: it ends, with all that it still runs."""
        self.retire(zygote)
        fd = zygote.control.fileno()
        if self.by_fd.pop(fd, None):
            self.launcher.poll.unregister(fd)
            zygote.control.close()

    def reaped(self, pid):
        for zygote in self.by_fd.values():
            if zygote.pid == pid:
                zygote.pid = 0

    def look_after(self):
        """What is due. Returns in how many seconds to come again, None if there is nothing to look after."""
        now = time.monotonic()
        if now >= self.due:
            for zygote in list(self.by_fd.values()):
                if not zygote.runs:
                    if now - zygote.heard >= zygote.idle:
                        self.part(zygote)
                elif zygote.asked:
                    if now - zygote.asked >= PATIENCE:
                        print("A warm Python does not answer and is killed.", file=sys.stderr)
                        zygote.kill()
                elif now - zygote.heard >= ASK:
                    zygote.asked = now
                    zygote.send({"do": "ping"})
            self.due = now + ASK
        return max(0.0, self.due - now) if self.by_fd else None

    def kill(self):
        """All of them, at once."""
        for zygote in self.by_fd.values():
            zygote.kill()
