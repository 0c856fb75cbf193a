"""Who is limited to packs: what they hold where, that it follows each change at once, and costs others nothing."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.access import reach
from apps.access.errors import OutOfReach
from apps.access.models import PackAccess
from apps.access.principals import Principal, Role, principal_for
from apps.executions.models import Execution, Status
from apps.packs import services as packs
from apps.packs.models import Pack
from apps.packs.registry import indices
from tests.access.world import limited, make_things, token_for
from tests.api.runs import running_execution
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db


def bearing(token: str) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")


def seen(client: APIClient, path: str, name: str = "ref") -> list[Any]:
    return [row[name] for row in client.get(path).json()["items"]]


def grants(principal: Principal) -> dict[str, Role]:
    return dict(principal.grants or ())


# Who holds what ------------------------------------------------------------------------------------------------------
def test_nobody_is_limited_without_a_row_and_that_is_found_out_in_the_statement_there_was(
    people: Callable[[str], Any], django_assert_num_queries: Any
) -> None:
    anna = people("editor")
    with django_assert_num_queries(1):
        principal = principal_for(anna)
    assert (principal.role, principal.grants) == (Role.EDITOR, None)
    with django_assert_num_queries(0):
        assert reach.narrow(principal, Pack.objects.all()).query.where.children == []


def test_a_row_without_a_role_means_the_role_of_the_groups(people: Callable[[str], Any]) -> None:
    anna = people("operator")
    PackAccess.objects.create(user=anna, pack="alpha")
    PackAccess.objects.create(user=anna, pack="gamma", role="editor")
    assert grants(principal_for(anna)) == {"alpha": Role.OPERATOR, "gamma": Role.EDITOR}
    anna.groups.clear()
    assert grants(principal_for(anna)) == {"gamma": Role.EDITOR}


def test_rows_of_groups_and_of_the_person_add_up_and_the_highest_role_counts() -> None:
    anna = limited("anna", alpha=Role.VIEWER)
    team = Group.objects.create(name="team")
    anna.groups.add(team)
    PackAccess.objects.create(group=team, pack="al*", role="operator")
    principal = principal_for(anna)
    assert reach.role_in(principal, "alpha") == Role.OPERATOR
    assert reach.role_in(principal, "alien") == Role.OPERATOR
    assert reach.role_in(principal, "beta") is None
    assert principal.role == Role.OPERATOR


def test_a_superuser_is_never_limited(people: Callable[[str], Any]) -> None:
    boss = people("admin")
    PackAccess.objects.create(user=boss, pack="alpha", role="viewer")
    boss.is_superuser = True
    assert principal_for(boss).grants is None


@pytest.mark.parametrize(
    ("held", "asked", "left"),
    [
        ({"alpha": Role.EDITOR}, ["alpha"], {"alpha": Role.EDITOR}),
        ({"alpha": Role.EDITOR}, ["beta"], {}),
        ({"al*": Role.EDITOR}, ["alpha"], {"alpha": Role.EDITOR}),
        ({"alpha": Role.EDITOR}, ["al*"], {"alpha": Role.EDITOR}),
        ({"al*": Role.EDITOR}, ["alp*", "b*"], {"alp*": Role.EDITOR}),
        ({"*": Role.VIEWER, "alpha": Role.EDITOR}, ["alpha"], {"alpha": Role.EDITOR}),
        (None, ["alpha", "b*"], {"alpha": Role.ADMIN, "b*": Role.ADMIN}),
    ],
)
def test_a_token_reaches_what_both_it_and_its_holder_reach(
    held: dict[str, Role] | None, asked: list[str], left: dict[str, Role], people: Callable[[str], Any]
) -> None:
    person = people("admin")
    for pack, role in (held or {}).items():
        PackAccess.objects.create(user=person, pack=pack, role=role.group)
    principal = principal_for(person, packs=asked)
    assert {pack: max(r for p, r in principal.grants or () if p == pack) for pack in grants(principal)} == left
    assert principal.role == max(left.values(), default=None)


def test_a_scope_lowers_the_role_in_each_pack() -> None:
    anna = limited("anna", alpha=Role.ADMIN, gamma=Role.VIEWER)
    assert grants(principal_for(anna, scope="operator")) == {"alpha": Role.OPERATOR, "gamma": Role.VIEWER}


@pytest.mark.parametrize("pack", ["Alpha", "al pha", "*alpha", "a**", "", "alpha.act", "a%"])
def test_a_pattern_that_names_no_pack_is_refused(pack: str) -> None:
    with pytest.raises(ValidationError):
        PackAccess(user=limited("anna"), pack=pack, role="viewer").full_clean()


def test_a_row_is_of_one_person_or_one_group() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        PackAccess.objects.create(pack="alpha", role="viewer")


# What they reach -----------------------------------------------------------------------------------------------------
def test_packs_whose_refs_begin_alike_are_kept_apart() -> None:
    for ref in ("al", "al-pha", "al_pha", "alpha"):
        make_things(ref)
    client = bearing(token_for(limited("anna", al=Role.VIEWER)))
    assert seen(client, "/api/v1/packs") == ["al"]
    assert seen(client, "/api/v1/actions") == ["al.act"]
    assert seen(client, "/api/v1/events", "trigger_ref") == ["al.happened"]
    assert seen(client, "/api/v1/enforcements", "rule_ref") == ["al.rule"]


def test_who_may_look_at_all_packs_and_change_one_is_written_with_a_star() -> None:
    make_things("alpha"), make_things("beta")
    person = limited("anna", alpha=Role.EDITOR)
    PackAccess.objects.create(user=person, pack="*", role="viewer")
    client = bearing(token_for(person))
    assert seen(client, "/api/v1/packs") == ["alpha", "beta"]
    assert client.put("/api/v1/rules/alpha.rule", {"label": "x"}, format="json").status_code == 200
    assert client.put("/api/v1/rules/beta.rule", {"label": "x"}, format="json").status_code == 403


def test_an_event_meant_for_a_rule_of_mine_is_mine_too() -> None:
    mine, other = make_things("alpha"), make_things("beta")
    type(other.event).objects.filter(pk=other.event.pk).update(rule_ref=mine.rule.ref, rule=mine.rule)
    client = bearing(token_for(limited("anna", alpha=Role.VIEWER)))
    assert set(seen(client, "/api/v1/events", "id")) == {mine.event.pk, other.event.pk}
    verdicts = client.get(f"/api/v1/events/{other.event.pk}/verdicts").json()["items"]
    assert [verdict["rule_ref"] for verdict in verdicts] == []  # what the rule of beta made of it


def test_who_asked_for_an_execution_sees_it_wherever_it_ran_but_does_no_more_to_it() -> None:
    other = make_things("beta")
    person = limited("anna", alpha=Role.OPERATOR)
    Execution.objects.filter(pk=other.execution.pk).update(requested_by=person)
    client = bearing(token_for(person))
    assert client.get(f"/api/v1/executions/{other.execution.pk}").status_code == 200
    for deed in ("cancel", "rerun", "reschedule"):
        assert client.post(f"/api/v1/executions/{other.execution.pk}/{deed}", {}, format="json").status_code == 403
    assert Execution.objects.get(pk=other.execution.pk).status == Status.REQUESTED


def test_numbers_count_only_what_one_reaches() -> None:
    make_things("alpha"), make_things("beta"), make_things("gamma")
    client = bearing(token_for(limited("anna", alpha=Role.VIEWER, gamma=Role.VIEWER)))
    assert client.get("/api/v1/executions/stats").json()["data"]["total"] == 2
    assert client.get("/api/v1/executions?include_total=true").json()["pagination"]["total_items"] == 2


def test_the_audit_log_of_a_limited_administrator_is_that_of_their_packs() -> None:
    make_things("alpha"), make_things("beta"), make_things("gamma")
    person = limited("anna", alpha=Role.ADMIN, gamma=Role.EDITOR)
    client = bearing(token_for(person))
    told = client.get("/api/v1/audit-events").json()["items"]
    assert {row["resource_ref"] for row in told} == {"alpha.rule", "pack.alpha.own", "alpha.policy"}
    text = b"".join(client.get("/api/v1/audit-events/export").streaming_content)  # type: ignore[attr-defined]
    assert b"alpha.rule" in text and b"beta" not in text and b"gamma" not in text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/api/v1/packs/install", {"source": "/tmp/x"}),
        ("post", "/api/v1/packs/register", {"path": "/tmp/x"}),
        ("post", "/api/v1/packs/alpha/reload", {}),
        ("post", "/api/v1/packs/alpha/update", {}),
        ("post", "/api/v1/packs/download", {"packs": ["x"]}),
        ("post", "/api/v1/rules/pause", {"reason": "x"}),
        ("post", "/api/v1/pack-indices", {"url": "http://127.0.0.1/x"}),
        ("post", "/api/v1/keys", {"local_ref": "x", "value": 1}),
        ("post", "/api/v1/keys", {"ref": "beta.x", "owner_type": "pack", "owner_pack_ref": "alpha", "value": 1}),
        ("post", "/api/v1/policies", {"ref": "alpha.p", "scope": {"type": "global"}, "concurrency": {"limit": 1}}),
        (
            "post",
            "/api/v1/policies",
            {
                "ref": "alpha.p",
                "scope": {"type": "pack", "pack_ref": "beta"},
                "concurrency": {"limit": 1},
            },
        ),
        ("get", "/metrics", None),
    ],
)
def test_a_limited_administrator_does_nothing_that_reaches_beyond_their_packs(
    method: str, path: str, body: Any, settings: Any
) -> None:
    settings.ATTUNE_METRICS_TOKEN = "of-a-scraper"
    make_things("alpha"), make_things("beta")
    client = bearing(token_for(limited("anna", alpha=Role.ADMIN)))
    if path == "/metrics":
        assert client.get(path).status_code == 401  # its figures are those of all packs
    else:
        assert getattr(client, method)(path, body, format="json").status_code == 403


def test_services_refuse_as_well_whatever_door_one_came_in_by() -> None:
    mine, seen_only = make_things("alpha"), make_things("gamma")
    actor = principal_for(limited("anna", alpha=Role.EDITOR, gamma=Role.VIEWER))
    packs.set_enabled(mine.action, False, actor=actor)
    with pytest.raises(OutOfReach, match="role operator"):
        packs.set_enabled(seen_only.action, False, actor=actor)
    with pytest.raises(OutOfReach):
        packs.load_pack("gamma", actor=actor)


def test_a_run_starts_nothing_in_another_pack_that_its_person_may_not() -> None:
    make_things("alpha"), make_things("beta")
    person = limited("anna", alpha=Role.OPERATOR)

    def status(action: str, **more: Any) -> int:
        _, token = running_execution(action_ref="alpha.act", pack_ref="alpha", **more)
        return bearing(token).post("/api/v1/executions/execute", {"action_ref": action}, format="json").status_code

    assert status("alpha.act", requested_by=person) == 201
    assert status("beta.act", requested_by=person) == 403
    assert status("beta.act", rule_ref="alpha.rule") == 201  # nobody owns the rule: the pack's own code decides


def test_a_change_of_the_rows_holds_from_the_next_request_on() -> None:
    make_things("alpha"), make_things("beta")
    person = limited("anna", alpha=Role.VIEWER)
    client = bearing(token_for(person))
    assert client.get("/api/v1/packs/beta").status_code == 404
    PackAccess.objects.create(user=person, pack="beta", role="viewer")
    assert client.get("/api/v1/packs/beta").status_code == 200
    PackAccess.objects.filter(user=person).delete()
    assert client.get("/api/v1/packs").status_code == 403  # no longer limited, but without any role


def test_one_is_told_what_one_is_limited_to(people: Callable[[str], Any]) -> None:
    person = limited("anna", alpha=Role.EDITOR)
    told = bearing(token_for(person)).get("/auth/me").json()["data"]
    assert told["limited_to"] == [{"pack": "alpha", "role": "editor"}] and told["role"] == "editor"
    assert bearing(token_for(people("viewer"))).get("/auth/me").json()["data"]["limited_to"] is None


def test_for_people_without_limits_a_request_costs_no_statement_more(people: Callable[[str], Any]) -> None:
    make_things("alpha")
    client = bearing(token_for(people("viewer")))
    client.get("/api/v1/rules/alpha.rule")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        client.get("/api/v1/rules/alpha.rule")
    assert len(asked) == 3  # the token, the role, the rule


def test_a_service_account_is_limited_when_it_is_made() -> None:
    out = StringIO()
    given = ("deploy", "--role", "viewer", "--pack", "alpha=operator", "--pack", "be*")
    call_command("service_account", *given, stdout=out, stderr=StringIO())
    told = bearing(out.getvalue().strip()).get("/auth/me").json()["data"]["limited_to"]
    assert told == [{"pack": "alpha", "role": "operator"}, {"pack": "be*", "role": "viewer"}]
    for wrong in ("No Pack", "alpha=root", "=viewer"):
        with pytest.raises(CommandError, match=wrong):
            call_command("service_account", "other", "--role", "viewer", "--pack", wrong)
    assert not get_user_model().objects.filter(username="other").exists()


def test_an_index_does_not_tell_what_is_installed_that_one_may_not_see() -> None:
    make_things("jira"), make_things("vault")
    indices.create_index(url=str(ROOT / "tests/data/samples/index.json"), name="sample", actor="test")
    client = bearing(token_for(limited("anna", jira=Role.VIEWER)))
    found = client.get("/api/v1/pack-indices/packs").json()["data"]
    installed = {row["pack"]["ref"]: row["installed_version"] for row in found}
    assert (installed["jira"], installed["vault"]) == ("1.0.0", None)
    assert client.get("/api/v1/pack-indices/packs/vault").json()["data"]["installed_version"] is None
