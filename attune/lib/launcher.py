"""The launcher's own program: it starts a worker's programs, is their parent, and outlives the worker.

Run alone with the bare interpreter and few imports, since one stands beside every worker. Its arguments are the spool
folder and what it does to itself first (`confining/oneself.py`). Its stdin is a socket: messages are a header (length
of the text, number of file descriptors), a JSON object, and the descriptors.

    {"do": "lease", "seconds": 15.0}      the worker is known to be alive for so long; null: for ever
    {"do": "start", "run": "12-1", "since": 8.5, "argv", "cwd", "env", "keep": {...}}   with stdin, stdout, stderr for
                                          the program, the reading ends of both outputs, and a pipe for what we tell
                                          ("warm": {"before", "argv", "env", "idle", "limits"}: better forked from a
                                          warm Python, see `warm/`)
                                          ("sandboxed": true: the program is a sandbox, what counts is inside)
    {"do": "signal", "run": "12-1", "number": 15}
    {"do": "done", "run": "12-1"}         the end is written down, the run may be forgotten
    {"do": "guard", "pid": 17, "marker": "…"}   a group that the worker started itself: killed when the worker is gone
    {"do": "release", "pid": 17}

On a run's pipe it writes `x<return code>` at the end of the program, after the rest of its group was killed, `e<errno>`
if it could not be started, `l` if the worker was taken for dead, `n` if it was so since it took up the run, which was
then not started (`since`: when it took it up, by the clock that also runs while a machine sleeps).

A worker that says nothing until its lease is over, killed or frozen, loses its programs: their groups are killed. What
ended before that, by itself, is kept in the spool folder with the output nobody had read: `<run>.json`, `<run>.stdout`,
`<run>.stderr`. It outlives signals meant for its parent, and ends when the worker is gone and nothing runs any more. As
long as it lives it holds the lock of the spool folder.
"""

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time

HEADER = struct.Struct("!IB")
CHUNK = 64 * 1024
LAST_READS = 64  # of each output after the end: others may still write into it
SIGNALS = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
MOST_KEPT = 10 * 1024 * 1024  # bytes of each output
HERE = os.path.dirname(os.path.abspath(__file__))
CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def clock():
    """Seconds by a clock that also runs while the machine sleeps, the same in every process."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Run:
    """A program that was started, or one that ended and is not yet written down."""

    def __init__(self, message, given, out, err, status):
        self.message, self.name, self.keep = message, message["run"], message["keep"]
        self.given = given  # the program's own three descriptors, until it has begun
        self.outputs, self.status = {"stdout": out, "stderr": err}, status
        self.pid = 0  # until it has begun
        self.waiting = []  # signals that came before
        self.code = None
        self.ended_at = 0.0
        self.killed = False
        self.is_taken = False  # nobody but us reads its outputs and writes down its end
        self.files = {}
        self.sizes = {}

    def tell(self, text):
        with contextlib.suppress(OSError):
            os.write(self.status, text)

    def signal(self, number):
        if not self.pid:
            self.waiting.append(number)
        elif self.code is None:
            with contextlib.suppress(OSError):
                os.killpg(self.group_for(number), number)

    def group_for(self, number):
        """The group that a signal is for. A sandbox dies of what it is sent, and takes at once what is inside with it:
        so what the program may want to obey is sent to the group that it leads inside."""
        if self.message.get("sandboxed") and number != signal.SIGKILL and (inside := child_of(self.pid)):
            with contextlib.suppress(OSError):
                return os.getpgid(inside)
        return self.pid

    def let_go(self):
        """The program has its descriptors, or never will; what was signalled meanwhile reaches it now."""
        for fd in self.given:
            os.close(fd)
        self.given = []
        while self.pid and self.waiting:
            self.signal(self.waiting.pop(0))

    def close(self):
        for fd in (*self.given, *self.outputs.values(), self.status, *self.files.values()):
            with contextlib.suppress(OSError):
                os.close(fd)


class Launcher:
    """The whole state: the worker's socket, its lease, its runs."""

    def __init__(self, control, spool):
        self.control, self.spool = control, spool
        self.deadline = None
        self.broken_at = 0.0  # when the worker's lease last ran out
        self.lock = self.open("lock")
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.guarded = {}  # process number of a group -> marker
        self.runs = {}  # by name
        self.pids = {}  # of our own children
        self.zygotes = None  # until the first run asks for one
        self.readers = {}  # file descriptor -> (run, stream), once taken over
        self.poll = select.poll()
        self.wake, waker = os.pipe()
        for fd in (self.wake, waker):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.poll.register(self.wake, select.POLLIN)
        self.poll.register(control.fileno(), select.POLLIN)

    def work(self):
        while self.control is not None or self.runs:
            waits = [] if self.deadline is None else [max(0.0, self.deadline - clock()) * 1000 + 1]
            if self.zygotes and (seconds := self.zygotes.look_after()) is not None:
                waits.append(seconds * 1000 + 1)
            for fd, _ in self.poll.poll(min(waits, default=None)):
                if fd == self.wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.wake, 1024)
                    self.reap()
                elif fd in self.readers:
                    self.read(fd)
                elif self.zygotes and fd in self.zygotes.by_fd:
                    self.zygotes.listen(fd)
                elif self.control is not None and fd == self.control.fileno():
                    self.listen()
            self.expire()
            for run in [run for run in self.runs.values() if run.is_taken and run.code is not None]:
                self.settle(run)
        self.leave()

    def leave(self):
        """Free the spool folder, and remove it if nothing is left in it. Warm Pythons end with our sockets."""
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.spool, "lock"))
            os.rmdir(self.spool)

    # From the worker
    def listen(self):
        try:
            header, fds, _, _ = self.receive()
        except OSError:
            header, fds = b"", []
        if len(header) < HEADER.size:
            return self.hang_up()
        length, _ = HEADER.unpack(header)
        data = bytearray()
        while len(data) < length:
            part = self.control.recv(length - len(data))
            if not part:
                return self.hang_up()
            data += part
        message = json.loads(data)
        do = message["do"]
        if do == "start":
            self.start(message, fds)
        elif do == "done":
            self.forget(message["run"])
        elif do == "signal":
            if run := self.runs.get(message["run"]):
                run.signal(message["number"])
        elif do == "guard":
            self.guarded[message["pid"]] = message["marker"]
        elif do == "release":
            self.guarded.pop(message["pid"], None)
        elif do == "lease":
            self.expire()  # before the new one hides that the old one was over
            self.deadline = None if message["seconds"] is None else clock() + message["seconds"]
        return None

    def receive(self):
        data, ancillary, flags, address = self.control.recvmsg(HEADER.size, socket.CMSG_SPACE(8 * 4), CLOEXEC)
        fds = []
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds += [fd for (fd,) in struct.iter_unpack("i", payload[: len(payload) // 4 * 4])]
        while data and len(data) < HEADER.size:
            part = self.control.recv(HEADER.size - len(data))
            data = data + part if part else b""
        return data, fds, flags, address

    def start(self, message, fds):
        if not CLOEXEC:
            for fd in fds:
                os.set_inheritable(fd, False)
        run = self.runs[message["run"]] = Run(message, fds[:3], *fds[3:])
        if self.is_late(run) or not message.get("warm") or not self.warm().start(run):
            self.spawn(run)

    def warm(self):
        if self.zygotes is None:
            sys.path.append(os.path.join(HERE, "warm"))
            from zygotes import Zygotes

            self.zygotes = Zygotes(self)
        return self.zygotes

    def is_late(self, run):
        """Whether the worker was taken for dead since it took up this run."""
        return run.message["since"] <= self.broken_at

    def spawn(self, run):
        """Start a program as a child of ours, unless it is too late."""
        if self.is_late(run):
            run.tell(b"n\n")
            return self.forget(run.name)
        argv, env = run.message["argv"], run.message["env"]
        try:
            os.chdir(run.message["cwd"])
            run.pid = os.posix_spawn(
                find(argv[0], env),
                argv,
                env,
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(run.given)],
                setsid=True,
                setsigmask=[],
                setsigdef=SIGNALS,  # whatever we, Python, or who started us ignore
            )
        except (OSError, ValueError) as error:
            number = error.errno if isinstance(error, OSError) else errno.EINVAL
            run.tell(f"e{number}\n".encode())
            return self.forget(run.name)
        self.pids[run.pid] = run
        return run.let_go()

    def begun(self, run, pid):
        """A warm Python has forked for a run, which leads a group of its own."""
        run.pid = pid
        run.let_go()
        if self.is_late(run):
            self.end([run])

    def ended(self, run, code):
        run.code, run.ended_at = code, time.time()
        run.tell(f"x{code}\n".encode())

    def lost(self, run):
        """The warm Python it was forked from is gone, and nobody will say how it ends."""
        run.signal(signal.SIGKILL)
        kill_marked([run.keep["marker"]])
        self.ended(run, -signal.SIGKILL)

    def forget(self, name):
        run = self.runs.pop(name, None)
        if run is not None:
            self.pids.pop(run.pid, None)
            if self.zygotes:
                self.zygotes.forget(run)
            self.quiet(run)
            run.close()

    def hang_up(self):
        """The worker is gone. What it started by us may go on until its lease is over."""
        self.poll.unregister(self.control.fileno())
        self.control.close()
        self.control = None
        if self.deadline is None:
            self.deadline = clock()
        self.end_guarded()
        self.take_over()

    # The end of programs
    def reap(self):
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            pid = info.si_pid
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)  # before it is reaped: its number is still its own
            _, status = os.waitpid(pid, 0)
            run = self.pids.pop(pid, None)
            if run is not None:
                self.ended(run, os.waitstatus_to_exitcode(status))
            elif self.zygotes:
                self.zygotes.reaped(pid)

    def expire(self):
        """See whether the lease is over: then nothing of this worker may run on."""
        if self.deadline is None or clock() < self.deadline:
            return
        self.deadline = None
        self.broken_at = clock()
        self.end_guarded()
        self.take_over()
        self.end([run for run in self.runs.values() if run.pid])
        if self.zygotes:
            self.zygotes.kill()  # what has not begun there never will

    def end(self, runs):
        for run in runs:
            if run.code is None:
                run.killed = True
                run.signal(signal.SIGKILL)
        kill_marked([run.keep["marker"] for run in runs if run.killed])
        for run in runs:
            run.tell(b"l\n")

    def end_guarded(self):
        for group in self.guarded:
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        kill_marked(self.guarded.values())
        self.guarded.clear()

    def take_over(self):
        for run in self.runs.values():
            run.is_taken = True
            for stream, fd in run.outputs.items():
                if fd not in self.readers:
                    os.set_blocking(fd, False)
                    self.readers[fd] = (run, stream)
                    self.poll.register(fd, select.POLLIN)

    def read(self, fd):
        """Take what a program printed and nobody read; False when there is no more."""
        run, stream = self.readers[fd]
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.poll.unregister(fd)
            del self.readers[fd]
            return False
        room = MOST_KEPT - run.sizes.get(stream, 0)
        run.sizes[stream] = run.sizes.get(stream, 0) + len(data)
        if room > 0:
            if stream not in run.files:
                run.files[stream] = self.open(f"{run.name}.{stream}")
            os.write(run.files[stream], data[:room])
        return True

    def open(self, name):
        os.makedirs(self.spool, mode=0o700, exist_ok=True)
        return os.open(os.path.join(self.spool, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def settle(self, run):
        """Write down how a run ended that is ours alone: the file appears when it is whole."""
        for fd in run.outputs.values():
            for _ in range(LAST_READS):
                if fd not in self.readers or not self.read(fd):
                    break
        record = {**run.keep, "returncode": run.code, "killed": run.killed, "ended_at": run.ended_at}
        file = self.open(f"{run.name}.new")
        os.write(file, json.dumps(record).encode())
        os.close(file)
        path = os.path.join(self.spool, run.name)
        os.rename(path + ".new", path + ".json")
        run.tell(b"l\n")
        self.forget(run.name)

    def quiet(self, run):
        for fd in run.outputs.values():
            if self.readers.pop(fd, None):
                self.poll.unregister(fd)


def find(program, env):
    """The path of a program: as it is if it has a slash, else by the PATH it will have itself."""
    if "/" in program:
        return program
    for folder in env.get("PATH", "/usr/bin:/bin").split(":"):
        path = os.path.join(folder, program)
        if folder and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(errno.ENOENT, "not found", program)


def child_of(pid):
    """The one child of a process, 0 if it has none (Linux)."""
    for entry in os.scandir("/proc"):
        with contextlib.suppress(OSError, IndexError):
            if entry.name.isdigit():
                with open(f"/proc/{entry.name}/stat") as file:
                    if int(file.read().rpartition(")")[2].split()[1]) == pid:
                        return int(entry.name)
    return 0


def kill_marked(markers):
    """Kill whoever left its group but still carries one of the markers, `NAME=value`, in its environment (Linux)."""
    needles = [b"\0" + marker.encode() + b"\0" for marker in markers if "=" in marker]
    if not needles or not os.path.exists("/proc/self/environ"):
        return
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and any(needle in environment(entry.name) for needle in needles):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:
            continue


def environment(pid):
    file = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
    try:
        return b"\0" + os.read(file, 1 << 20)
    finally:
        os.close(file)


if __name__ == "__main__":
    sys.path.append(os.path.join(HERE, "confining"))
    from oneself import confine

    confine(json.loads(sys.argv[2]))
    Launcher(socket.socket(fileno=0), sys.argv[1]).work()
