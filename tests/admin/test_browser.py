"""The admin in a real browser: rules, packs, triggers and runs made by filling in forms and pressing buttons."""

from __future__ import annotations

import json
import urllib.request

import pytest
from playwright.sync_api import expect

from apps.executions import logs
from apps.executions.models import Execution, Status
from apps.packs.models import Action, Pack, Trigger
from apps.rules.models import Event, Rule
from tests.conftest import until

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db(transaction=True)]


def choose(page, field, words):
    """Pick the one choice that holds these words in a searchable select."""
    page.click(f"[data-field={field}] .select2-selection")
    page.fill(".select2-search__field", words)
    page.click(f".select2-results__option:has-text('{words}')")


def parameter(page, field, name):
    """The input of a parameter in a drawn form; jsonform names it by its path."""
    return page.locator(
        f"[data-field={field}] [name='rjf§{name}'], [data-field={field}] [name='rjf§{name}§template']"
    ).first


def test_a_rule_that_says_the_time_every_five_seconds_is_made_in_the_form(page):
    page.goto("/admin/rules/rule/add/")
    page.fill("#id_name", "say_the_time")
    choose(page, "trigger_ref", "core.intervaltimer")
    parameter(page, "trigger_params", "unit").select_option("seconds")
    parameter(page, "trigger_params", "interval").fill("5")
    choose(page, "action_ref", "core.sleep")
    expect(parameter(page, "action_params", "seconds")).to_be_visible()
    choose(page, "action_ref", "core.echo")
    expect(parameter(page, "action_params", "seconds")).to_have_count(0)
    parameter(page, "action_params", "message").fill("It is {{ system.timestamp }}")
    expect(page.locator("#test-outcome")).to_contain_text("It would match and run core.echo")
    expect(page.locator("#test-outcome")).to_contain_text("It is 20")
    page.click("text=Save the rule")
    page.wait_for_selector("text=Rule core.say_the_time is saved and on.")
    rule = Rule.objects.get(ref="core.say_the_time")
    assert rule.trigger_params == {"unit": "seconds", "interval": 5}
    assert rule.action_params == {"message": "It is {{ system.timestamp }}"}
    assert rule.criteria == {}
    assert rule.owner.username == "admin"


def test_what_the_present_action_knows_too_is_kept_when_another_is_chosen(page):
    page.goto("/admin/rules/rule/add/?trigger=core.alert&action=core.echo")
    parameter(page, "action_params", "message").fill("both have this")
    choose(page, "action_ref", "core.noop")
    expect(parameter(page, "action_params", "exit_code")).to_be_visible()
    expect(parameter(page, "action_params", "message")).to_have_value("both have this")


def test_a_choice_can_be_a_template_and_the_text_says_the_same_as_the_form(page):
    page.goto("/admin/rules/rule/add/?trigger=core.alert&action=core.echo")
    page.fill("#id_name", "loud")
    field = page.locator("[data-field=action_params]")
    field.locator(".rjf-oneof-selector-input").select_option("1")
    parameter(page, "action_params", "uppercase").fill("{{ event.payload.severity == 'critical' }}")
    field.locator("[data-mode=raw]").click()
    raw = field.locator("textarea[name=action_params__raw]")
    expect(raw).to_be_visible()
    assert json.loads(raw.input_value()) == {"uppercase": "{{ event.payload.severity == 'critical' }}"}
    field.locator("[data-mode=form]").click()
    expect(parameter(page, "action_params", "uppercase")).to_have_value("{{ event.payload.severity == 'critical' }}")
    page.click("text=Save the rule")
    page.wait_for_selector("text=is saved")
    assert Rule.objects.get(ref="core.loud").action_params["uppercase"].startswith("{{")


def test_the_test_beside_the_form_answers_while_one_types(page, make_trigger):
    trigger = make_trigger("shop.paid")
    event = Event.objects.create(trigger=trigger, trigger_ref=trigger.ref, payload={"amount": 30})
    page.goto(f"/admin/rules/rule/add/?trigger=shop.paid&action=core.echo&event={event.pk}")
    outcome = page.locator("#test-outcome")
    expect(outcome).to_contain_text("It would match")
    page.click("[data-field=criteria] .rjf-add-button")
    page.fill("[name='rjf§0§field']", "amount")
    page.select_option("[name='rjf§0§operator']", ">")
    page.fill("[name='rjf§0§value']", "500")
    expect(outcome).to_contain_text("It would not match")
    expect(outcome).to_contain_text("was 30")
    page.fill("#test-payload", '{"amount": 900}')
    expect(outcome).to_contain_text("It would match")
    page.fill("#test-payload", "{oops")
    expect(outcome).to_contain_text("not JSON")
    assert not Execution.objects.exists()
    assert Event.objects.count() == 1


def test_a_rule_that_cannot_work_is_refused_and_the_form_keeps_what_was_typed(page):
    page.goto("/admin/rules/rule/add/?trigger=core.intervaltimer&action=core.echo")
    page.fill("#id_name", "broken")
    parameter(page, "trigger_params", "interval").fill("often")
    parameter(page, "action_params", "message").fill("{{ broken")
    page.click("text=Save the rule")
    expect(page.locator("[role=alert]")).to_contain_text("interval")
    expect(parameter(page, "trigger_params", "interval")).to_have_value("often")
    expect(parameter(page, "action_params", "message")).to_have_value("{{ broken")
    assert not Rule.objects.exists()


def test_an_ad_hoc_pack_and_a_trigger_with_a_webhook_are_made_and_the_webhook_works(page, live_server, settings):
    settings.ATTUNE_API_URL = live_server.url
    page.goto("/admin/packs/pack/add/")
    page.fill("#id_ref", "stripe")
    page.fill("#id_label", "Stripe")
    page.click("[data-field=conf_schema] .rjf-add-button")
    page.fill("[name='rjf§0§name']", "channel")
    page.fill("[name='rjf§0§default']", "#money")
    page.click("text=Make the pack")
    page.wait_for_selector("text=Pack stripe is saved.")
    assert Pack.objects.get(ref="stripe").conf_schema["properties"] == {
        "channel": {"type": "string", "default": "#money"}
    }

    page.click("text=New trigger")
    page.fill("#id_name", "payment.succeeded")
    page.fill("#id_label", "Payment succeeded")
    page.click("[data-field=payload_schema] .rjf-add-button")
    page.fill("[name='rjf§0§name']", "amount")
    page.select_option("[name='rjf§0§type']", "number")
    page.check("[name='rjf§0§required']")
    page.click("text=Make the trigger")
    page.wait_for_selector("text=Trigger stripe.payment.succeeded is saved.")
    trigger = Trigger.objects.get(ref="stripe.payment.succeeded")
    assert trigger.payload_schema["required"] == ["amount"]

    page.click("text=Open as webhook")
    address = page.inner_text("#webhook-url")
    assert address == f"{live_server.url}/api/v1/webhooks/{Trigger.objects.get(pk=trigger.pk).webhook_key}"
    request = urllib.request.Request(address, b'{"amount": 12}', {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202
    page.reload()
    page.wait_for_selector("text=Latest deliveries")
    expect(page.locator("#panel")).to_contain_text("202")
    page.click("text=New address")
    page.click("dialog button:has-text('New address')")
    page.wait_for_selector("text=The webhook has a new address")
    assert page.inner_text("#webhook-url") != address


def test_an_action_is_run_from_its_page_and_its_output_is_shown(page, workers):
    page.goto("/admin/packs/action/core.echo/change/")
    page.click(".at-head >> text=Run")
    parameter(page, "parameters", "message").fill("<b>hello</b> & grüße")
    parameter(page, "parameters", "uppercase").select_option("true")
    page.click("form >> text=Run")
    page.wait_for_url("**/executions/execution/*/change/")
    expect(page.locator("#status")).to_contain_text("completed")
    expect(page.locator("#log-stdout pre")).to_have_text("<B>HELLO</B> & GRüßE\n")
    execution = Execution.objects.get()
    assert execution.parameters == {"message": "<b>hello</b> & grüße", "uppercase": True}
    assert execution.requested_by.username == "admin"


def test_a_missing_parameter_is_named_and_nothing_is_started(page):
    page.goto("/admin/executions/execution/add/?action=core.http_request")
    page.click("form >> text=Run")
    expect(page.locator("[role=alert]")).to_contain_text("url")
    assert not Execution.objects.exists()


def test_the_page_of_a_running_execution_shows_new_output_and_its_end_without_a_reload(page):
    action = Action.objects.get(ref="core.echo")
    execution = Execution.objects.create(
        action=action, action_ref=action.ref, pack_ref="core", status=Status.RUNNING, attempt=1, worker="w"
    )
    page.goto(f"/admin/executions/execution/{execution.pk}/change/")
    log = logs.path_of(execution.pk, "stdout")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("first line\n<img src=x onerror=alert(1)>\n")
    expect(page.locator("#log-stdout pre")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("#log-stdout img").count() == 0
    Execution.objects.filter(pk=execution.pk).update(status=Status.FAILED, error="it broke", exit_code=1)
    expect(page.locator("[role=alert]")).to_contain_text("it broke")


def test_a_running_execution_is_cancelled_after_a_question(page, workers):
    page.goto("/admin/executions/execution/add/?action=core.sleep")
    parameter(page, "parameters", "seconds").fill("600")
    page.click("form >> text=Run")
    page.wait_for_url("**/executions/execution/*/change/")
    expect(page.locator("#status")).to_contain_text("running")
    page.click(".at-head >> text=Cancel")
    page.click("dialog button:has-text('No, go back')")
    assert Execution.objects.get().status == Status.RUNNING
    page.click(".at-head >> text=Cancel")
    page.click("dialog button:has-text('Cancel')")
    until(lambda: Execution.objects.get().status == Status.CANCELLED, "the execution to be cancelled")
    expect(page.locator("#status")).to_contain_text("cancelled")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_small_screen_in_both_colours(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 420, "height": 800})
    for address in ("/admin/", "/admin/rules/rule/add/", "/admin/packs/pack/core/change/", "/admin/packs/action/"):
        page.goto(address)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 1, f"{address} is {overflow} px too wide"


def test_a_field_of_the_payload_is_put_where_the_cursor_was(page, make_trigger):
    trigger = make_trigger("shop.paid")
    Event.objects.create(trigger=trigger, trigger_ref=trigger.ref, payload={"order": {"amount": 30}, "odd name": 1})
    page.goto("/admin/rules/rule/add/?trigger=shop.paid&action=core.echo")
    page.click("[data-field=criteria] .rjf-add-button")
    page.focus("[name='rjf§0§field']")
    page.click("#test-fields button:has-text('order.amount')")
    expect(page.locator("[name='rjf§0§field']")).to_have_value("order.amount")
    page.fill("[name='rjf§0§value']", "30")
    parameter(page, "action_params", "message").fill("paid: ")
    page.click("#test-fields button:has-text('order.amount')")
    page.click("#test-fields button:has-text('odd name')")
    expect(parameter(page, "action_params", "message")).to_have_value(
        "paid: {{ event.payload.order.amount }}{{ event.payload['odd name'] }}"
    )
    expect(page.locator("#test-outcome")).to_contain_text("paid: 301")


def test_the_home_page_follows_what_happens_without_a_reload(page):
    expect(page.locator("#home")).to_contain_text("None yet.")
    Execution.objects.create(action_ref="core.echo", pack_ref="core", status=Status.COMPLETED)
    expect(page.locator("#home")).to_contain_text("completed")
