"""The bounds of a template: on time, memory and size, and on what it may look into.

Jinja's own sandbox keeps a template away from Python, but not from `'a' * 200000000` or nested loops. Here every loop,
filter, method and literal passes a meter, and values have a largest size.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from itertools import islice
from typing import Any

from jinja2 import ChainableUndefined, StrictUndefined

MAX_OUTPUT = 1024 * 1024
MAX_VALUE = 6 * 1024 * 1024
MAX_ITERATIONS = 10_000
MAX_WORK = 2_000_000
MAX_CPU_SECONDS = 1.0
MAX_WHOLE_BITS = 1024

_TEXT_METHODS = """capitalize count endswith find isalnum isalpha isdigit islower isspace isupper join lower lstrip
removeprefix removesuffix replace rfind rsplit rstrip split splitlines startswith strip swapcase title upper"""
METHODS: dict[type, frozenset[str]] = {
    str: frozenset(_TEXT_METHODS.split()),
    list: frozenset({"count", "index"}),
    dict: frozenset({"get", "items", "keys", "values"}),
}
NAMES = "event, payload, trigger, pack, config, rule, system and key"


class LimitError(Exception):
    """Raised when a template asks for more time, memory or text than it may have, or for something it may not do."""


class Meter:
    """What one rendering has used: units of work, loop iterations, CPU time, letters put out."""

    def __init__(self) -> None:
        self.work = 0
        self.iterations = 0
        self.output = 0
        self.deadline = time.thread_time() + MAX_CPU_SECONDS

    def spend(self, units: int) -> None:
        self.work += units + 1
        if self.work > MAX_WORK or time.thread_time() > self.deadline:
            raise LimitError("the template does too much work; make it simpler, or do this in the action")

    def iterate(self) -> None:
        self.iterations += 1
        if self.iterations > MAX_ITERATIONS:
            raise LimitError(f"the template goes round its loops more than {MAX_ITERATIONS} times")
        self.spend(20)

    def put_out(self, size: int) -> None:
        self.output += size
        if self.output > MAX_OUTPUT:
            raise LimitError(f"the template gives more than {MAX_OUTPUT} characters")
        self.spend(1)


METER: ContextVar[Meter] = ContextVar("meter")


@contextmanager
def metered() -> Iterator[Meter]:
    """A fresh meter for the templates rendered inside."""
    token = METER.set(meter := Meter())
    try:
        yield meter
    finally:
        METER.reset(token)


class Opaque:
    """A value that a template may pass on but not look into; every operation on it is refused."""

    complaint = "it must be used as it is"

    def _refused(self, *arguments: Any) -> Any:
        raise LimitError(self.complaint)

    __bool__ = __len__ = __iter__ = __contains__ = __str__ = __add__ = __radd__ = __mul__ = __rmul__ = _refused
    __mod__ = __rmod__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __hash__ = __neg__ = __pos__ = _refused
    __sub__ = __rsub__ = __truediv__ = __rtruediv__ = __floordiv__ = __pow__ = __rpow__ = __format__ = _refused
    __int__ = __float__ = __index__ = __call__ = __getitem__ = __rfloordiv__ = _refused

    def child(self, name: Any) -> Any:
        """What `value.name` gives."""
        return self._refused()


class Missing(ChainableUndefined, StrictUndefined):
    """A name that leads nowhere: `a.b.c | default(1)` and `is defined` work, any other use names what is missing."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        return f"there is no {self._undefined_name!r}; the names are {NAMES}"


def weighed(value: Any, *, limit: int = MAX_VALUE) -> Any:
    """The value itself. Raises LimitError if it is larger, written out in full, than a value may be."""
    kind = type(value)
    if kind is int:
        if value.bit_length() > MAX_WHOLE_BITS:
            raise LimitError("a number in the template grows too large")
        return value
    if kind is str:
        if len(value) > limit:
            raise LimitError(f"a text in the template grows over {limit} characters")
        return value
    if not isinstance(value, list | tuple | dict):
        return value
    total, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        total += 8
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
            total += sum(len(key) + 8 if isinstance(key, str) else 8 for key in item)
        elif isinstance(item, list | tuple):
            waiting.extend(item)
        if total > limit or len(waiting) * 8 > limit:
            raise LimitError("a list or object in the template grows too large")
    METER.get().spend(total // 64)
    return value


def charge(value: Any) -> None:
    """Pay for going through a value once. Raises LimitError where the rendering's means are at an end."""
    if isinstance(value, str):
        METER.get().spend(len(value) // 32)
    elif isinstance(value, list | tuple | dict | range):
        METER.get().spend(len(value))
    elif isinstance(value, Opaque):
        value._refused()


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter or test that pays for its arguments, and whose result is a plain value of bounded size."""

    @wraps(function)
    def metered_function(*arguments: Any, **named: Any) -> Any:
        METER.get().spend(2)
        for argument in (*arguments, *named.values()):
            charge(argument)
        return settled(function(*arguments, **named))

    return metered_function


def settled(result: Any) -> Any:
    """A filter's result as a plain value: what comes lazily is gathered, within bounds."""
    if isinstance(result, Iterator):
        result = list(islice(result, MAX_VALUE // 8 + 1))
    return weighed(result)


def counted(iterable: Any) -> Iterator[Any]:
    """What a `for` loop goes through, one paid iteration at a time."""
    meter = METER.get()
    if isinstance(iterable, Missing | Opaque) or not isinstance(iterable, Iterable):
        iter(iterable)  # raises, and says what is missing
    for item in iterable:
        meter.iterate()
        yield item


def ticked(value: Any) -> Any:
    METER.get().spend(1)
    return value


def joined(parts: tuple[Any, ...]) -> str:
    """The `~` operator."""
    return weighed("".join(str(weighed(part)) for part in parts))


def called(obj: Any, name: str, *arguments: Any, **named: Any) -> Any:
    """A method of text, a list or an object, if it is one of those allowed."""
    for kind, names in METHODS.items():
        if isinstance(obj, kind):
            if name not in names:
                raise LimitError(f"the method {name} cannot be used in a template")
            for argument in (obj, *arguments, *named.values()):
                charge(argument)
            _check_growth(obj, name, arguments)
            result = getattr(obj, name)(*arguments, **named)
            return settled(list(result) if name in ("items", "keys", "values") else result)
    if isinstance(obj, Missing | Opaque):
        str(obj)  # raises, and says what is missing or why not
    raise LimitError(f"{name} cannot be called on a value of this type")


def _check_growth(obj: Any, name: str, arguments: tuple[Any, ...]) -> None:
    if name == "replace" and len(arguments) > 1 and isinstance(arguments[0], str) and isinstance(arguments[1], str):
        check_replacement(obj, arguments[0], arguments[1])
    if name == "join" and arguments:
        check_joining(arguments[0], obj)


def check_replacement(text: str, old: str, new: str) -> None:
    """Raise LimitError if replacing would make too long a text."""
    if text.count(old) * len(new) + len(text) > MAX_VALUE:
        raise LimitError("a replacement in the template grows too large")


def check_joining(items: Any, separator: str) -> None:
    """Raise LimitError if joining would make too long a text."""
    if isinstance(items, str | list | tuple | dict | range) and len(items) * len(separator) > MAX_VALUE:
        raise LimitError("a joined text in the template grows too large")


def bounded_range(*limits: int) -> list[int]:
    numbers = range(*limits)
    if len(numbers) > MAX_ITERATIONS:
        raise LimitError(f"range gives more than {MAX_ITERATIONS} numbers")
    charge(numbers)
    return list(numbers)
