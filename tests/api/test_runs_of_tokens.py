"""What is run with a personal token, and all that comes of it, does no more than the token may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from apps.access import services, tokens
from apps.access.models import ApiToken, AuditEntry
from apps.access.principals import Role
from apps.executions import retries
from apps.executions.models import Execution, Status
from apps.packs import keys
from apps.packs.models import Action
from tests.access.world import limited, make_things, token_for
from tests.api.runs import running_execution

pytestmark = pytest.mark.django_db

EXECUTE = "/api/v1/executions/execute"
# Asks for the first action that it is given, and gives it the others; first it waits for a file, if it shall.
ASKS = """
import json, os, sys, time, urllib.error, urllib.request

given = json.loads(sys.stdin.readline())
while given.get("wait") and not os.path.exists("go"):
    time.sleep(0.02)
status, message = None, ""
if given["refs"]:
    body = {"action_ref": given["refs"][0], "parameters": {"refs": given["refs"][1:]}}
    headers = {"Authorization": "Bearer " + os.environ["ATTUNE_API_TOKEN"], "Content-Type": "application/json"}
    address = os.environ["ATTUNE_API_URL"] + "/api/v1/executions/execute"
    try:
        status = urllib.request.urlopen(urllib.request.Request(address, json.dumps(body).encode(), headers)).status
    except urllib.error.HTTPError as error:
        status, message = error.code, json.load(error)["message"]
print(json.dumps({"status": status, "message": message}))
"""


@pytest.fixture
def asking(make_pack: Callable[..., Any], server: str, settings: Any, flow: Callable[..., Any]) -> Callable[..., Any]:
    """`asking(client, "alpha.act", "beta.act")`: the first is run, its program asks for the next, and so on; the
    executions in that order, when all are over."""
    settings.ATTUNE_API_URL = server
    about = {"runner_type": "python", "parameter_delivery": "stdin", "parameter_format": "json"}
    for ref in ("alpha", "beta", "gamma"):
        action = {"ref": f"{ref}.act", "entry_point": "act.py", "output_format": "json", **about}
        make_pack(ref, {"actions/act.yaml": action, "actions/act.py": ASKS})

    def ask(client: httpx.Client, *refs: str, meanwhile: Callable[[], object] | None = None) -> list[Execution]:
        body = {"action_ref": refs[0], "parameters": {"refs": refs[1:], "wait": meanwhile is not None}}
        newest = Execution.objects.values_list("pk", flat=True).first() or 0
        with flow():
            answer = client.post(EXECUTE, json=body)
            assert answer.status_code == 201, answer.text
            if meanwhile is not None:
                meanwhile()
                Path(Action.objects.get(ref=refs[0]).pack.folder, "go").touch()
        return list(Execution.objects.filter(pk__gt=newest).order_by("pk"))

    return ask


def bearing(token: str) -> APIClient:
    made = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")
    made.default_format = "json"
    return made


# Real programs -------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_program_asks_for_no_more_than_the_token_may_that_it_was_asked_for_with(
    asking: Any, http: Any, people: Any
) -> None:
    anna = people("operator")
    client = http(token=token_for(anna, scope="operator", packs=["alpha"]))
    [beyond] = asking(client, "alpha.act", "beta.act")
    assert beyond.result["status"] == 403
    assert "asked for by operator, who with that token may not run beta.act" in beyond.result["message"]
    refused = AuditEntry.objects.get(actor=f"execution {beyond.pk}")
    assert (refused.action, refused.outcome, refused.http_status) == ("access.denied", "denied", 403)
    assert refused.target == EXECUTE
    first, second, third = asking(client, "alpha.act", "alpha.act", "alpha.act", "beta.act")
    assert [row.result["status"] for row in (first, second, third)] == [201, 201, 403]
    assert len({row.requested_token for row in (first, second, third)}) == 1 and third.requested_token is not None
    assert (third.parent, third.requested_by) == (second, anna)


@pytest.mark.django_db(transaction=True)
def test_a_program_asks_for_whatever_the_token_reaches_and_so_do_its_children(
    asking: Any, http: Any, people: Any
) -> None:
    client = http(token=token_for(people("operator"), packs=["alpha", "be*"]))
    first, second, third = asking(client, "alpha.act", "beta.act", "alpha.act", "gamma.act")
    assert [row.result["status"] for row in (first, second, third)] == [201, 201, 403]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("packs", [["alpha", "beta"], []])
def test_a_token_that_is_revoked_meanwhile_lends_its_run_no_right(
    asking: Any, http: Any, people: Any, packs: list[str]
) -> None:
    text, row = tokens.issue(people("operator"), ApiToken.Kind.PERSONAL, packs=packs)
    first, second = asking(
        http(token=text), "alpha.act", "alpha.act", "beta.act", meanwhile=lambda: services.revoke_token(row, actor="x")
    )
    assert first.result["status"] == 201  # of its own pack a run may always ask
    assert second.result["status"] == 403 and "with a token that is over" in second.result["message"]


@pytest.mark.django_db(transaction=True)
def test_without_a_limit_a_program_asks_for_whatever_its_person_may_run(asking: Any, http: Any, people: Any) -> None:
    anna = people("operator")
    for text in (token_for(anna), token_for(anna, scope="operator"), services._open_session(anna).access_token):
        rows = asking(http(token=text), "alpha.act", "beta.act", "gamma.act")
        assert [row.result["status"] for row in rows] == [201, 201, None]


# Each way to a run ---------------------------------------------------------------------------------------------------
def child_status(execution: Execution, ref: str = "beta.act") -> int:
    """The answer to a running program that asks for an action."""
    Execution.objects.filter(pk=execution.pk).update(status=Status.RUNNING, attempt=1)
    token = tokens.run_token("execution", execution.pk, 1)
    return bearing(token).post(EXECUTE, {"action_ref": ref}).status_code


def asked(client: APIClient, path: str = EXECUTE, **body: Any) -> Execution:
    answer = client.post(path, body or {"action_ref": "alpha.act"})
    assert answer.status_code == 201, answer.content
    return Execution.objects.get(pk=answer.json().get("id") or answer.json()["data"]["id"])


@pytest.fixture
def world(db: None) -> None:
    make_things("alpha"), make_things("beta")


def test_a_session_that_was_opened_with_a_token_counts_as_the_token_however_often_it_is_renewed(
    world: None, people: Any
) -> None:
    text, row = tokens.issue(people("admin"), ApiToken.Kind.PERSONAL, packs=["alpha"])
    session = APIClient().post("/auth/token-login", {"token": text}, format="json").json()["data"]
    first = asked(bearing(session["access_token"]))
    later = APIClient().post("/auth/refresh", {"refresh_token": session["refresh_token"]}, format="json").json()["data"]
    second = asked(bearing(later["access_token"]))
    for execution in (first, second):
        assert execution.requested_token == row.pk
        assert (child_status(execution), child_status(execution, "alpha.act")) == (403, 201)
    plain = asked(bearing(services._open_session(people("admin")).access_token))
    assert (plain.requested_token, child_status(plain)) == (None, 201)


def test_a_rerun_counts_for_whoever_asks_for_it_and_a_retry_for_whoever_asked_first(world: None, people: Any) -> None:
    anna = people("operator")
    narrow, whole = bearing(token_for(anna, packs=["alpha"])), bearing(token_for(anna))
    by_narrow, by_whole = asked(narrow), asked(whole)
    assert (child_status(by_narrow), child_status(by_whole)) == (403, 201)
    again = asked(narrow, f"/api/v1/executions/{by_whole.pk}/rerun", parameters={})
    assert (again.requested_token, child_status(again)) == (by_narrow.requested_token, 403)
    again = asked(whole, f"/api/v1/executions/{by_narrow.pk}/rerun", parameters={})
    assert (again.requested_token, child_status(again)) == (by_whole.requested_token, 201)
    retry = retries.again(by_narrow, status=Status.SCHEDULED, original_id=by_narrow.pk, retry_number=1)
    assert (retry.requested_token, child_status(retry)) == (by_narrow.requested_token, 403)


def test_what_is_run_in_the_admin_is_judged_by_the_person(world: None, people: Any) -> None:
    anna, browser = people("operator"), Client()
    browser.force_login(anna)
    by_narrow = asked(bearing(token_for(anna, packs=["alpha"])))
    Execution.objects.filter(pk=by_narrow.pk).update(status=Status.COMPLETED)
    browser.post(reverse("admin:executions_execution_do", args=[by_narrow.pk, "again"]))
    browser.post(reverse("admin:executions_execution_add") + "?action=alpha.act", {"timeout": "", "trace_tag": ""})
    again, new = Execution.objects.filter(pk__gt=by_narrow.pk).order_by("pk")
    for execution in (again, new):
        assert (execution.requested_by, execution.requested_token) == (anna, None)
        assert child_status(execution) == 201


@pytest.mark.django_db(transaction=True)
def test_an_automatic_retry_of_a_run_is_judged_by_the_same_token(
    make_action: Callable[..., Any], people: Any, http: Any, flow: Any
) -> None:
    make_action("exit 1", max_retries=1)
    text, row = tokens.issue(people("operator"), ApiToken.Kind.PERSONAL, packs=["demo"])
    with flow():
        assert http(token=text).post(EXECUTE, json={"action_ref": "demo.act"}).status_code == 201
    retry = Execution.objects.get(retry_number=1)
    assert (retry.requested_token, retry.requested_by) == (row.pk, people("operator"))


@pytest.mark.parametrize("over", ["its time", "the account", "the person", "another's"])
def test_a_token_that_is_over_in_any_other_way_lends_nothing_either(world: None, people: Any, over: str) -> None:
    anna = people("operator")
    text, row = tokens.issue(anna, ApiToken.Kind.PERSONAL)
    execution = asked(bearing(text))
    assert child_status(execution) == 201
    if over == "its time":
        ApiToken.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    elif over == "the account":
        type(anna).objects.filter(pk=anna.pk).update(is_active=False)
    elif over == "the person":
        anna.delete()
    else:
        ApiToken.objects.filter(pk=row.pk).update(user=people("admin"))
    assert (child_status(execution), child_status(execution, "alpha.act")) == (403, 201)


@pytest.mark.parametrize("gone", ["the person", "the first of the line"])
def test_a_run_behind_which_nobody_is_left_asks_for_nothing_of_other_packs(world: None, people: Any, gone: str) -> None:
    anna = people("operator")
    if gone == "the person":
        execution = asked(bearing(services._open_session(anna).access_token))
        anna.delete()
    else:
        first, _ = running_execution(action_ref="alpha.act", pack_ref="alpha", rule_ref="alpha.rule")
        assert child_status(first) == 201
        execution, _ = running_execution(action_ref="alpha.act", pack_ref="alpha", parent=first)
        assert child_status(execution) == 201
        Execution.objects.filter(pk=first.pk).delete()
    assert (child_status(execution), child_status(execution, "alpha.act")) == (403, 201)


def test_what_a_run_carries_on_ends_with_the_token(world: None, people: Any) -> None:
    _, row = tokens.issue(people("admin"), ApiToken.Kind.PERSONAL)
    known: dict[str, Any] = {"action_ref": "core.register_packs", "pack_ref": "core", "requested_by": people("admin")}
    _, run = running_execution(**known, requested_token=row.pk)
    assert bearing(run).post("/api/v1/packs/register-batch", {}).status_code == 422  # let in, and told what is missing
    services.revoke_token(row, actor="test")
    assert bearing(run).post("/api/v1/packs/register-batch", {}).status_code == 403


# What the token itself reads -----------------------------------------------------------------------------------------
def test_a_token_for_some_packs_does_not_look_beyond_them_at_what_is_its_holders(people: Any) -> None:
    alpha, beta = make_things("alpha"), make_things("beta")
    anna = limited("anna", alpha=Role.ADMIN, beta=Role.VIEWER)
    Execution.objects.update(requested_by=anna)
    keys.write(value="hers", actor="test", owner_type="identity", owner_user=anna, owner_ref="anna", local_ref="own")
    whole, narrow = bearing(token_for(anna)), bearing(token_for(anna, packs=["alpha"]))

    def seen(client: APIClient) -> tuple[set[int], int, int]:
        rows = client.get("/api/v1/executions").json()["items"]
        one = client.get(f"/api/v1/executions/{beta.execution.pk}/logs/stdout").status_code
        return {row["id"] for row in rows}, one, client.get("/api/v1/keys/identity.anna.own?decrypt=true").status_code

    assert seen(whole) == ({alpha.execution.pk, beta.execution.pk}, 200, 200)
    assert seen(narrow) == ({alpha.execution.pk}, 404, 404)
    assert narrow.put("/api/v1/keys/identity.anna.own", {"value": "x"}).status_code == 404
