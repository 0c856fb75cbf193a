"""Try everything that an action has no business to do. Prints what came of each attempt: why it failed, or "done"."""

import ctypes
import glob
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

given = json.load(sys.stdin)
data, base, worker = given["data"], given["base"], given["worker"]
libc = ctypes.CDLL(None, use_errno=True)
attempts = {}


def attempt(name):
    def enter(function):
        attempts[name] = function
        return function

    return enter


def call(name, *arguments):
    """A call of the C library; its error is raised."""
    if getattr(libc, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def read(path):
    with open(path, "rb") as file:
        return file.read(16)


def write(path):
    open(path, "ab").close()


def ran(*argv):
    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    if ended.returncode:
        raise PermissionError(ended.stderr.decode()[-200:])


def first(pattern):
    found = glob.glob(pattern, recursive=True)
    if not found:
        raise FileNotFoundError(pattern)
    return found[0]


# What lies on the disk
attempt("read Attune's database")(lambda: read(first(f"{data}/*.sqlite3")))
attempt("read the key that secrets are sealed with")(lambda: read(f"{data}/attune_encryption_key.txt"))
attempt("read the key that tokens are signed with")(lambda: read(f"{data}/secret_key.txt"))
attempt("read Attune's settings")(lambda: read(f"{base}/attune/settings.py"))
attempt("read Attune's .env")(lambda: read(first(f"{base}/.env*")))
attempt("read what other executions printed")(lambda: os.listdir(f"{data}/logs"))
attempt("read the launcher's spool")(lambda: os.listdir(f"{data}/spool"))
attempt("read another execution's folder")(lambda: read(f"{data}/tmp/another/parameters.json"))
attempt("read another pack")(lambda: read(f"{given['pack']}/pack.yaml"))
attempt("read another pack's compiled files")(lambda: read(first(f"{data}/pycache*/**/*.pyc")))
attempt("read the machine's passwords")(lambda: read("/etc/shadow"))
attempt("read root's home")(lambda: read(next(path for path in glob.glob("/root/.*") if os.path.isfile(path))))
attempt("read private keys of the machine")(lambda: os.listdir("/etc/ssl/private"))
attempt("write to its own pack")(lambda: write(os.path.join(os.getcwd(), "actions", "new.py")))
attempt("write to its own script")(lambda: write(__file__))
attempt("make its own script writable for all")(lambda: os.chmod(__file__, 0o777))
attempt("take its own script away")(lambda: os.unlink(__file__))
attempt("write to the system")(lambda: write("/usr/bin/true"))
attempt("write to /etc")(lambda: write("/etc/hosts"))
attempt("write to /")(lambda: write("/new"))
attempt("write to Attune")(lambda: write(f"{base}/attune/__init__.py"))


# Other processes
@attempt("see the worker")
def _():
    read(f"/proc/{worker}/cmdline")
    if "python" not in os.readlink(f"/proc/{worker}/exe"):
        raise ProcessLookupError("that is another one")


attempt("read the worker's environment")(lambda: read(f"/proc/{worker}/environ"))
attempt("read the worker's memory")(lambda: read(f"/proc/{worker}/mem"))
attempt("look through the worker's root")(lambda: os.listdir(f"/proc/{worker}/root/etc"))
attempt("signal the worker")(lambda: os.kill(worker, 0))
attempt("trace the worker")(lambda: call("ptrace", 16, worker, 0, 0))


@attempt("find processes that are not its own")
def _():
    own = {os.getpid(), os.getppid(), 1}
    others = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]
    if not others:
        raise ProcessLookupError("there are none")


@attempt("enter another mount namespace")
def _():
    with open(f"/proc/{worker}/ns/mnt") as file:
        call("setns", file.fileno(), 0)


# Doors of others
def connect(family, address):
    with socket.socket(family) as door:
        door.settimeout(5)
        door.connect(address)


for whose, path in zip(("database", "broker"), given["sockets"], strict=False):
    attempt(f"connect to the {whose} by its socket")(lambda path=path: connect(socket.AF_UNIX, path))
for port in given["ports"]:
    attempt(f"connect to port {port}")(lambda port=port: connect(socket.AF_INET, ("127.0.0.1", port)))
attempt("connect to Docker")(lambda: connect(socket.AF_UNIX, "/var/run/docker.sock"))
attempt("connect to the system bus")(lambda: connect(socket.AF_UNIX, "/run/dbus/system_bus_socket"))


@attempt("find a file or socket that the launcher left open")
def _():
    for number in range(3, 4096):
        try:
            os.fstat(number)
        except OSError:
            continue
        return
    raise FileNotFoundError("there is none")


# The machine
attempt("mount something")(lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
attempt("make a namespace in which it is root")(lambda: ran("unshare", "--user", "--map-root-user", "true"))
attempt("change its root")(lambda: os.chroot("/tmp"))
attempt("become another user")(lambda: os.setuid(1 if os.getuid() == 0 else 0))
attempt("gain rights by a program")(lambda: ran("su", "-c", "true", "nobody" if os.getuid() == 0 else "root"))
attempt("make a device")(lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)))
attempt("read the machine's memory")(lambda: read("/dev/mem"))
attempt("read the kernel's memory")(lambda: read("/proc/kcore"))
attempt("read the kernel's log")(lambda: read("/dev/kmsg"))
attempt("ask for the kernel's log")(lambda: call("klogctl", 3, ctypes.create_string_buffer(99), 99))
attempt("read a disk")(lambda: read(first("/dev/[svx]d[a-z]*")))
attempt("change a setting of the kernel")(lambda: write("/proc/sys/kernel/hostname"))
attempt("call the machine by another name")(lambda: socket.sethostname(socket.gethostname()))
attempt("pull the emergency brake")(lambda: write("/proc/sysrq-trigger"))
attempt("set the clock")(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))
attempt("change a control group")(lambda: write(first("/sys/fs/cgroup/**/cgroup.procs")))
attempt("come before others")(lambda: os.nice(-5))
attempt("read what was typed at a terminal")(lambda: read("/dev/tty"))
attempt("lift its limits")(lambda: resource.setrlimit(resource.RLIMIT_CORE, (4096, 4096)))


def result(function):
    signal.alarm(30)
    try:
        function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "done"


print(json.dumps({name: result(attempts[name]) for name in given.get("only") or attempts}))
