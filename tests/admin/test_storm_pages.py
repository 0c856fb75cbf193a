"""Storm control, stopped chains, the pause of all rules, and what was passed over, as the admin's pages show them."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from apps.access.models import AuditEntry
from apps.packs.models import Pack
from apps.rules import services
from apps.rules.enforcing import enforce
from apps.rules.models import Event, Pause, Rule
from apps.rules.services import create_rule, emit_event, pause_rules

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db(transaction=True)]

EVIL = "<script>alert('x')</script>"


@pytest.fixture
def make_calm(core, people):
    """A rule of core.alert with the storm control given."""

    def make(**controls):
        Pack.objects.get_or_create(ref="home", defaults={"label": "Home", "is_adhoc": True})
        return create_rule(
            ref="home.calm",
            pack="home",
            trigger_ref="core.alert",
            action_ref="core.echo",
            action_params={"message": "{{ payload.message }}"},
            actor="test",
            **controls,
        )

    return make


def alert(message="hello"):
    event = emit_event("core.alert", payload={"severity": "info", "message": message}).event
    enforce(event.pk)
    return event


def page_of(client, event):
    return client.get(reverse("admin:rules_event_change", args=[event.pk])).content.decode()


def test_the_pages_show_what_was_held_back_and_why(sign_in, make_calm):
    rule = make_calm(throttle={"seconds": 600, "key": "{{ payload.severity }}"}, dedup={"seconds": 60, "key": EVIL})
    first, second = alert(), alert()
    client = sign_in("viewer")
    shown = page_of(client, second)
    assert "suppressed" in shown and f"event {first.pk} had the same key" in shown
    assert EVIL not in shown
    shown = client.get(reverse("admin:rules_rule_change", args=[rule.pk])).content.decode()
    assert "1 in the last hour, 1 in the last day" in shown and "at most once within 600 s" in shown
    assert EVIL not in shown
    assert "1 suppressed" in client.get(reverse("admin:rules_event_changelist")).content.decode()


def test_of_all_events_those_that_storm_control_held_back_are_found(sign_in, make_calm):
    make_calm(dedup={"seconds": 60, "key": "same"})
    first, second = alert(), alert()
    shown = sign_in("viewer").get(reverse("admin:rules_event_changelist") + "?outcome=suppressed").content.decode()
    assert f"/{second.pk}/change/" in shown and f"/{first.pk}/change/" not in shown


def test_the_pages_show_what_was_passed_over_and_why(sign_in, make_calm):
    rule = make_calm()
    happened = alert()
    payload = {"severity": "info", "message": "x"}
    event = emit_event("core.alert", payload=payload, rule=rule, passed_over="missed", reason=EVIL).event
    nobodys = emit_event("core.alert", payload=payload, passed_over="skipped", reason="The tide was out.").event
    client = sign_in("viewer")
    for passed, words in ((event, ("missed", "&lt;script&gt;")), (nobodys, ("skipped", "The tide was out."))):
        shown = page_of(client, passed)
        assert all(word in shown for word in words) and EVIL not in shown
        assert "no rule looked at it" in shown and "its rules decided" not in shown
    shown = client.get(reverse("admin:rules_rule_change", args=[rule.pk])).content.decode()
    assert ">missed<" in shown and ">matched<" in shown and EVIL not in shown
    shown = client.get(reverse("admin:rules_event_changelist") + "?outcome=passed_over").content.decode()
    assert "1 missed" in shown and "1 skipped" in shown and f"/{happened.pk}/change/" not in shown


def test_the_pages_show_what_still_waits_and_what_took_its_place(sign_in, make_calm):
    rule = make_calm(debounce={"seconds": 600})
    first, second = alert("one"), alert("two")
    client = sign_in("viewer")
    assert f"event {second.pk} took its place" in page_of(client, first)
    assert "at-badge at-wait" in page_of(client, second)
    shown = client.get(reverse("admin:rules_rule_change", args=[rule.pk])).content.decode()
    assert ">waiting<" in shown and ">suppressed<" in shown


def test_the_pages_show_a_chain_that_was_stopped(sign_in, make_calm):
    make_calm()
    event = Event.objects.create(
        trigger_ref="core.alert", payload={"severity": "info", "message": "x"}, depth=11, caused_by=5
    )
    enforce(event.pk)
    client = sign_in("viewer")
    assert "stopped: chain deeper than 10 (began with execution 5)" in page_of(client, event)
    assert "A chain through core.alert was stopped" in client.get("/admin/").content.decode()
    found = client.get(reverse("admin:rules_event_changelist") + "?outcome=deep").content.decode()
    assert "1 stopped" in found


def test_a_pause_is_seen_everywhere_and_only_editors_have_the_switch(sign_in, make_calm):
    rule = make_calm()
    client = sign_in("viewer")
    assert "pause-dialog" not in client.get("/admin/").content.decode()
    for name in ("pause", "resume"):
        for role in ("viewer", "operator"):
            assert sign_in(role).post(reverse(f"admin:rules_rule_{name}"), {"reason": "x"}).status_code == 403
        assert sign_in("editor").get(reverse(f"admin:rules_rule_{name}")).status_code == 405
    assert not Pause.objects.exists()
    pause_rules(reason=EVIL, actor="anna")
    event = alert()
    places = ["/admin/", reverse("admin:rules_rule_changelist"), reverse("admin:rules_rule_change", args=[rule.pk])]
    for address in places:
        shown = client.get(address).content.decode()
        assert "&lt;script&gt;" in shown and EVIL not in shown and "resume-dialog" not in shown, address
    assert "rules were paused by anna" in page_of(client, event)
    held = client.get(reverse("admin:rules_event_changelist") + "?outcome=held").content.decode()
    assert "1 paused" in held


def test_rules_are_paused_and_resumed_with_a_dialog(page, make_calm):
    make_calm()
    page.goto("/admin/")
    page.goto("/admin/rules/rule/")
    page.click("text=Pause all rules …")
    page.click("dialog button:has-text('Pause all rules')")
    assert not Pause.objects.exists()  # a reason is asked for
    page.fill("dialog [name=reason]", "An alert storm")
    page.click("dialog button:has-text('Pause all rules')")
    expect(page.locator("#pause")).to_contain_text("An alert storm")
    pause = Pause.objects.get()
    assert (pause.paused_by, pause.reason, pause.active) == ("admin", "An alert storm", True)
    alert()
    page.goto("/admin/")
    expect(page.locator("#pause")).to_contain_text("1 event came meanwhile")
    page.click("text=Resume …")
    page.check("dialog [value=process]")
    page.click("dialog button:has-text('Resume')")
    page.wait_for_selector("text=what came meanwhile is decided on now")
    assert page.locator("#pause").count() == 0
    assert services.act_on_due() == 1
    actions = AuditEntry.objects.filter(action__startswith="rules.").order_by("id").values_list("actor", "action")
    assert list(actions) == [("admin", "rules.pause"), ("admin", "rules.resume")]


def test_storm_control_is_set_in_the_form_and_faults_stand_at_their_fields(page, make_calm):
    rule = make_calm(dedup={"seconds": 60, "key": "{{ payload.message }}"})
    page.goto(f"/admin/rules/rule/{rule.pk}/edit/")
    expect(page.locator("#id_dedup_key")).to_have_value("{{ payload.message }}")
    page.fill("#id_dedup_key", "")
    page.fill("#id_throttle_limit", "3")
    page.fill("#id_debounce_key", "{{ payload.")
    page.click("text=Save the rule")
    for field in ("throttle_seconds", "debounce_seconds", "debounce_key", "dedup_key"):
        expect(page.locator(f"[data-field={field}] .errorlist")).to_be_visible()
    page.fill("#id_dedup_seconds", "")
    page.fill("#id_throttle_seconds", "0.5")
    page.fill("#id_debounce_seconds", "30")
    page.fill("#id_debounce_key", "{{ payload.severity }}")
    page.click("text=Save the rule")
    page.wait_for_selector("text=is saved")
    rule = Rule.objects.get()
    assert rule.throttle == {"seconds": 0.5, "limit": 3}
    assert rule.debounce == {"seconds": 30, "key": "{{ payload.severity }}"} and rule.dedup == {}
    expect(page.locator("#restraint")).to_contain_text("for each {{ payload.severity }}")
    page.click("text=Copy")
    expect(page.locator("#id_debounce_seconds")).to_have_value("30")
