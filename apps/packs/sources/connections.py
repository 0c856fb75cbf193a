"""Connections to addresses that were looked at before, and that end in time whatever the other side does."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

PATIENCE = 20.0  # seconds for a connection, and for each piece of an answer


class CheckedBackend(httpcore.NetworkBackend):
    """Connects to the very addresses that `addresses_of` gives for a host, so a name cannot change its mind between."""

    def __init__(self, addresses_of: Callable[[str, int], list[str]], deadline: float) -> None:
        self._addresses_of, self._deadline = addresses_of, deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        try:
            found = self._addresses_of(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"the host {host} is not known: {error.strerror}") from None
        for address in found:
            try:
                stream = self._plain.connect_tcp(
                    address, port, left(self._deadline, timeout), local_address, socket_options
                )
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _Stream(httpcore.NetworkStream):
    """A stream whose every step is over at the deadline, so that no server can hold us by a byte at a time."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, left(self._deadline, timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._inner.start_tls(ssl_context, server_hostname, left(self._deadline, timeout)), self._deadline
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def left(deadline: float, timeout: float | None = None) -> float:
    """The seconds that a step may take. Raises TimeoutException when the time is over."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise httpcore.ReadTimeout("the time is over")
    return min(remaining, PATIENCE if timeout is None else timeout)
