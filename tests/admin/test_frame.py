"""What stands around every page of the admin works under a policy that lets no page evaluate code."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from apps.executions.models import Execution, Status

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db(transaction=True)]


def test_the_policy_holds_whatever_came_to_stand_in_a_page(page):
    """Markup that got in by some mistake would still run nothing, whether as code or as an attribute."""
    page.evaluate("""() => {
        const box = document.createElement("div");
        box.innerHTML = `<img src=x onerror="window.pwned=1"><a href="javascript:window.pwned=2" id=bad>x</a>
            <div x-data x-init="$el.ownerDocument.defaultView.pwned = 3"></div>
            <div hx-get="/admin/" hx-trigger="load" hx-on::after-request="window.pwned=4"></div>`;
        document.body.append(box);
        const script = document.createElement("script");
        script.textContent = "window.pwned=5";
        document.body.append(script);
        window.htmx.process(box);
        document.getElementById("bad").click();
    }""")
    page.wait_for_load_state("networkidle")
    # Not in what the test itself evaluates, which a browser lets do more than a page may.
    page.evaluate("""() => setTimeout(() => {
        try { window.outcome = new Function("return 'ran'")(); } catch (error) { window.outcome = error.name; }
    })""")
    page.wait_for_function("window.outcome")
    assert page.evaluate("window.outcome") == "EvalError"
    assert page.evaluate("window.pwned") is None
    assert page.troubles
    page.troubles.clear()  # they are what this test is about


def test_the_theme_is_switched_and_stays(page):
    page.click("text=unfold_more >> visible=true")
    page.click("[x-on\\:click=\"switchTheme('dark')\"] >> visible=true")
    expect(page.locator("html.dark")).to_have_count(1)
    page.goto("/admin/rules/rule/")
    expect(page.locator("html.dark")).to_have_count(1)
    page.wait_for_load_state()
    page.keyboard.press("Control+e")
    expect(page.locator("html.dark")).to_have_count(0)


def test_the_sidebar_folds_and_stays_folded(page):
    sidebar = page.locator("#nav-sidebar")
    expect(sidebar).to_be_visible()
    page.click("text=dock_to_right >> visible=true")
    expect(sidebar).to_be_hidden()
    page.goto("/admin/rules/rule/")
    expect(sidebar).to_be_hidden()
    page.click("text=dock_to_right >> visible=true")
    expect(sidebar).to_be_visible()


def opened_palette(page):
    page.wait_for_load_state()  # its key is heard from then on
    page.keyboard.press("Control+k")
    field = page.locator("#search-input-command")
    expect(field).to_be_focused()
    return field


def test_the_command_palette_finds_and_opens(page):
    opened_palette(page).press_sequentially("core.echo")
    found = page.locator("#command-results-list li")
    expect(found.first).to_contain_text("core.echo")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/packs/action/**")
    field = opened_palette(page)
    expect(page.locator("#command-history")).to_contain_text("core.echo")
    field.press("Escape")
    expect(field).to_be_hidden()


def test_a_list_is_filtered_and_its_rows_are_acted_on(page):
    for status in (Status.COMPLETED, Status.FAILED):
        Execution.objects.create(action_ref="core.echo", pack_ref="core", status=status)
    page.goto("/admin/executions/execution/")
    page.click("[x-on\\:click='filterOpen = true'] >> visible=true")
    expect(page.locator("#changelist-filter")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#changelist-filter")).to_be_hidden()
    page.check("#action-toggle")
    page.select_option("select[name=action]", "cancel_many")
    page.click("[name=index] >> visible=true")
    page.wait_for_selector("text=0 cancelled.")


def test_a_form_of_the_theme_is_sent_and_shows_its_fault(page):
    page.goto("/admin/auth/user/add/")
    page.fill("[name=username]", "anna")
    page.click("[name=_save] >> visible=true")
    expect(page.locator("#user_form")).to_contain_text("This field is required.")
    assert page.url.endswith("/admin/auth/user/add/")


def test_the_page_of_the_api_is_drawn(page):
    page.goto("/docs")
    expect(page.locator("details code").first).to_contain_text("/")
    page.fill("#find", "webhooks")
    expect(page.locator("details:visible code").first).to_contain_text("webhook")
