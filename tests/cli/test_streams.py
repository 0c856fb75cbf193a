"""Live streams over bad lines: every event once, in order, whatever breaks and wherever."""

from __future__ import annotations

import json
import random
import time

import pytest

from attune.cli.client import Client
from attune.cli.errors import CommandError, NotFound, TookTooLong
from attune.cli.profile import Profile
from attune.cli.sse import Event, events

pytestmark = pytest.mark.embedded_only

ODD = "one\u2028two\u0085three\x0b\x0cfour\r\n😀\x00"
STREAM = (
    ": hello\n\n"
    + f"id: 1\ndata: {json.dumps({'text': ODD}, ensure_ascii=False)}\n\n"
    + 'event: progress\r\ndata: {"percent": 5}\r\n\r\n'
    + "data: not json\n\n"
    + "data: [1,\ndata: 2]\n\n"
    + ": still here\n\n"
    + "event: nothing\n\n"
    + "id: 9\nevent: end\ndata: {}\n\n"
    + "id: 10\ndata: broken off"
).encode()
EVENTS = [
    Event("", {"text": ODD}, "1"),
    Event("progress", {"percent": 5}, ""),
    Event("", "not json", ""),
    Event("", [1, 2], ""),
    Event("end", {}, "9"),
]


@pytest.mark.parametrize("seed", range(5))
def test_events_are_whole_however_the_bytes_arrive(seed):
    draw, rest, chunks = random.Random(seed), STREAM, []
    while rest:
        size = draw.randint(1, 40)
        chunks.append(rest[:size])
        rest = rest[size:]
    assert list(events(chunks)) == EVENTS


class Lines:
    """A server's stream of numbered lines that is cut off after every few bytes, in the middle of whatever is there."""

    def __init__(self, website, lines, *, cut_after):
        self.lines, self.cut_after, self.asked = lines, cut_after, []
        website.answers["/api/v1/lines"] = self.answer

    def answer(self, handler):
        self.asked.append(handler.headers.get("Last-Event-ID"))
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        told = "".join(
            f"id: {number}\ndata: {json.dumps(line)}\n\n"
            for number, line in enumerate(self.lines, 1)
            if number > int(self.asked[-1] or 0)
        )
        told += f"id: {len(self.lines)}\nevent: end\ndata: {{}}\n\n"
        handler.wfile.write(told.encode()[: self.cut_after])
        handler.close_connection = True


def test_a_stream_that_breaks_is_taken_up_after_its_last_event(website, monkeypatch):
    monkeypatch.setattr("attune.cli.client.PAUSES", (0.0,))
    lines = [f"line {number}" for number in range(40)]
    cut = Lines(website, lines, cut_after=150)
    told = [event.data for event in Client(Profile("x", website.url)).follow("lines") if event.name != "end"]
    assert told == lines
    assert cut.asked[0] is None and len(cut.asked) > 5
    assert len(set(cut.asked)) == len(cut.asked)


def test_a_server_that_is_away_for_a_moment_is_waited_for(website, monkeypatch):
    monkeypatch.setattr("attune.cli.client.PAUSES", (0.0,))
    lines = Lines(website, ["a"], cut_after=10_000)
    refused = iter([503, 502, 504])

    def answer(handler):
        status = next(refused, None)
        website.send(handler, status, b"", {}) if status else lines.answer(handler)

    website.answers["/api/v1/lines"] = answer
    assert [event.name for event in Client(Profile("x", website.url)).follow("lines")] == ["", "end"]


def test_a_stream_that_is_refused_is_not_asked_for_again(website):
    website.on("/api/v1/lines", 404, b'{"error": "not_found", "message": "There is no such stream."}')
    with pytest.raises(NotFound):
        list(Client(Profile("x", website.url)).follow("lines"))
    assert len(website.requests) == 1


def test_a_server_that_stays_away_is_given_up(website, monkeypatch):
    monkeypatch.setattr("attune.cli.client.PAUSES", (0.0,))
    monkeypatch.setattr("attune.cli.client.PATIENCE", 0.2)
    website.close()
    with pytest.raises(CommandError) as refused:
        list(Client(Profile("x", website.url)).follow("lines"))
    assert refused.value.exit_code == 5


def test_who_wants_to_wait_no_longer_is_let_go(website):
    Lines(website, ["a"], cut_after=5)
    with pytest.raises(TookTooLong):
        list(Client(Profile("x", website.url)).follow("lines", deadline=time.monotonic() + 0.1))
