"""The pages of the admin, for somebody who is limited to packs: as narrow as the API, and no second door."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from apps.access import reach
from apps.access.models import AuditEntry, PackAccess
from apps.access.principals import Role, principal_for
from apps.executions.models import Execution
from apps.packs.models import Key, KeyGrant
from apps.rules.models import Event, Pause, Rule
from tests.access.world import Things, limited, make_things

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_only]


@pytest.fixture
def world(db: None) -> dict[str, Things]:
    return {ref: make_things(ref) for ref in ("alpha", "beta", "gamma")}


@pytest.fixture
def anna(world: dict[str, Things]) -> Client:
    """An administrator of alpha who may look at gamma."""
    client = Client()
    client.force_login(limited("anna", alpha=Role.ADMIN, gamma=Role.VIEWER))
    return client


def admins() -> list[Any]:
    return [each for model, each in admin.site._registry.items() if reach.is_by_pack(model)]


def row_of(things: Things, model: Any) -> Any:
    return next(row for row in things.rows.values() if type(row) is model)


def address(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_no_list_and_no_page_tells_of_what_one_may_not_see(anna: Client, world: dict[str, Things]) -> None:
    assert len(admins()) >= 12
    for each in admins():
        listed = anna.get(address(each.model, "changelist"))
        assert listed.status_code == 200 and "beta" not in listed.content.decode(), each.model
        assert "alpha" in listed.content.decode(), each.model
        if each.model is AuditEntry:
            continue
        for ref, status in (("alpha", 200), ("gamma", 200), ("beta", 404)):
            page = anna.get(address(each.model, "change", row_of(world[ref], each.model).pk))
            assert page.status_code == status, (each.model, ref)
            assert ref == "beta" or "beta" not in page.content.decode(), (each.model, ref)


def test_no_address_of_the_admin_tells_what_one_may_not_see_from_what_is_not_there(
    anna: Client, world: dict[str, Things]
) -> None:
    fill = {"stream": "stdout", "command": "any"}
    wrong, asked = [], 0
    for each in admins():
        for route in (str(pattern.pattern) for pattern in each.get_urls()):
            if each.model is AuditEntry or "<" not in route:
                continue
            answers = []
            for number in (row_of(world["beta"], each.model).pk, 999_999):
                filled = re.sub(r"<\w+:(\w+)>", lambda part, number=number: fill.get(part[1], str(number)), route)
                answer = anna.get(f"{address(each.model, 'changelist')}{filled}")
                assert b"beta" not in answer.content, filled
                answers.append((answer.status_code, answer.get("Location", "").replace(str(number), "n")))
            asked += 1
            if answers[0] != answers[1] or answers[0][0] == 200:
                wrong.append(f"{each.model.__name__} {route} answers {answers}")
    assert not wrong and asked > 50, wrong


def test_the_home_page_counts_and_names_only_what_one_reaches(anna: Client, world: dict[str, Things]) -> None:
    Execution.objects.filter(pack_ref="beta").update(status="abandoned")
    home = anna.get("/admin/").content.decode()
    assert "beta" not in home and "alpha.act" in home
    assert "status=completed" in home and "2</" in home


def test_no_button_works_on_what_one_may_not_see_or_may_only_look_at(anna: Client, world: dict[str, Things]) -> None:
    for each in admins():
        for command in each.commands():
            if each.model is AuditEntry:
                continue
            other = anna.post(address(each.model, "do", row_of(world["beta"], each.model).pk, command.name))
            assert other.status_code == 404, (each.model, command)
            if command.role > Role.VIEWER:
                looked_at = anna.post(address(each.model, "do", row_of(world["gamma"], each.model).pk, command.name))
                assert looked_at.status_code == 403, (each.model, command)
    assert set(Execution.objects.values_list("status", flat=True)) == {"requested"}


def test_many_at_once_are_judged_one_by_one(anna: Client, world: dict[str, Things]) -> None:
    rows = [world[ref].rule.pk for ref in ("alpha", "beta", "gamma")]
    anna.post(address(Rule, "changelist"), {"action": "switch_off", "_selected_action": rows}, follow=True)
    assert list(Rule.objects.filter(enabled=False).values_list("ref", flat=True)) == ["alpha.rule"]


@pytest.mark.parametrize(
    "path",
    [
        "/admin/executions/execution/add/?action=beta.act",
        "/admin/executions/execution/add/",
        "/admin/rules/rule/add/?trigger=beta.happened&action=beta.act&pack=beta",
        "/admin/rules/event/add/?trigger=beta.happened",
        "/admin/executions/policy/add/",
        "/admin/packs/trigger/add/",
        "/admin/rules/rule/samples/?trigger=beta.happened",
        "/admin/sensors/webhookdelivery/panel/?trigger=beta.happened",
    ],
)
def test_no_form_or_panel_offers_what_one_may_not_see(path: str, anna: Client) -> None:
    page = anna.get(path)
    asked = ("beta.act", "beta.happened", "pack=beta")  # what the address itself said may stand there
    shown = page.content.decode()
    for word in asked:
        shown = shown.replace(word, "")
    assert page.status_code == 200 and "beta" not in shown and "Beta" not in shown


def test_a_form_takes_nothing_that_it_did_not_offer(anna: Client, world: dict[str, Things]) -> None:
    sent = {"trigger": "beta.happened", "payload": "{}"}
    assert anna.post("/admin/rules/event/add/", sent).status_code == 422
    assert anna.post("/admin/rules/event/add/", sent | {"trigger": "gamma.happened"}).status_code == 403
    assert Event.objects.count() == 3
    assert anna.get("/admin/executions/execution/add/?action=gamma.act").status_code == 403
    body = {"source": "action", "subject": "beta.act", "mode": "form", "form": {}}
    assert anna.post("/admin/packs/pack/draw/", body, content_type="application/json").status_code == 200
    copied = anna.get(f"/admin/rules/rule/add/?copy={world['beta'].rule.pk}").content.decode()
    assert "rule_copy" not in copied


@pytest.mark.parametrize("page", ["/admin/auth/user/", "/admin/auth/group/", "/admin/packs/pack/load/"])
def test_an_administrator_of_some_packs_is_none_of_people_or_of_the_installation(page: str, anna: Client) -> None:
    assert anna.get(page).status_code == 403
    assert anna.post("/admin/rules/rule/pause/", {"reason": "x"}).status_code == 403
    assert not Pause.objects.exists()
    assert anna.post("/admin/packs/installation/add/", {"source": "/tmp/x"}).status_code == 422


def test_an_administrator_of_a_pack_gives_its_keys_to_no_other(anna: Client, world: dict[str, Things]) -> None:
    given = address(Key, "do", world["alpha"].key.pk, "grant")
    told = [anna.post(given, {"grantee": ref}, follow=True).content.decode() for ref in ("beta", "nowhere")]
    assert all("limited to some packs" in page for page in told) and not KeyGrant.objects.exists()


# Setting limits ------------------------------------------------------------------------------------------------------
def rows_of(*rows: tuple[str, str], first: int = 0) -> dict[str, Any]:
    given: dict[str, Any] = {"pack_access-TOTAL_FORMS": len(rows), "pack_access-INITIAL_FORMS": first}
    for number, (pack, role) in enumerate(rows):
        given |= {f"pack_access-{number}-pack": pack, f"pack_access-{number}-role": role}
    return given


def test_an_administrator_limits_a_person_on_their_page_and_the_log_says_so(
    people: Callable[[str], Any], world: dict[str, Things]
) -> None:
    boss, person = Client(), people("editor")
    boss.force_login(people("admin"))
    sent = {"username": "editor", "is_active": "on", "is_staff": "on", "groups": [g.pk for g in person.groups.all()]}
    path = reverse("admin:auth_user_change", args=[person.pk])
    assert b"pack_access-0-pack" in boss.get(path).content or b"pack_access-TOTAL_FORMS" in boss.get(path).content
    assert boss.post(path, sent | rows_of(("alpha", ""), ("core", "operator"))).status_code == 302
    assert principal_for(person).grants == (("alpha", Role.EDITOR), ("core", Role.OPERATOR))
    entry = AuditEntry.objects.get(action="user.update")
    assert (entry.before["packs"], entry.after["packs"]) == ([], ["alpha", "core as operator"])
    assert boss.post(path, sent | rows_of(("Not A Pack", ""))).status_code == 200  # the form again, with its error
    assert PackAccess.objects.count() == 2


def test_a_group_limits_its_members(people: Callable[[str], Any]) -> None:
    boss, team = Client(), Group.objects.create(name="team")
    boss.force_login(people("admin"))
    person = people("viewer")
    person.groups.add(team)
    path = reverse("admin:auth_group_change", args=[team.pk])
    assert boss.post(path, {"name": "team"} | rows_of(("alpha", "operator"))).status_code == 302
    assert principal_for(person).grants == (("alpha", Role.OPERATOR),)
    assert AuditEntry.objects.get(action="group.update").after["packs"] == ["alpha as operator"]
