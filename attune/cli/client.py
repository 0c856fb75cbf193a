"""Talk to the API: one request, all rows of a list, a stream that is taken up again where it broke off.

What is safe to send twice is sent again over a bad line: questions, and what carries an idempotency key. A session
that has run out is renewed, by one process for all that use the same profile.
"""

from __future__ import annotations

import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from attune.cli import VERSION, profile, sse
from attune.cli.addresses import whole
from attune.cli.errors import CommandError, Misused, TookTooLong, Unreachable, from_answer
from attune.cli.profile import Profile

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # its own command would bring rich and click
import httpx  # noqa: E402

TIMES = 3  # that a request is sent over a bad line
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between two tries; the last one again and again
PATIENCE = 60.0  # seconds that a stream tries to come back
SILENCE = 45.0  # seconds without even a heartbeat until a stream counts as broken
PAGE = 200
BUSY = (502, 503, 504)


class Client:
    """The API of one server, as whoever the profile says."""

    def __init__(self, who: Profile, *, timeout: float = 60.0, times: int = TIMES) -> None:
        self.who, self._times = who, times
        self._renewing = threading.Lock()
        is_plain = who.url.startswith("http://")  # then no certificates need to be read
        try:
            self._http = httpx.Client(
                base_url=who.url,
                timeout=httpx.Timeout(timeout, connect=min(10.0, timeout)),
                verify=not is_plain,
                headers={"User-Agent": f"attune-cli/{VERSION}"},
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise Misused(f"{who.url} is no address: {error}.", hint="It looks like http://127.0.0.1:8000") from None

    # Requests ---------------------------------------------------------------------------------------------------------
    def get(self, path: str, **query: Any) -> Any:
        return self._json("GET", path, params=query)

    def post(self, path: str, body: Any = None, *, once: bool = False) -> Any:
        """With `once` it carries an idempotency key, and may be sent again over a bad line."""
        headers = {"Idempotency-Key": uuid.uuid4().hex} if once else {}
        return self._json("POST", path, json={} if body is None else body, headers=headers)

    def put(self, path: str, body: Any) -> Any:
        return self._json("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        return self._json("DELETE", path)

    def upload(self, path: str, file: Any, *, name: str, fields: dict[str, str]) -> Any:
        """Send a file, and fields beside it. `file` is read from its beginning."""

        def request() -> httpx.Request:
            file.seek(0)
            files = {"pack": (name, file, "application/gzip")}
            return self._http.build_request("POST", whole(path), data=fields, files=files, timeout=600.0)

        return _body(self._answered(request, times=1))

    def text(self, path: str, **query: Any) -> bytes:
        """What is no JSON, as it comes."""
        return self._answered(self._request("GET", path, params=query), times=self._times).content

    def rows(self, path: str, *, limit: int = 0, **query: Any) -> list[dict[str, Any]]:
        """The rows of a list, from as many pages as it takes; `limit` 0: all of them."""
        found: list[dict[str, Any]] = []
        query["page_size"] = min(limit or PAGE, PAGE)
        while True:
            answer = self.get(path, **query)
            found += answer.get("items", answer.get("data", []))
            about = answer.get("pagination", {})
            if not about.get("has_next") or (limit and len(found) >= limit):
                return found[: limit or None]
            if about.get("before") is not None:  # long lists: no row is shown twice because new ones came meanwhile
                query["before"] = about["before"]
            else:
                query["page"] = about["page"] + 1

    def _json(self, method: str, path: str, *, headers: dict[str, str] | None = None, **content: Any) -> Any:
        is_safe = method == "GET" or bool(headers)
        request = self._request(method, path, headers=headers, **content)
        return _body(self._answered(request, times=self._times if is_safe else 1))

    def _request(self, method: str, path: str, *, params: Any = None, **content: Any) -> Callable[[], httpx.Request]:
        asked = {name: _said(value) for name, value in (params or {}).items() if value is not None}
        return lambda: self._http.build_request(method, whole(path), params=asked, **content)

    def _answered(self, request: Callable[[], httpx.Request], *, times: int) -> httpx.Response:
        """The answer, if it is a good one; else the error that it tells of."""
        for tried in range(1, times + 1):
            is_last = tried >= times
            try:
                with self._sent(request) as response:
                    response.read()
            except httpx.TransportError as error:
                if is_last or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise self._unreachable(error) from None
            else:
                if response.is_success:
                    return response
                if is_last or response.status_code not in BUSY:
                    raise self._error(response)
            time.sleep(PAUSES[tried - 1])
        raise AssertionError("the last try raises or returns")

    @contextmanager
    def _sent(self, request: Callable[[], httpx.Request]) -> Iterator[httpx.Response]:
        """The open answer; a session that has run out is renewed before, once."""
        used = self.who.access_token
        response = self._send(request())
        if response.status_code == 401 and self.who.refresh_token:
            response.close()
            self._renew(used)
            response = self._send(request())
        try:
            yield response
        finally:
            response.close()

    def _send(self, request: httpx.Request) -> httpx.Response:
        if self.who.access_token:
            request.headers["Authorization"] = f"Bearer {self.who.access_token}"
        return self._http.send(request, stream=True)

    def _renew(self, used: str) -> None:
        """A new pair of tokens in place of the used one; who comes second finds that the first has done it."""
        with self._renewing, profile.locked():
            if self.who.access_token != used:
                return
            kept = profile.kept(self.who.name)
            if kept.access_token not in ("", used):
                self.who = kept
                return
            answer = self._http.post("/auth/refresh", json={"refresh_token": self.who.refresh_token})
            if answer.status_code == 401:
                raise from_answer(401, {}, signed_in=True)
            if not answer.is_success:
                raise self._error(answer)
            pair = _body(answer)["data"]
            self.who = replace(self.who, access_token=pair["access_token"], refresh_token=pair["refresh_token"])
            profile.put(self.who)

    # Streams ----------------------------------------------------------------------------------------------------------
    def follow(self, path: str, *, deadline: float | None = None, **query: Any) -> Iterator[sse.Event]:
        """The events of a stream, to its event `end`. It is opened again after the last one seen wherever it breaks.

        `deadline` is a moment of `time.monotonic()`. Raises: TookTooLong, Unreachable.
        """
        last, failures, lost = "", 0, 0.0
        while True:
            try:
                with self._opened(path, query, last, deadline) as response:
                    for event in sse.events(response.iter_bytes()):
                        failures, last = 0, event.id or last
                        yield event
                        if event.name == "end":
                            return
                        _hurry(deadline)
                trouble: Exception | None = None
            except httpx.TransportError as error:
                trouble = error
            _hurry(deadline)
            lost = time.monotonic() if not failures else lost
            if time.monotonic() - lost > PATIENCE:
                raise self._unreachable(trouble)
            time.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1

    @contextmanager
    def _opened(self, path: str, query: dict[str, Any], last: str, deadline: float | None) -> Iterator[httpx.Response]:
        silence = SILENCE if deadline is None else max(0.05, min(SILENCE, deadline - time.monotonic()))
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        timeout = httpx.Timeout(silence, connect=10.0)
        asking = self._request("GET", path, params=query, headers=headers, timeout=timeout)
        opened: AbstractContextManager[httpx.Response] = self._sent(asking)
        with opened as response:
            if not response.is_success:
                response.read()
                if response.status_code in BUSY:
                    raise httpx.ReadError(f"status {response.status_code}")
                raise self._error(response)
            yield response

    # Errors -----------------------------------------------------------------------------------------------------------
    def _error(self, response: httpx.Response) -> CommandError:
        if response.is_redirect:
            aim = response.headers.get("location", "another address")
            return CommandError(
                f"{self.who.url} sends on to {aim}.", hint="Give the right address: attune auth login --url …"
            )
        try:
            told = response.json()
        except ValueError:
            told = None
        return from_answer(response.status_code, told, signed_in=self.who.is_signed_in)

    def _unreachable(self, error: Exception | None) -> Unreachable:
        why = {httpx.ConnectTimeout: "it does not answer", httpx.ReadTimeout: "it does not answer in time"}
        said = why.get(type(error), str(error) or "the connection breaks") if error else "the connection breaks"  # type: ignore[arg-type]
        hint = "Is it running, and is the address right? attune auth login --url … sets another."
        return Unreachable(f"The server at {self.who.url} cannot be reached: {said}.", hint=hint)


def _said(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _body(response: httpx.Response) -> Any:
    try:
        return response.json() if response.content else {}
    except ValueError:
        raise Unreachable(
            "What answers there is not Attune.", hint="Is the address right? attune auth login --url … sets another."
        ) from None


def _hurry(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise TookTooLong("It is not over yet, and you did not want to wait longer.")
