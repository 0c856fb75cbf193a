"""Log lines say what they are about, in both formats, with the ids of requests, runs, events, rules and sensors."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from apps.executions.models import Execution
from apps.packs.models import Action
from apps.rules.models import Rule
from apps.rules.services import emit_event
from apps.sensors.models import SensorProcess
from attune.lib.loglines import Json, Line, about
from tests.conftest import until
from tests.live import Live, wait
from tests.sensors.conftest import make_host, stage, want

__all__ = ["make_host", "stage", "want"]  # fixtures


@contextmanager
def logged(name: str = "", *, formatter: type[logging.Formatter] = Json) -> Iterator[io.StringIO]:
    """What a logger and those below it write meanwhile, as the server would write it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter())
    logger = logging.getLogger(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def objects(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_run_that_a_rule_asked_for_says_so_in_its_worker(
    flow: Callable[..., Any], make_action: Callable[..., Action], make_rule: Callable[..., Rule]
) -> None:
    rule = make_rule(make_action("true"))
    with logged("apps.executions.runner") as written, flow():
        event = emit_event("adhoc.happened", payload={}).event
    execution = Execution.objects.get()
    until(lambda: "finished" in written.getvalue(), "the line")
    [line] = objects(written)
    assert line["message"] == f"Execution {execution.pk} finished as completed."
    assert line["level"] == "debug"
    assert (line["execution_id"], line["event_id"], line["rule_ref"]) == (execution.pk, event.pk, rule.ref)


@pytest.mark.django_db
def test_a_rule_that_breaks_is_named_with_its_event(
    make_action: Callable[..., Action], make_rule: Callable[..., Rule], monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.rules import enforcing

    rule = make_rule(make_action("true"))
    monkeypatch.setattr(enforcing.matching, "evaluate", lambda *given: 1 / 0)
    with logged("apps.rules.enforcing") as written:
        event = emit_event("adhoc.happened", payload={}).event
    [line] = objects(written)
    assert (line["event_id"], line["rule_ref"]) == (event.pk, rule.ref)
    assert "ZeroDivisionError" in line["traceback"]


@pytest.mark.django_db(transaction=True)
def test_a_sensor_that_fails_is_named(want: Callable[..., Rule], make_host: Callable[..., Any]) -> None:
    want("crasher")
    with logged("apps.sensors.post", formatter=Line) as written:
        make_host()
        until(lambda: SensorProcess.objects.filter(failures__gte=1).exists(), "a failure")
        until(lambda: "failed 1 times" in written.getvalue(), "the line")
    lines = written.getvalue().splitlines()
    assert lines
    assert all(line.endswith("[sensor_ref=sensing_stage.crasher]") for line in lines)


# Requests ------------------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_each_answer_has_an_id_and_the_one_that_was_sent_is_kept(client: Client) -> None:
    first, second = (client.get("/health/live")["X-Request-ID"] for _ in range(2))
    assert str(UUID(first)) == first
    assert first != second
    assert client.get("/api/v1/packs", HTTP_X_REQUEST_ID="Trace-1.a:b_c")["X-Request-ID"] == "Trace-1.a:b_c"
    assert client.get("/nowhere", HTTP_X_REQUEST_ID="x y")["X-Request-ID"] != "x y"
    assert client.get("/nowhere", HTTP_X_REQUEST_ID="x" * 65)["X-Request-ID"] != "x" * 65


@pytest.mark.django_db
def test_a_fault_of_ours_leads_from_the_answer_to_the_log_by_the_requests_id(
    people: Callable[[str], Any], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.packs.views import packs

    monkeypatch.setattr(packs, "page_of", lambda *given: 1 / 0)
    client.force_login(people("viewer"))
    with logged("attune.lib.api") as written:
        answer = client.get("/api/v1/packs", HTTP_X_REQUEST_ID="trace-7")
    assert answer.status_code == 500
    assert "trace-7" in answer.json()["message"]
    [line] = objects(written)
    assert line["request_id"] == "trace-7"
    assert "ZeroDivisionError" in line["traceback"]


# The formats ---------------------------------------------------------------------------------------------------------
def test_a_line_shows_its_facts_at_its_end_and_a_strangers_text_begins_no_line_of_its_own() -> None:
    with logged("tests.some", formatter=Line) as written:
        logger = logging.getLogger("tests.some")
        with about(event_id=7), about(rule_ref="a.b"):
            logger.info("It was %s.", "odd\n2026-01-01 ERROR forged\x1b[31m")
            logger.info("Once.", extra={"event_id": 8})
        logger.info("Plain.")
    first, second, third = written.getvalue().splitlines()
    assert first.endswith(
        "INFO    tests.some: It was odd\\n2026-01-01 ERROR forged\\x1b[31m. [event_id=7 rule_ref=a.b]"
    )
    assert second.endswith("Once. [event_id=8 rule_ref=a.b]")
    assert third.endswith("Plain.")


def test_a_traceback_stays_readable_in_a_line_and_one_field_in_json() -> None:
    for formatter in (Line, Json):
        with logged("tests.some", formatter=formatter) as written:
            try:
                raise ValueError("no\nsuch")
            except ValueError:
                logging.getLogger("tests.some").exception("It broke.")
        if formatter is Json:
            [line] = objects(written)
            assert line["traceback"].endswith("ValueError: no\nsuch")
        else:
            assert written.getvalue().splitlines()[1] == "Traceback (most recent call last):"


def test_whatever_is_logged_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("tests.some"), "propagate", False)  # no report can carry what comes here
    with logged("tests.some") as written:
        logging.getLogger("tests.some").info("%s", object(), extra={"execution_id": object()})
        logging.getLogger("tests.some").info("☃ \ud800")
    assert len(objects(written)) == 2


SECRET = "hunter2-in-no-log"


def listened_to(live: Live) -> list[str]:
    """All that the processes say from now on: a full pipe would hold them up."""
    said: list[str] = []
    for process in live.processes:
        threading.Thread(target=said.extend, args=[process.stdout], daemon=True).start()
    return said


def test_a_whole_installation_logs_in_json_and_no_secret(live: Live) -> None:
    live.env |= {"ATTUNE_LOG_FORMAT": "json", "ATTUNE_LOG_LEVEL": "DEBUG"}
    live.start_all()
    said = listened_to(live)
    live.call("POST", "/api/v1/keys", {"local_ref": "password", "value": SECRET, "owner_type": "system"})
    live.call("POST", "/api/v1/keys/system.password/grants", {"grantee": "core"}, expect=201)
    live.call("POST", "/api/v1/packs", {"ref": "adhoc", "label": "Ad hoc", "version": "1.0.0"})
    live.call("POST", "/api/v1/triggers", {"ref": "adhoc.happened", "label": "It happened"})
    rule = {"ref": "adhoc.rule", "label": "x", "trigger_ref": "adhoc.happened", "action_ref": "core.echo"}
    live.call("POST", "/api/v1/rules", rule | {"action_params": {"message": "{{ key.system.password }}"}})
    live.call("POST", "/api/v1/events", {"trigger_ref": "adhoc.happened", "payload": {"password": SECRET}}, expect=201)
    [execution] = wait(lambda: [run for run in live.executions() if run["finished_at"]], "the end of the run")
    assert execution["status"] == "completed"
    wait(lambda: any("finished as" in line for line in said), "the line about it")
    lines = [json.loads(line) for line in said]
    assert any(line.get("execution_id") == execution["id"] for line in lines)
    assert not [line for line in said if SECRET in line or live.token in line]
