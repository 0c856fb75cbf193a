"""Whatever is sent to a page of the admin: a form says what is wrong with it, and nothing breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse

from apps.executions.services import request_execution
from apps.packs import keys, services
from apps.packs.models import Action, PackIndex
from apps.rules.services import create_rule, emit_event

pytestmark = pytest.mark.django_db

VALUES = [
    "a\0b",
    "9" * 400,
    "9223372036854775808",
    "1e400",
    "NaN",
    "null",
    '"text"',
    '{"a":' * 3000,
    '{"a": NaN, "b": 1e999, "c": "\\u0000", "d": "\\ud800"}',
    '{"a": ' + "9" * 5000 + "}",
    'a: "\\0"',
    "../" * 2000,
    "\r\nX: y",
    "{{ 7 * 7 }}{% include 'x' %}",
]
SOUND = {"pack": "own", "name": "new", "ref": "new", "label": "L", "version": "1.0.0", "scope": "global"}
SOUND |= {"trigger_ref": "own.came", "action_ref": "core.http_request", "trigger": "own.came", "owner_type": "system"}
COUNTED = {"pack_access-TOTAL_FORMS": "1", "pack_access-INITIAL_FORMS": "0"}  # how many rows a form says that it has
NO_FORMS = ("_do", "_history", "_delete")


class Fields(HTMLParser):
    """The names of a page's fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: dict[str, None] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("name")
        if tag in ("input", "textarea", "select", "button") and name and name != "csrfmiddlewaretoken":
            self.names[name] = None


@pytest.fixture
def client(core: Any, people: Callable[[str], Any], sign_in: Callable[..., Client]) -> Client:
    """An administrator who is told of a fault of ours by 500, as everybody is."""
    boss = people("admin")
    pack = services.save_adhoc_pack(ref="own", actor=boss, label="Own", conf_schema={"n": {"type": "integer"}})
    trigger = services.save_adhoc_trigger(pack=pack, name="came", actor=boss, label="Came")
    create_rule(ref="own.rule", pack=pack, trigger_ref=trigger.ref, action_ref="core.noop", actor=boss)
    emit_event(trigger, payload={})
    action = Action.objects.select_related("pack", "runtime").get(ref="core.http_request")
    request_execution(action, parameters={"url": "http://127.0.0.1:9/"})
    keys.write(value="hidden", actor=boss, local_ref="k")
    PackIndex.objects.create(url="/srv/index.json", enabled=False)
    signed_in = sign_in()
    signed_in.raise_request_exception = False
    return signed_in


def forms(client: Client) -> Iterator[tuple[str, list[str]]]:
    """Every page of the admin that has fields, with their names."""
    found = {"/admin/executions/execution/add/?action=core.http_request"}
    for model, pages in admin.site._registry.items():
        own = model._base_manager.filter(ref__startswith="own") if hasattr(model, "ref") else model._base_manager.all()
        number = own.order_by("-pk").values_list("pk", flat=True).first()
        for pattern in pages.get_urls():
            for args in ([], [number]):
                if pattern.name and not pattern.name.endswith(NO_FORMS):
                    try:
                        found.add(reverse(f"admin:{pattern.name}", args=args))
                    except NoReverseMatch:
                        continue
    found.add(reverse("admin:password_change"))
    for address in sorted(found):
        answer = client.get(address)
        is_page = answer.status_code == 200 and answer["Content-Type"].startswith("text/html")
        if is_page and (names := list(Fields(answer.content.decode()).names)):
            yield address, names


def test_no_word_of_a_query_breaks_a_page(client: Client) -> None:
    asked = ("q", "p", "o", "action", "trigger", "event", "copy", "pack", "source", "again", "status", "since", "kind")
    broken = []
    for address, _ in forms(client):
        for value in ("a\0b", "9" * 30, "-1", "²"):
            query = urlencode(dict.fromkeys(asked, value))
            answer = client.get(f"{address.partition('?')[0]}?{query}")
            if answer.status_code >= 500:
                broken.append(f"{address} {value!r}")
    assert broken == []


@pytest.mark.parametrize("selected", ["a\0b", "9" * 30, "²", "-1", ""])
def test_what_is_selected_must_be_rows_of_the_list(client: Client, selected: str) -> None:
    for model, pages in admin.site._registry.items():
        for action in pages.actions or ():
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            answer = client.post(address, {"action": action, "_selected_action": selected, "index": "0"})
            assert answer.status_code == 400 and "selected by their numbers" in answer.content.decode(), address


def test_no_value_of_any_field_of_any_form_breaks_a_page(client: Client) -> None:
    """Each value in all fields of a form at once, and then as the JSON of each field that is edited as such."""
    broken, asked = [], 0
    for address, names in forms(client):
        drawn = [name.partition("__")[0] for name in names if name.endswith("__mode")]
        raw = {f"{name}__mode": "raw" for name in drawn}
        sound = {name: SOUND[name] for name in names if name in SOUND}
        for value in VALUES:
            sent = [dict.fromkeys(names, value) | raw | COUNTED]
            for name in drawn:
                sent.append(sound | raw | {f"{name}__raw": value})
                sent.append(sound | raw | {f"{name}__mode": "form", f"{name}__form": value})
            for data in sent:
                answer = client.post(address, data)
                asked += 1
                if answer.status_code >= 500:
                    broken.append(f"{address} {value[:30]!r} in {[k for k in data if data[k] == value][:4]}")
    assert asked > 1000
    assert broken == []
