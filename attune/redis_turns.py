"""The lanes of hints in Redis, for several processes; server mode alone needs this, and the client that it loads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from attune.turns import Hint, Unreachable, stamp

PATIENCE = 2.0  # seconds that Redis has to answer; more than a consumer waits, and no more than a sender may be held up
_PUSH = """
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local place = 0
if first[2] then place = tonumber(first[2]) else redis.call('DEL', KEYS[2]) end
local last = redis.call('HGET', KEYS[2], ARGV[1])
if last and tonumber(last) + 1 > place then place = tonumber(last) + 1 end
redis.call('HSET', KEYS[2], ARGV[1], place)
redis.call('ZADD', KEYS[1], place, ARGV[2])
"""
_POP = """
local found, left = {}, tonumber(ARGV[1])
for number, key in ipairs(KEYS) do
    local taken = redis.call('ZPOPMIN', key, math.max(1, left))
    left = left - #taken / 2
    for at = 1, #taken, 2 do
        found[#found + 1] = {number, taken[at], taken[at + 1]}
    end
end
return found
"""

F = TypeVar("F", bound=Callable[..., Any])


def connect(url: str) -> redis.Redis:
    """A client that gives up soon, since whoever waits for it may be a sender."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=PATIENCE,
        socket_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=30,
    )


def _said(method: F) -> F:
    """Say in the words of `turns` that Redis does not answer."""

    @wraps(method)
    def asked(*args: Any) -> Any:
        try:
            return method(*args)
        except redis.RedisError as error:
            raise Unreachable(str(error)) from error

    return asked  # type: ignore[return-value]


class RedisTurns:
    """Lanes in Redis: a sorted set for each, and beside it the last place of each flow."""

    def __init__(self, client: redis.Redis, *, namespace: str) -> None:
        self.client, self._prefix = client, f"{namespace}:"
        self._push, self._pop = client.register_script(_PUSH), client.register_script(_POP)

    @_said
    def push(self, lane: str, flow: str, data: bytes) -> None:
        key = self._prefix + lane
        self._push(keys=[key, f"{key}:flows"], args=[flow, stamp(data)])

    @_said
    def pop(self, lanes: Sequence[str], most: int) -> list[Hint]:
        found: Any = self._pop(keys=[self._prefix + lane for lane in lanes], args=[most])
        return [Hint(float(place), data, lanes[number - 1]) for number, data, place in found]

    @_said
    def wait(self, lanes: Sequence[str], timeout: float) -> list[Hint]:
        found: Any = self.client.bzpopmin([self._prefix + lane for lane in lanes], timeout=timeout)  # type: ignore[arg-type]
        return [Hint(found[2], found[1], found[0].decode().removeprefix(self._prefix))] if found else []

    @_said
    def put_back(self, hints: Iterable[Hint]) -> None:
        with self.client.pipeline(transaction=False) as pipeline:
            for hint in hints:
                pipeline.zadd(self._prefix + hint.lane, {hint.stamped: hint.place})
            pipeline.execute()

    @_said
    def depth(self, lane: str) -> int:
        return int(self.client.zcard(self._prefix + lane))  # type: ignore[arg-type]

    @_said
    def clear(self, lane: str) -> None:
        self.client.delete(self._prefix + lane)

    @_said
    def ping(self) -> None:
        self.client.ping()
