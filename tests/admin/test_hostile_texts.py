"""What strangers can write, on every page that shows it, in a real browser: it stays text."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from playwright.sync_api import expect

from apps.executions import logs
from apps.executions.models import Execution, Status
from apps.packs.models import Action, Sensor, Trigger
from apps.rules.models import Event, Pause, Rule
from tests.admin import hostile

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db(transaction=True)]

NOT_PAGES = ("_tail", "_log", "_do", "_pause", "_resume", "_try", "_samples", "_draw", "_history", "_autocomplete")
# What of a page no text may have made: marked elements, code in the page, addresses that are code or elsewhere.
LOOK = """() => {
    const foreign = ["iframe", "object", "embed", "base", "marquee", "math", "audio", "video"];
    const addresses = ["href", "src", "action", "formaction", "data", "xlink:href", "hx-get", "hx-post"];
    const found = [];
    const url = (text) => new URL(text, location.href);
    const ours = (text) => url(text).origin === location.origin;
    for (const element of document.querySelectorAll("*")) {
        const name = element.localName;
        const tell = (what) => found.push(what + ": " + element.outerHTML.slice(0, 200));
        if (element.hasAttribute("pwned")) tell("markup");
        if (foreign.includes(name)) tell("element");
        if (name === "script" && !(element.src && ours(element.src))) tell("script");
        for (const {name: attribute, value} of element.attributes) {
            if (attribute.startsWith("on")) tell("handler");
            if (!addresses.includes(attribute) || ours(value)) continue;
            if (name !== "a" || !/^https?:/.test(url(value).protocol)) tell("address");
        }
    }
    if (window.pwned) found.push("a script ran");
    if (/pw(49|20\\d\\d)ned/.test(document.documentElement.innerText)) found.push("a template was rendered");
    return found;
}"""


@pytest.fixture
def watched(page):
    """That page, with all that a hostile text could make it do."""
    seen = []
    host = urlsplit(page.url).netloc

    def asked(request):
        if urlsplit(request.url).netloc not in (host, "") and not request.url.startswith("data:"):
            seen.append(f"asked {request.url}")

    def dialog(shown):
        seen.append(f"dialog {shown.message}")
        shown.dismiss()

    page.on("request", asked)
    page.on("dialog", dialog)
    page.context.on("page", lambda opened: seen.append(f"opened {opened.url}"))
    page.seen = seen
    return page


@pytest.fixture
def world(watched, core, people, tmp_path, make_pack):
    hostile.build(core, people("admin"), tmp_path, make_pack)


def addresses():
    """Every page of the admin that shows something: lists, each thing's own pages, forms that begin with a thing."""
    found = ["/admin/", "/docs", "/admin/search/?s=evil&extended=1", "/admin/packs/packindex/catalogue/slack/"]
    sensors = list(Sensor.objects.order_by("-pk")[:1].values_list("pk", flat=True))
    for model, site in admin.site._registry.items():
        rows = list(model._base_manager.order_by("-pk")[:2].values_list("pk", flat=True))
        if model in (Action, Sensor):
            rows = rows[:1]
        for pattern in site.get_urls():
            name = pattern.name or ""
            if not name or name.endswith(NOT_PAGES):
                continue
            numbers = sensors if name == "sensors_sensorprocess_panel" else rows  # a panel of the sensor's own page
            for args in [[], *([pk] for pk in numbers)]:
                try:
                    found.append(reverse(f"admin:{name}", args=args))
                except NoReverseMatch:
                    continue
                if name.endswith(("_edit", "_config", "_delete", "_environment", "_webhook")):
                    break
    rule, event = Rule.objects.first(), Event.objects.first()
    trigger, action = Trigger.objects.get(ref="evil.came0"), Action.objects.get(ref="demo.act")
    found += [
        f"/admin/executions/execution/add/?action={action.ref}",
        f"/admin/rules/event/add/?trigger={trigger.ref}",
        f"/admin/rules/rule/add/?trigger={trigger.ref}&action={action.ref}&event={event.pk}",
        f"/admin/rules/rule/add/?copy={rule.pk}",
        "/admin/executions/execution/add/?action=%3Cimg%20src=x%20onerror=alert(1)%20pwned%3E",
        "/admin/executions/execution/?q=%22%3E%3Cimg%20src=x%20onerror=alert(1)%20pwned%3E",
        "/admin/packs/packindex/catalogue/?q=%22%3E%3Csvg%20onload=alert(1)%20pwned%3E",
    ]
    return list(dict.fromkeys(found))


def test_three_hundred_texts_stay_texts_on_every_page(watched, world):
    wrong, visited = [], 0
    for address in addresses():
        answer = watched.goto(address)
        if answer.status in (403, 405):
            continue
        assert answer.status == 200, f"{address}: {answer.status}"
        wrong += [f"{address}: {found}" for found in watched.evaluate(LOOK)]
        visited += 1
    assert visited > 80
    assert not wrong, "\n".join(wrong)
    assert not watched.seen


class Markup(HTMLParser):
    """What of a page no text may have made, where no browser looks at it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        code = [value for value in given.values() if (value or "").strip().lower().startswith("javascript:")]
        is_foreign = tag in ("iframe", "object", "embed", "base", "math", "audio", "video", "marquee", "style")
        if "pwned" in given or is_foreign or any(name.startswith("on") for name in given) or (code and tag == "a"):
            self.found.append(self.get_starttag_text()[:200])
        if tag == "script" and not (given.get("src") or "").startswith(("/static/", "/admin/jsi18n/")):
            self.found.append(self.get_starttag_text()[:200])


@pytest.mark.parametrize("role", ["viewer", "operator", "editor"])
def test_they_stay_texts_for_those_who_may_do_less_and_are_shown_other_parts(
    role, core, people, sign_in, tmp_path, make_pack
):
    hostile.build(core, people("admin"), tmp_path, make_pack)
    client, wrong, visited = sign_in(role), [], 0
    for address in addresses():
        answer = client.get(address)
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            wrong += [f"{address}: {found}" for found in Markup(answer.content.decode()).found]
            visited += 1
    assert visited > 50
    assert not wrong, "\n".join(wrong)


def test_they_stay_texts_in_a_log_that_grows(watched, core):
    action = Action.objects.get(ref="core.echo")
    run = Execution.objects.create(
        action=action, action_ref=action.ref, pack_ref="core", status=Status.RUNNING, attempt=1, worker="w"
    )
    watched.goto(f"/admin/executions/execution/{run.pk}/change/")
    log = logs.path_of(run.pk, "stdout")
    log.parent.mkdir(parents=True, exist_ok=True)
    shown = watched.locator("#log-stdout pre")
    with log.open("a") as file:
        for number, text in enumerate(hostile.PAYLOADS):
            file.write(f"{text}\x1b[0m\n")
            if number % 100 == 99:
                file.write(f"-- {number} of them --\n")
                file.flush()
                expect(shown).to_contain_text(f"-- {number} of them --")
        file.write("\x1b[32mthe end\x1b[0m\n10%\r20%")
    expect(shown.locator(".at-f2")).to_have_text("the end")
    expect(shown.locator("[data-open]")).to_have_text("20%")
    with log.open("a") as file:
        file.write("\r100%\nnext")
    expect(shown).to_contain_text("the end\n100%\nnext")
    expect(shown.locator("[data-open]")).to_have_text("next")
    assert watched.evaluate(LOOK) == []
    assert not watched.seen


def test_they_stay_texts_while_a_form_is_drawn_and_tried(watched, world):
    """The drawn form, its text side, the payload's fields and the test's outcome are made by scripts."""
    Pause.objects.all().delete()
    rule = Rule.objects.get(ref="evil.rule0")
    watched.goto(f"/admin/rules/rule/{rule.pk}/edit/")
    expect(watched.locator("#test-outcome")).not_to_be_empty()
    for tab in watched.locator("[data-mode=raw]").all():
        tab.click()
    for tab in watched.locator("[data-mode=form]").all():
        tab.click()
    watched.fill("#test-payload", '{"<img src=x onerror=alert(1) pwned>": {"<svg onload=alert(1) pwned>": 1}}')
    expect(watched.locator("#test-fields")).to_contain_text("<img")
    assert watched.evaluate(LOOK) == []
    assert not watched.seen
