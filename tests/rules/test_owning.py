"""A rule runs with no more than its saver's right when it is saved, and its owner's when it acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from apps.access import rights
from apps.access.models import ApiToken, AuditEntry, PackAccess
from apps.access.principals import Role, principal_for
from apps.access.tokens import run_token
from apps.executions.models import Execution, Status
from apps.rules import services
from apps.rules.errors import BeyondRights, RuleInvalid
from apps.rules.models import Enforcement, Event, Rule
from tests.access.world import limited, make_things, token_for

pytestmark = pytest.mark.django_db

NEW = {"ref": "alpha.new", "trigger_ref": "alpha.happened", "action_ref": "beta.act"}


@pytest.fixture(autouse=True)
def world(db: None) -> None:
    """Two packs, whose own rules are out of the way."""
    for ref in ("alpha", "beta"):
        make_things(ref)
    Rule.objects.all().delete()
    Execution.objects.all().delete()
    Event.objects.all().delete()


def client_of(person: Any) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token_for(person)}")


def rule_of(person: Any, **more: Any) -> Rule:
    given: dict[str, Any] = {"action_ref": "alpha.act", **more}
    ref = given.pop("ref", "alpha.new")
    actor = principal_for(person)
    return services.create_rule(ref=ref, pack="alpha", trigger_ref="alpha.happened", actor=actor, user=person, **given)


def outcome() -> Enforcement:
    """What the rule makes of an event now."""
    event = services.emit_event("alpha.happened", payload={}).event
    return Enforcement.objects.get(event=event)


# When it is saved ----------------------------------------------------------------------------------------------------
def test_a_rule_that_calls_an_action_one_may_only_look_at_is_refused_with_a_sentence() -> None:
    anna = limited("anna", alpha=Role.EDITOR, beta=Role.VIEWER)
    refused = client_of(anna).post("/api/v1/rules", NEW, format="json")
    assert refused.status_code == 403
    assert "you may not run beta.act" in refused.json()["message"] and "role operator" in refused.json()["message"]
    assert refused.json()["details"]["faults"][0]["path"] == "action_ref"
    PackAccess.objects.filter(user=anna, pack="beta").update(role="operator")
    assert client_of(anna).post("/api/v1/rules", NEW, format="json").status_code == 201


def test_an_action_and_a_trigger_that_one_may_not_see_are_not_there() -> None:
    anna = limited("anna", alpha=Role.EDITOR)
    for part in ({"action_ref": "beta.act"}, {"action_ref": "alpha.act", "trigger_ref": "beta.happened"}):
        seen = client_of(anna).post("/api/v1/rules", NEW | part, format="json")
        gone = client_of(anna).post(
            "/api/v1/rules", NEW | {k: v.replace("beta", "zeta") for k, v in part.items()}, format="json"
        )
        assert seen.status_code == gone.status_code == 422
        assert seen.json()["message"].replace("beta", "zeta") == gone.json()["message"]
    assert not Rule.objects.exists()


def test_each_way_of_saving_asks_for_the_savers_right() -> None:
    boss = get_user_model().objects.create(username="boss", is_superuser=True)
    anna = limited("anna", alpha=Role.EDITOR, beta=Role.VIEWER)
    rule = rule_of(boss, action_ref="beta.act")
    services.update_rule(rule, actor=principal_for(boss), action_ref="alpha.act", enabled=False)
    by_anna, client = principal_for(anna), client_of(anna)
    for save in (
        lambda: services.update_rule(rule, actor=by_anna, action_ref="beta.act"),
        lambda: services.restore_rule(rule, 1, actor=by_anna),
    ):
        with pytest.raises(BeyondRights):
            save()
        rule.refresh_from_db()
    assert client.put("/api/v1/rules/alpha.new", {"action_ref": "beta.act"}, format="json").status_code == 403
    assert client.post("/api/v1/rules/alpha.new/restore", {"revision": 1}, format="json").status_code == 403
    services.update_rule(rule, actor=principal_for(boss), action_ref="beta.act")
    assert client.post("/api/v1/rules/alpha.new/enable").status_code == 403
    assert client.put("/api/v1/rules/alpha.new", {"enabled": True}, format="json").status_code == 403
    assert client.put("/api/v1/rules/alpha.new", {"label": "mine"}, format="json").status_code == 200
    rule.refresh_from_db()
    assert (rule.action_ref, rule.enabled, rule.label) == ("beta.act", False, "mine")


def test_the_form_of_the_admin_says_it_at_the_field() -> None:
    anna, browser = limited("anna", alpha=Role.EDITOR, beta=Role.VIEWER), Client()
    browser.force_login(anna)
    sent = {"pack": "alpha", "name": "new", "enabled": "on", "trigger_ref": "alpha.happened", "action_ref": "beta.act"}
    sent |= {f"{name}__mode": "raw" for name in ("trigger_params", "criteria", "action_params")}
    answer = browser.post(reverse("admin:rules_rule_add"), sent)
    assert answer.status_code == 422 and "you may not run beta.act" in answer.content.decode()
    assert browser.post(reverse("admin:rules_rule_add"), sent | {"action_ref": "alpha.act"}).status_code == 302
    assert Rule.objects.get().owner == anna


def test_commands_and_rules_of_packs_ask_nobody() -> None:
    rule = services.create_rule(
        ref="alpha.new", pack="alpha", trigger_ref="alpha.happened", action_ref="beta.act", actor="command"
    )
    services.review_owners()
    rule.refresh_from_db()
    assert (rule.owner, rule.barred) == (None, "")
    Rule.objects.update(is_adhoc=False)
    anna = limited("anna", alpha=Role.OPERATOR)
    services.set_enabled(Rule.objects.get(), False, actor=principal_for(anna))
    services.set_enabled(Rule.objects.get(), True, actor=principal_for(anna))
    assert outcome().verdict == "matched"


# When it acts --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lost", ["a row", "the role", "the person", "the group"])
def test_an_owner_who_lost_the_right_stops_the_rule_which_says_why(lost: str) -> None:
    team = Group.objects.create(name="team")
    PackAccess.objects.create(group=team, pack="beta", role="operator")
    anna = limited("anna", alpha=Role.EDITOR)
    anna.groups.add(team)
    rule = rule_of(anna, action_ref="beta.act")
    assert outcome().execution is not None
    if lost == "a row":
        PackAccess.objects.filter(pack="beta").delete()
    elif lost == "the role":
        PackAccess.objects.filter(pack="beta").update(role="viewer")
    elif lost == "the person":
        get_user_model().objects.filter(pk=anna.pk).update(is_active=False)
    else:
        team.delete()
    rights.changed("test")
    refused = outcome()
    assert (refused.verdict, refused.execution) == ("error", None)
    assert "Its owner anna may not run beta.act any more" in refused.reason
    assert Execution.objects.count() == 1
    entry = AuditEntry.objects.get(action="rule.bar")
    assert (entry.target, entry.actor) == (rule.ref, "test") and entry.before == {"barred": ""}


def test_the_right_given_back_lets_the_rule_act_again() -> None:
    anna = limited("anna", alpha=Role.EDITOR)
    rule_of(anna)
    PackAccess.objects.filter(user=anna).update(role="viewer")
    assert services.review_owners() == 1 and services.review_owners() == 0
    assert outcome().verdict == "error"
    PackAccess.objects.filter(user=anna).update(role="operator")
    assert services.review_owners() == 1
    assert outcome().verdict == "matched"


def test_what_is_taken_away_in_the_admin_holds_for_the_next_event(people: Callable[[str], Any]) -> None:
    anna, boss = people("editor"), Client()
    boss.force_login(people("admin"))
    rule_of(anna)
    sent: dict[str, Any] = {"username": "editor", "is_active": "on", "groups": []}
    sent |= {"pack_access-TOTAL_FORMS": 0, "pack_access-INITIAL_FORMS": 0}
    assert boss.post(reverse("admin:auth_user_change", args=[anna.pk]), sent).status_code == 302
    assert outcome().verdict == "error"
    boss.post(reverse("admin:auth_user_delete", args=[anna.pk]), {"post": "yes"})
    gone = outcome()
    assert gone.verdict == "error" and "owner was deleted" in gone.reason


def test_the_rules_of_someone_who_is_deleted_do_not_run_with_everybodys_right() -> None:
    anna = limited("anna", alpha=Role.EDITOR)
    rule = rule_of(anna)
    assert outcome().verdict == "matched"
    anna.delete()
    services.review_owners()
    rule.refresh_from_db()
    assert rule.owner is None and "deleted" in rule.barred
    assert outcome().verdict == "error"


def test_whoever_may_run_it_takes_a_barred_rule_over_by_enabling_it() -> None:
    anna = limited("anna", alpha=Role.EDITOR, beta=Role.OPERATOR)
    rule_of(anna, action_ref="beta.act")
    PackAccess.objects.filter(user=anna, pack="beta").update(role="viewer")
    services.review_owners()
    shown = client_of(anna).get("/api/v1/rules/alpha.new").json()["data"]
    assert "may not run beta.act" in shown["barred"]
    assert client_of(anna).post("/api/v1/rules/alpha.new/enable").status_code == 403
    berta = limited("berta", alpha=Role.OPERATOR, beta=Role.OPERATOR)
    assert client_of(berta).post("/api/v1/rules/alpha.new/enable").json()["data"]["barred"] is None
    assert Rule.objects.get().owner == berta and outcome().verdict == "matched"
    entry = AuditEntry.objects.filter(action="rule.update").first()
    assert entry is not None and (entry.before["owner"], entry.after["owner"]) == ("anna", "berta")


def test_an_owner_who_may_not_run_the_new_action_gives_way_to_the_editor_who_may() -> None:
    anna, berta = limited("anna", alpha=Role.EDITOR), limited("berta", alpha=Role.EDITOR, beta=Role.OPERATOR)
    rule = rule_of(anna)
    services.update_rule(rule, actor=principal_for(berta), label="x")
    assert rule.owner == anna
    services.update_rule(rule, actor=principal_for(berta), action_ref="beta.act")
    assert rule.owner == berta and rule.barred == ""


def test_a_dry_run_of_a_barred_rule_says_so() -> None:
    anna = limited("anna", alpha=Role.EDITOR)
    rule_of(anna)
    PackAccess.objects.filter(user=anna).update(role="viewer")
    services.review_owners()
    rule = Rule.objects.get()
    told = services.dry_run(trigger=rule.trigger, criteria={}, payload={}, action=rule.action, rule=rule)
    assert told["matched"] is None and "may not run alpha.act" in told["error"]


def test_a_draft_reads_no_settings_of_a_pack_that_is_not_its_testers_to_edit() -> None:
    anna = limited("anna", alpha=Role.EDITOR, beta=Role.OPERATOR)
    body = {"trigger_ref": "alpha.happened", "payload": {}, "action_params": {"x": "{{ pack.config.secret }}"}}
    client = client_of(anna)
    assert client.post("/api/v1/rules/test", body | {"action_ref": "alpha.act"}, format="json").status_code == 200
    assert client.post("/api/v1/rules/test", body | {"action_ref": "beta.act"}, format="json").status_code == 403
    with pytest.raises(RuleInvalid):
        services.create_rule(ref="beta.x", pack="alpha", trigger_ref="x", action_ref="y", actor="test")


# What it runs --------------------------------------------------------------------------------------------------------
def child_of(execution: Execution, action_ref: str = "beta.act") -> Any:
    """The answer to a running program that asks for an action."""
    Execution.objects.filter(pk=execution.pk).update(status=Status.RUNNING, attempt=1)
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {run_token('execution', execution.pk, 1)}")
    return client.post("/api/v1/executions/execute", {"action_ref": action_ref}, format="json")


def test_what_a_rule_runs_asks_for_nothing_that_its_owner_may_not_run_not_even_by_a_child() -> None:
    anna = limited("anna", alpha=Role.EDITOR)
    rule_of(anna)
    first = outcome().execution
    assert first is not None
    refused = child_of(first)
    assert refused.status_code == 403 and "the rule's owner anna may not" in refused.json()["message"]
    own = child_of(first, "alpha.act")
    assert own.status_code == 201
    assert child_of(Execution.objects.get(pk=own.json()["id"])).status_code == 403
    PackAccess.objects.create(user=anna, pack="beta", role="operator")
    assert child_of(first).status_code == 201


def test_a_rule_that_was_deleted_meanwhile_lends_its_runs_no_right() -> None:
    rule = rule_of(limited("anna", alpha=Role.EDITOR))
    execution = outcome().execution
    assert execution is not None
    services.delete_rule(rule, actor="test")
    refused = child_of(execution)
    assert refused.status_code == 403 and "not there any more" in refused.json()["message"]


def test_what_a_rule_without_an_owner_runs_may_ask_for_any_action() -> None:
    services.create_rule(
        ref="alpha.new", pack="alpha", trigger_ref="alpha.happened", action_ref="alpha.act", actor="command"
    )
    execution = outcome().execution
    assert execution is not None and child_of(execution).status_code == 201


@pytest.mark.parametrize("lost", ["the role", "the account"])
def test_a_run_asks_for_nothing_that_who_asked_for_it_may_not_run_any_more(
    people: Callable[[str], Any], lost: str
) -> None:
    anna = people("operator")
    execution = Execution.objects.create(action_ref="alpha.act", pack_ref="alpha", requested_by=anna)
    assert child_of(execution).status_code == 201
    if lost == "the role":
        anna.groups.clear()
    else:
        type(anna).objects.update(is_active=False)
    assert child_of(execution).status_code == 403


def test_what_a_rule_runs_that_was_saved_with_a_token_for_some_packs_stays_within_them(
    people: Callable[[str], Any],
) -> None:
    anna = people("editor")
    narrow, whole = (
        APIClient(HTTP_AUTHORIZATION=f"Bearer {token_for(anna, packs=packs)}") for packs in (["alpha"], [])
    )

    def refused() -> bool:
        execution = outcome().execution
        assert execution is not None and child_of(execution, "alpha.act").status_code == 201
        answer = child_of(execution)
        assert answer.status_code == 201 or "with the token that it was saved with" in answer.json()["message"]
        return answer.status_code == 403

    assert narrow.post("/api/v1/rules", NEW | {"action_ref": "alpha.act"}, format="json").status_code == 201
    assert refused()
    ApiToken.objects.all().delete()
    assert refused() and outcome().verdict == "matched"  # the rule goes on without the token
    narrow, whole = (
        APIClient(HTTP_AUTHORIZATION=f"Bearer {token_for(anna, packs=packs)}") for packs in (["alpha"], [])
    )
    assert narrow.put("/api/v1/rules/alpha.new", {"label": "x"}, format="json").status_code == 200 and refused()
    assert whole.put("/api/v1/rules/alpha.new", {"label": "y"}, format="json").status_code == 200 and refused()
    assert whole.put("/api/v1/rules/alpha.new", {"criteria": {}}, format="json").status_code == 200 and not refused()
    entry = AuditEntry.objects.filter(action="rule.update").first()
    assert entry is not None and (entry.before["owner_packs"], entry.after["owner_packs"]) == (["alpha"], [])
    assert narrow.put("/api/v1/rules/alpha.new", {"criteria": {}}, format="json").status_code == 200 and refused()
    assert whole.put("/api/v1/rules/alpha.new", {"action_ref": "beta.act"}, format="json").status_code == 200
    assert Rule.objects.get().owner_packs == [] and outcome().verdict == "matched"


def test_whoever_takes_a_rule_over_with_a_token_for_some_packs_gives_it_no_more() -> None:
    anna, berta = limited("anna", alpha=Role.EDITOR), limited("berta", alpha=Role.OPERATOR, beta=Role.OPERATOR)
    rule_of(anna)
    PackAccess.objects.filter(user=anna).update(role="viewer")
    services.review_owners()
    client = APIClient(HTTP_AUTHORIZATION=f"Bearer {token_for(berta, packs=['alpha'])}")
    assert client.post("/api/v1/rules/alpha.new/enable").status_code == 200
    rule = Rule.objects.get()
    assert (rule.owner, rule.owner_packs) == (berta, ["alpha"])
    execution = outcome().execution
    assert execution is not None and child_of(execution).status_code == 403
