"""The end of a forked child's script, as the interpreter would do it, at a fraction of the cost."""

import _thread
import _weakref
import contextlib
import gc
import io
import os
import sys


class Ending:
    """The end of a script, as the interpreter would do it for us alone, without taking apart what it never touched.

    Called when threads are joined and all other exit functions have run. Where anything is out of the ordinary it does
    nothing or only a part, and the interpreter goes on by itself.
    """

    def __init__(self, names):
        self.names = names  # of the script's `__main__`
        self.code = None  # the exit code, once it is certain
        self.known = frozenset(sys.modules) - {"__main__"}
        self.trace = self.hook = None

    def learn(self, error):
        """What an uncaught exception means: the exit code, where not only the interpreter can say; its traceback."""
        if isinstance(error, SystemExit):
            self.code = exit_code(error.code)
            return
        if not isinstance(error, KeyboardInterrupt) and sys.excepthook is sys.__excepthook__:
            self.code = 1
        # The traceback shall begin with the script, as it does where nothing stands above it.
        self.trace, self.hook = error.__traceback__.tb_next, sys.excepthook
        sys.excepthook = self.show

    def show(self, kind, error, _):
        self.hook(kind, error.with_traceback(self.trace), self.trace)

    def __call__(self):
        if self.code is None or _thread._count():
            return
        flush()
        for file in filter(is_open_file, gc.get_objects()):  # a collection may close them in the wrong order
            with contextlib.suppress(Exception):
                file.flush()
        self.trace = None
        for name in ("type", "value", "traceback"):
            setattr(sys, f"last_{name}", None)
        for name in ("stdin", "stdout", "stderr", "excepthook", "displayhook"):
            setattr(sys, name, getattr(sys, f"__{name}__"))
        own = [name for name in sys.modules if name not in self.known]
        modules = [_weakref.ref(sys.modules[name]) for name in own if isinstance(sys.modules[name], type(sys))]
        del self.names
        sys.modules.update(dict.fromkeys(own))  # type: ignore[arg-type]
        gc.collect()
        for reference in reversed(modules):
            module = reference()
            if module is not None:
                empty(vars(module))
        gc.collect()
        if not any(map(is_open_file, gc.get_objects())):
            flush()
            os._exit(self.code)


def exit_code(code):
    if isinstance(code, int):
        return code & 0xFF if -(2**63) <= code < 2**63 else 255
    return 0 if code is None else 1


def flush():
    """The outputs, as far as they are open."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def empty(names):
    """Let go of what a module holds, in the interpreter's order: names with one underscore first."""
    for is_first in (True, False):
        for name in list(names):
            if (name.startswith("_") and name[1:2] != "_") if is_first else name != "__builtins__":
                names[name] = None


def is_open_file(thing):
    """Whether something may still have to be written, other than the outputs."""
    if type(thing) not in (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom) or thing.closed:
        return False
    try:
        return thing.fileno() > 2
    except OSError:
        return False
