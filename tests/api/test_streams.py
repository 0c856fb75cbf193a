"""Live streams: output as it is written, changes as they happen, for those who may see them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.utils import timezone

from apps.access.principals import Role
from apps.access.tokens import run_token
from apps.executions import logs
from apps.executions.models import Execution, Status
from apps.packs.models import Action
from attune import streams
from tests.access.world import limited, make_things, token_for
from tests.api.runs import running_execution, running_sensor
from tests.api.test_rights import routes


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream, comments left out: `{"event", "id", "data"}`."""
    found: dict[str, Any] = {}
    for line in answer.iter_lines():
        if not line and found:
            yield found
            found = {}
        elif not line.startswith(":") and line:
            name, _, value = line.partition(": ")
            found[name] = json.loads(value) if name == "data" else value


def write_log(execution: Execution, content: bytes, *, stream: str = "stdout") -> None:
    path = logs.path_of(execution.pk, stream)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(content)


def end(execution: Execution, status: Status = Status.COMPLETED) -> None:
    Execution.objects.filter(pk=execution.pk).update(status=status, updated=timezone.now())


@pytest.fixture
def execution(server: str) -> Iterator[Execution]:
    made, _ = running_execution()
    yield made
    for stream in logs.STREAMS:
        logs.path_of(made.pk, stream).unlink(missing_ok=True)


def test_a_log_is_streamed_while_it_grows_and_ends_with_the_execution(
    http: Callable[..., httpx.Client], execution: Execution
) -> None:
    write_log(execution, b"one\n")
    with http("viewer").stream("GET", f"/api/v1/executions/{execution.pk}/logs/stdout/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events(answer)
        assert next(told)["data"] == {"offset": 0, "text": "one\n"}
        write_log(execution, "zwölf\n".encode())
        assert next(told)["data"] == {"offset": 4, "text": "zwölf\n"}
        end(execution)
        last = next(told)
        assert last["event"] == "end"
        assert last["data"] == {"status": "completed"}
        assert list(told) == []


def test_a_character_that_arrives_in_halves_is_shown_whole(
    http: Callable[..., httpx.Client], execution: Execution
) -> None:
    smile = "😀".encode()
    write_log(execution, b"a" + smile[:2])
    with http("viewer").stream("GET", f"/api/v1/executions/{execution.pk}/logs/stdout/stream") as answer:
        told = events(answer)
        first = next(told)
        assert first["data"] == {"offset": 0, "text": "a"}
        assert first["id"] == "1"
        write_log(execution, smile[2:] + b"\xff")
        end(execution)
        rest = list(told)
    assert "".join(event["data"].get("text", "") for event in rest) == "😀\N{REPLACEMENT CHARACTER}"
    assert rest[0]["data"]["offset"] == 1


@pytest.mark.parametrize("way", ["query", "header"])
def test_a_log_is_taken_up_again_where_it_broke_off(
    http: Callable[..., httpx.Client], execution: Execution, way: str
) -> None:
    write_log(execution, b"0123456789")
    end(execution, Status.FAILED)
    how: dict[str, Any] = {"params": {"offset": 4}} if way == "query" else {"headers": {"Last-Event-ID": "4"}}
    with http("viewer").stream("GET", f"/api/v1/executions/{execution.pk}/logs/stdout/stream", **how) as answer:
        first, last = events(answer)
    assert first["data"] == {"offset": 4, "text": "456789"}
    assert (last["event"], last["id"]) == ("end", "10")


def test_a_log_that_nothing_was_written_to_ends_at_once(
    http: Callable[..., httpx.Client], execution: Execution
) -> None:
    end(execution)
    with http("viewer").stream("GET", f"/api/v1/executions/{execution.pk}/logs/stderr/stream") as answer:
        assert [event["event"] for event in events(answer)] == ["end"]


@pytest.mark.parametrize("path", ["/api/v1/executions/{pk}/logs/stdout/stream", "/api/v1/executions/stream"])
def test_a_silent_stream_says_that_it_is_alive(
    http: Callable[..., httpx.Client], execution: Execution, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.1)
    with http("viewer").stream("GET", path.format(pk=execution.pk)) as answer:
        assert any(line == ": still here" for line in answer.iter_lines())


def test_the_changes_of_one_execution_are_told_until_its_end(
    http: Callable[..., httpx.Client], execution: Execution
) -> None:
    with http("viewer").stream("GET", f"/api/v1/executions/stream?execution_id={execution.pk}") as answer:
        told = events(answer)
        assert next(told)["data"]["status"] == "running"
        end(execution)
        assert next(told)["data"]["status"] == "completed"
        assert list(told) == []


def test_the_stream_of_all_tells_of_open_new_and_changed_executions(
    http: Callable[..., httpx.Client], execution: Execution
) -> None:
    over, _ = running_execution(status=Status.FAILED)
    with http("viewer").stream("GET", "/api/v1/executions/stream") as answer:
        told = events(answer)
        assert next(told)["data"]["id"] == execution.pk
        new, _ = running_execution()
        fresh = next(told)
        assert (fresh["data"]["id"], fresh["id"]) == (new.pk, str(new.pk))
        end(execution)
        changed = next(told)["data"]
        assert (changed["id"], changed["status"]) == (execution.pk, "completed")
        assert over.pk != changed["id"]


@pytest.mark.parametrize(
    ("path", "who", "status"),
    [
        ("/api/v1/executions/{pk}/logs/stdout/stream", "", 401),
        ("/api/v1/executions/stream", "", 401),
        ("/api/v1/executions/{pk}/logs/stdout/stream", "sensor", 403),
        ("/api/v1/executions/{pk}/logs/stdout/stream", "other execution", 403),
        ("/api/v1/executions/stream?execution_id={pk}", "other execution", 403),
        ("/api/v1/executions/{pk}/logs/passwords/stream", "viewer", 404),
        ("/api/v1/executions/999999/logs/stdout/stream", "viewer", 404),
        ("/api/v1/executions/stream?execution_id=x", "viewer", 404),
        ("/api/v1/nothing/stream", "viewer", 404),
    ],
)
def test_a_stream_that_one_may_not_have_is_refused_in_json(
    http: Callable[..., httpx.Client], execution: Execution, path: str, who: str, status: int
) -> None:
    tokens = {"sensor": running_sensor, "other execution": running_execution}
    client = http(token=tokens[who]()[1]) if who in tokens else http(who)
    answer = client.get(path.format(pk=execution.pk))
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "message"}


def test_an_execution_may_follow_its_own_log(http: Callable[..., httpx.Client], server: str) -> None:
    execution, token = running_execution()
    with http(token=token).stream("GET", f"/api/v1/executions/{execution.pk}/logs/stdout/stream") as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines()) == ": hello"


def test_a_session_of_the_admin_may_follow_too(
    server: str, execution: Execution, people: Callable[[str], Any], client: Any
) -> None:
    client.force_login(people("viewer"))
    cookies = {name: morsel.value for name, morsel in client.cookies.items()}
    end(execution)
    address = f"{server}/api/v1/executions/{execution.pk}/logs/stdout/stream"
    with httpx.stream("GET", address, cookies=cookies, timeout=30, trust_env=False) as answer:
        assert [event["event"] for event in events(answer)] == ["end"]


def test_a_real_action_is_followed_from_its_first_line_to_its_end(
    http: Callable[..., httpx.Client], workers: Any, make_action: Callable[..., Action]
) -> None:
    action = make_action("for n in 1 2 3; do echo line $n; sleep 0.3; done", output_format="text")
    client = http("operator")
    made = client.post("/api/v1/executions/execute", json={"action_ref": action.ref}).json()
    with client.stream("GET", f"/api/v1/executions/{made['id']}/logs/stdout/stream") as answer:
        told = list(events(answer))
    assert "".join(event["data"].get("text", "") for event in told) == "line 1\nline 2\nline 3\n"
    assert told[-1]["data"] == {"status": "completed"}


# Everybody at every stream -------------------------------------------------------------------------------------------
OWN, SEEN, OTHER = "alpha", "gamma", "beta"  # packs: a role there, a viewer there, nothing there
STREAMS: dict[str, Callable[[Any], str]] = {
    "api/v1/executions/stream": lambda of: f"/api/v1/executions/stream?execution_id={of.execution.pk}",
    "api/v1/executions/<int:pk>/logs/<ref:stream>/stream": (
        lambda of: f"/api/v1/executions/{of.execution.pk}/logs/stdout/stream"
    ),
    "api/v1/packs/install/<int:pk>/stream": lambda of: f"/api/v1/packs/install/{of.installation.pk}/stream",
}


def test_each_stream_opens_to_whom_it_is_for_in_their_packs_and_to_nobody_else(
    http: Callable[..., httpx.Client],
) -> None:
    doors = [route for route in routes() if route.is_stream]
    assert {door.path for door in doors} == set(STREAMS)  # whoever adds a stream says what it is about
    world = {ref: make_things(ref) for ref in (OWN, SEEN, OTHER)}
    running = world[OWN].execution
    Execution.objects.filter(pk=running.pk).update(status=Status.RUNNING, attempt=1)
    people = {role.group: limited(role.group, **{OWN: role, SEEN: Role.VIEWER}) for role in Role}
    clients = {"nobody": http("")} | {name: http(token=token_for(person)) for name, person in people.items()}
    clients["execution"] = http(token=run_token("execution", running.pk, 1))
    clients["sensor"] = http(token=run_token("sensor", world[OWN].sensor.pk, 1))
    wrong = []
    for door in doors:
        for name, client in clients.items():
            for ref, things in world.items():
                if name == "nobody":
                    expected = 401
                elif name in people:
                    expected = 404 if ref == OTHER else 200
                else:
                    let_in = door.needs is not None and getattr(door.needs, name)
                    expected = 200 if let_in and ref == OWN else 403
                with client.stream("GET", STREAMS[door.path](things)) as answer:
                    if answer.status_code != expected:
                        wrong.append(f"{name}: {door} of {ref} answered {answer.status_code}, not {expected}")
    assert not wrong, "\n".join(wrong)
