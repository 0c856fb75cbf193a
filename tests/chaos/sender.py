"""A careful client: it sends each event under a key of its own, again and again until it has a 2xx."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

GIVE_UP = 120.0  # seconds


class Sender:
    """Sends events to any of the ports; what was acknowledged is in `accepted`, all that was answered in `answers`."""

    def __init__(self, ports: Callable[[], list[int]], token: str, *, name: str) -> None:
        self.ports, self.name = ports, name
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.accepted: dict[str, int] = {}
        self.answers: Counter[int] = Counter()
        self.faults: list[str] = []  # answers that a server under fire may not give
        self.lock = threading.Lock()

    def send_all(self, count: int, *, a_second: float, seconds: float = 0.0, threads: int = 8) -> None:
        """Send so many events at that pace, to `happened` and to `crowded` in turn."""
        began = time.monotonic()

        def one(number: int) -> None:
            time.sleep(max(0.0, began + number / a_second - time.monotonic()))
            self.send(number, "crowded" if number % 5 == 0 else "happened", seconds=seconds)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(count)))

    def send(self, number: int, trigger: str = "happened", **payload: Any) -> int:
        """Send one event until it is acknowledged; its number."""
        deadline, turn = time.monotonic() + GIVE_UP, number
        while time.monotonic() < deadline:
            turn += 1
            if 200 <= self.post(number, trigger, turn=turn, **payload) < 300:
                return self.accepted[self._key(number)]
            time.sleep(0.2)
        raise AssertionError(f"Event {number} was not taken within {GIVE_UP:g} s; answers {self.answers}")

    def post(self, number: int, trigger: str, *, turn: int = 0, **payload: Any) -> int:
        """Send one event once; the status, 0 without an answer."""
        key = self._key(number)
        body = {"trigger_ref": f"chaos.{trigger}", "payload": {"n": number, **payload}, "dedup_key": key}
        status, retry_after, text = self._post(body, turn)
        self._note(key, status, retry_after, text)
        return status

    def _key(self, number: int) -> str:
        return f"{self.name}-{number}"

    def _post(self, body: dict[str, Any], turn: int) -> tuple[int, bool, str]:
        """Status (0: no answer), whether it said Retry-After, and the text."""
        ports = self.ports()
        if not ports:
            return 0, False, ""
        connection = http.client.HTTPConnection("127.0.0.1", ports[turn % len(ports)], timeout=20)
        try:
            connection.request("POST", "/api/v1/events", json.dumps(body), self.headers)
            response = connection.getresponse()
            return response.status, response.headers.get("Retry-After") is not None, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, False, ""
        finally:
            connection.close()

    def _note(self, key: str, status: int, retry_after: bool, text: str) -> None:
        with self.lock:
            self.answers[status] += 1
            if status and not 200 <= status < 300 and not (status in (429, 503) and retry_after):
                self.faults.append(f"event {key} was answered {status}: {text[:300]}")
            elif 200 <= status < 300:
                event = json.loads(text)["data"]["id"]
                if self.accepted.setdefault(key, event) != event:
                    self.faults.append(f"event {key} was acknowledged as {self.accepted[key]} and as {event}")
