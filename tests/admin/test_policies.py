"""The admin's form of policies: what is filled in is kept, what is wrong is said at its field."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.executions import services, workers
from apps.executions.models import Policy
from apps.executions.policies import turns
from apps.packs.models import Action

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db]

FORM = {
    "pack": "core",
    "name": "calm",
    "label": "Calm",
    "enabled": "on",
    "scope": "action",
    "scope_action_ref": "core.http_request",
    "concurrency_limit": "2",
    "concurrency_group_by": "url, method",
    "concurrency_on_limit": "cancel",
    "retry_backoff": "linear",
    "retry_delay": "1.5",
}


def test_what_is_filled_in_is_kept_and_shown_again(core, sign_in):
    client = sign_in("editor")
    made = client.post(reverse("admin:executions_policy_add"), FORM)
    assert made.status_code == 302, made.content
    policy = Policy.objects.get(ref="core.calm")
    assert policy.concurrency == {
        "limit": 2, "group_by": ["parameters.url", "parameters.method"], "on_limit": "cancel",
    }  # fmt: skip
    assert policy.rate_limit is None and policy.retry is None and policy.is_adhoc
    edit = reverse("admin:executions_policy_edit", args=[policy.pk])
    shown = client.get(edit).content.decode()
    assert 'value="url, method"' in shown and "core.http_request" in shown
    changed = client.post(edit, FORM | {"concurrency_limit": "", "concurrency_group_by": "", "retry_max_retries": "0"})
    assert changed.status_code == 302, changed.content
    policy.refresh_from_db()
    assert policy.concurrency is None
    assert (policy.retry["max_retries"], policy.retry["backoff"], policy.retry["delay"]) == (0, "linear", 1.5)
    page = client.get(reverse("admin:executions_policy_change", args=["core.calm"])).content.decode()
    assert "Never tried again." in page and "Nothing at the moment." in page


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"concurrency_group_by": "colour"}, "concurrency_group_by", "no parameter &#x27;colour&#x27;"),
        ({"rate_limit_limit": "3"}, "rate_limit_window", "is missing"),
        ({"concurrency_limit": "0"}, "concurrency_limit", "greater than or equal to 1"),
        ({"scope": "pack"}, "scope_pack_ref", "the pack is missing"),
        ({"concurrency_limit": "", "concurrency_group_by": ""}, "", "give it a part"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(core, sign_in, fields, field, said):
    answer = sign_in("editor").post(reverse("admin:executions_policy_add"), FORM | fields)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert said in (text.split(f'data-field="{field}"')[1].split("data-field=")[0] if field else text)
    assert not Policy.objects.exists()


def test_a_policy_from_a_file_is_switched_but_not_edited(core, sign_in):
    client = sign_in("admin")
    client.post(reverse("admin:executions_policy_add"), FORM)
    Policy.objects.update(is_adhoc=False, source="policies/calm.yaml")
    policy = Policy.objects.get()
    page = client.get(reverse("admin:executions_policy_change", args=[policy.pk])).content.decode()
    assert "from its pack" in page and "/do/disable" in page and "/do/remove" not in page and "/edit/" not in page
    assert client.get(reverse("admin:executions_policy_edit", args=[policy.pk])).status_code == 302
    client.post(reverse("admin:executions_policy_do", args=[policy.pk, "disable"]))
    policy.refresh_from_db()
    assert not policy.enabled


def test_lists_and_pages_say_what_an_execution_waits_for(core, sign_in):
    services.create_policy(ref="core.one", pack="core", scope="global", concurrency={"limit": 1}, actor="test")
    action = Action.objects.select_related("pack").get(ref="core.noop")
    first, second = (services.request_execution(action, parameters={}) for _ in range(2))
    name = workers.sign_on(threads=1)
    assert turns.take(first.pk, worker=name).execution and not turns.take(second.pk, worker=name).execution
    told = f"Waits for policy core.one: 1 of 1 running (execution {first.pk})."
    client = sign_in("viewer")
    for address in (
        reverse("admin:executions_execution_changelist"),
        reverse("admin:executions_execution_change", args=[second.pk]),
        reverse("admin:executions_execution_tail", args=[second.pk]),
        reverse("admin:executions_policy_change", args=["core.one"]),
    ):
        assert told in client.get(address).content.decode(), address
    assert "At most 1 at a time; the rest waits." in client.get("/admin/executions/policy/").content.decode()
