"""A rule's revisions: each is kept whole, differs readably from the one before, and can be brought back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.access import tokens
from apps.access.models import ApiToken, AuditEntry
from apps.rules import history
from apps.rules.errors import NoSuchRevision, RuleInvalid, RuleReadOnly
from apps.rules.models import Rule
from apps.rules.services import create_rule, delete_rule, restore_rule, set_enabled, update_rule

pytestmark = pytest.mark.django_db

WHOLE: dict[str, Any] = {
    "trigger_ref": "adhoc.happened",
    "action_ref": "demo.act",
    "criteria": {"var": "payload.n", "==": 1},
    "action_params": {"message": "{{ event.payload.n }}"},
    "throttle": {"seconds": 5},
    "debounce": {},
    "dedup": {"seconds": 5, "key": "{{ event.payload.n }}"},
    "label": "First",
    "description": "What it does",
    "tags": ["a"],
    "permission_set_refs": ["p"],
    "trace_tag_template": "t-{{ event.id }}",
}


@pytest.fixture
def rule(make_action: Callable[..., Any], make_trigger: Callable[..., Any]) -> Rule:
    make_action()
    pack = make_trigger().pack
    return create_rule(ref="adhoc.rule", pack=pack, actor="anna", **WHOLE)


@pytest.fixture
def api_of(people: Callable[[str], Any]) -> Callable[..., Any]:
    """A client that comes with the token of somebody of that role."""

    def client(role: str) -> APIClient:
        made = APIClient(HTTP_AUTHORIZATION=f"Bearer {tokens.issue(people(role), ApiToken.Kind.PERSONAL)[0]}")
        made.default_format = "json"
        return made

    return client


def revisions(rule: Rule) -> list[history.Revision]:
    return [history.revision_of(entry) for entry in history.entries(rule)]


def test_each_change_is_a_revision_with_the_whole_rule_and_what_changed(rule: Rule) -> None:
    update_rule(rule, actor="bert", label="Second", criteria={})
    latest, first = revisions(rule)
    assert (latest.number, latest.actor, first.number, first.actor) == (2, "bert", 1, "anna")
    assert first.rule == WHOLE | {"enabled": True, "trigger_params": {}}
    assert first.changes == {}
    assert latest.changes == {
        "label": {"before": "First", "after": "Second"},
        "criteria": {"before": WHOLE["criteria"], "after": {}},
    }


def test_a_revision_is_restored_whole_as_a_new_one(rule: Rule) -> None:
    update_rule(
        rule,
        actor="bert",
        **{name: {} for name in ("criteria", "action_params", "throttle", "dedup")},
        label="",
        description="",
        tags=[],
        permission_set_refs=[],
        trace_tag_template="",
    )
    restore_rule(Rule.objects.get(), 1, actor="carl")
    kept = Rule.objects.get()
    assert {name: getattr(kept, name) for name in WHOLE} == WHOLE
    assert kept.revision == 3
    assert (revisions(kept)[0].restored, revisions(kept)[0].actor) == (1, "carl")


def test_a_rule_that_was_switched_off_is_not_switched_on_by_restoring(rule: Rule) -> None:
    update_rule(rule, actor="bert", label="Second")
    set_enabled(rule, False, actor="bert")
    assert restore_rule(rule, 1, actor="carl").enabled is False


def test_restoring_what_is_so_already_changes_nothing(rule: Rule) -> None:
    restore_rule(rule, 1, actor="carl")
    assert Rule.objects.get().revision == 1
    assert len(revisions(rule)) == 1


def test_a_revision_that_is_not_there_is_said_so(rule: Rule) -> None:
    for number in (0, 2, -1, 10**30):
        with pytest.raises(NoSuchRevision):
            restore_rule(rule, number, actor="carl")


def test_a_revision_that_could_not_work_any_more_is_refused_and_nothing_changes(rule: Rule) -> None:
    update_rule(rule, actor="bert", action_ref="demo.act", label="Second")
    entry = AuditEntry.objects.get(action="rule.create")
    entry.after["action_ref"] = "demo.gone"
    entry.save()
    with pytest.raises(RuleInvalid, match=r"demo\.gone"):
        restore_rule(Rule.objects.get(), 1, actor="carl")
    assert Rule.objects.get().label == "Second"


def test_a_new_rule_under_an_old_name_has_a_history_of_its_own(rule: Rule) -> None:
    pack = rule.pack
    update_rule(rule, actor="bert", label="Second")
    AuditEntry.objects.update(at=timezone.now() - timedelta(hours=1))
    delete_rule(rule, actor="bert")
    again = create_rule(ref="adhoc.rule", pack=pack, actor="dora", **WHOLE)
    assert [each.actor for each in revisions(again)] == ["dora"]


def test_a_rule_from_files_is_not_restored(rule: Rule) -> None:
    Rule.objects.update(is_adhoc=False)
    with pytest.raises(RuleReadOnly):
        restore_rule(Rule.objects.get(), 1, actor="carl")


def test_a_difference_shows_the_lines_that_went_and_came_and_a_few_beside() -> None:
    before = {"a": 1, "b": {"c": [1, 2]}, "z": "ü"}
    lines = history.difference(before, before | {"a": 2})
    assert ("-", '  "a": 1,') in lines
    assert ("+", '  "a": 2,') in lines
    assert ("+", "new") in history.difference("", "new")
    assert history.difference("---", "+++") == [("-", "---"), ("+", "+++")]
    assert history.difference({}, None) == []


def test_what_is_huge_is_not_compared_line_by_line() -> None:
    assert history.difference(list(range(5000)), [1]) == [("-", "5002 lines"), ("+", "3 lines, too many to compare")]


def test_the_api_shows_the_history_to_viewers_and_restores_for_editors(rule: Rule, api_of: Callable[..., Any]) -> None:
    update_rule(rule, actor="bert", label="Second")
    shown = api_of("viewer").get("/api/v1/rules/adhoc.rule/history").json()["items"]
    assert [(row["revision"], row["actor"]) for row in shown] == [(2, "bert"), (1, "anna")]
    assert shown[0]["changes"] == {"label": {"before": "First", "after": "Second"}}
    address = "/api/v1/rules/adhoc.rule/restore"
    assert api_of("operator").post(address, {"revision": 1}).status_code == 403
    answer = api_of("editor").post(address, {"revision": 1})
    assert (answer.json()["data"]["label"], answer.json()["data"]["revision"]) == ("First", 3)
    assert api_of("editor").post(address, {"revision": 9}).status_code == 404
    assert api_of("editor").post(address, {"revision": "x"}).status_code == 422
    assert api_of("editor").post("/api/v1/rules/no.rule/restore", {"revision": 1}).status_code == 404
