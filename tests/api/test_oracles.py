"""No list can be asked about what it does not show: filters are those that are written down, and no other word of a
query has any effect. Nor can the lists of the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Field
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from apps.access.admin_base import AttuneAdmin
from apps.packs.models import Pack
from tests.access.world import make_things
from tests.api.test_matrix import Operation, operations

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_only]

HIDDEN = (
    "sealed",
    "webhook_key",
    "webhook_secret",
    "config",
    "config_defaults",
    "digest",
    "password",
    "sealed_source",
    "headers",
)
LOOKUPS = ("", "__startswith", "__regex", "__contains", "__gt", "__isnull")
JOINS = (
    "pack__config__api_key",
    "owner__password",
    "requested_by__password",
    "user__api_tokens__digest",
    "trigger__webhook_key",
    "action__pack__config__password",
)


def guesses() -> list[str]:
    """Queries that would tell right guesses from wrong ones, if anything listened."""
    asked = [
        f"{name}{lookup}={value}" for name in (*HIDDEN, *JOINS) for lookup in LOOKUPS for value in ("wh_alpha", "zzz")
    ]
    asked += [
        f"{word}={'-' * minus}{name}"
        for word in ("ordering", "order_by", "sort", "o")
        for name in HIDDEN
        for minus in (0, 1)
    ]
    return [
        *asked,
        "search=secret",
        "search=wh_alpha",
        "_connector=OR",
        "fields=sealed",
        "expand=pack",
        "format=api",
        "pk__in=1",
    ]


def _batches(asked: list[str], size: int) -> list[list[str]]:
    """Each word once in a query: of one that is there twice the last would count."""
    words = sorted(asked, key=lambda guess: guess.rpartition("=")[2])
    return [words[at : at + size] for at in range(0, len(words), size)]


def lists() -> list[Operation]:
    return [
        each for each in operations() if each.method == "get" and each.name.startswith(("list_", "search_", "browse_"))
    ]


def test_no_list_of_the_api_answers_a_question_that_it_does_not_know(api: Callable[..., APIClient]) -> None:
    for ref in ("alpha", "beta"):
        things = make_things(ref)
        Pack.objects.filter(pk=things.pack.pk).update(config={"api_key": f"wh_{ref}"})
    client, wrong = api("admin"), []
    told = [each for each in lists() if "{" not in each.path]
    assert len(told) >= 20
    for operation in told:
        plain = client.get(operation.path).content
        for together in _batches(guesses(), 60):
            answer = client.get(f"{operation.path}?{'&'.join(together)}")
            if answer.status_code != 400 and answer.content != plain:
                wrong.append(f"{operation.path}?{'&'.join(together)} answered {answer.status_code}")
    assert not wrong, "\n".join(wrong[:20])


def test_no_filter_that_is_written_down_looks_at_a_hidden_field() -> None:
    document = APIClient().get("/api-spec/openapi.json").json()
    for path, methods in document["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", []):
            if parameter["in"] == "query":
                assert "__" not in parameter["name"] and parameter["name"] not in HIDDEN, path


def test_no_list_of_the_admin_filters_by_what_is_not_among_its_filters(people: Callable[[str], Any]) -> None:
    make_things("alpha")
    client, open_ones = Client(raise_request_exception=False), []
    client.force_login(people("admin"))
    for model, each in admin.site._registry.items():
        assert isinstance(each, AttuneAdmin)
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        names = {
            getattr(shown, "parameter_name", None) or (shown if isinstance(shown, str) else shown[0])
            for shown in each.list_filter
        }
        fields = [field.name for field in model._meta.get_fields() if isinstance(field, Field)]
        hidden = [name for name in fields if name not in names]
        for name in [*hidden, "pack__config__api_key", "user__password", "owner__password"]:
            for lookup in ("__startswith", "__regex", "__gt", ""):
                if each.lookup_allowed(f"{name}{lookup}", "a", None):  # type: ignore[arg-type]
                    open_ones.append(f"{path}?{name}{lookup}")
        if client.get(f"{path}?{hidden[-1]}__startswith=a").status_code != 400:
            open_ones.append(path)
    assert not open_ones, "\n".join(open_ones)


def test_the_filters_that_there_are_work(people: Callable[[str], Any]) -> None:
    make_things("alpha"), make_things("beta")
    client = Client()
    client.force_login(people("admin"))
    for path in (
        "/admin/packs/key/?owner_type__exact=pack",
        "/admin/packs/action/?pack=alpha&enabled=1",
        "/admin/packs/action/?runner_type__exact=shell",
        "/admin/packs/trigger/?webhook_enabled__exact=1",
        "/admin/rules/event/?since=1h&trigger_ref=alpha.happened&outcome=matched",
        "/admin/rules/enforcement/?verdict__exact=matched&event=1",
        "/admin/executions/execution/?status=open&event=1&since=1h",
        "/admin/executions/policy/?scope__exact=action",
        "/admin/auth/user/?is_active__exact=1&groups__id__exact=1",
        "/admin/access/auditentry/?since=1h&outcome__exact=success",
        "/admin/access/apitoken/?kind__exact=personal",
        "/admin/sensors/sensorprocess/?state__exact=running",
    ):
        assert client.get(path).status_code == 200, path
