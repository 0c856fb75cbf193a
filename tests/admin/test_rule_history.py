"""The rule's page shows what it was before, and brings it back for editors."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.access import audit
from apps.access.models import AuditEntry
from apps.packs import services
from apps.rules.models import Rule
from apps.rules.services import create_rule, update_rule

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db]


@pytest.fixture
def rule(core, people):
    boss = people("admin")
    pack = services.save_adhoc_pack(ref="own", actor=boss, label="Own")
    services.save_adhoc_trigger(pack=pack, name="came", actor=boss, label="Came")
    made = create_rule(
        ref="own.rule", pack=pack, trigger_ref="own.came", action_ref="core.echo", label="<b>First</b>", actor=boss
    )
    return update_rule(made, actor=boss, label="Second", action_params={"message": "hello"})


def restore_address(rule):
    return reverse("admin:rules_rule_do", args=[rule.pk, "restore"])


def page_of(client, rule):
    return client.get(reverse("admin:rules_rule_change", args=[rule.pk])).content.decode()


def test_the_page_shows_each_revision_line_by_line_and_text_as_text(rule, sign_in):
    page = page_of(sign_in("viewer"), rule)
    assert "- &lt;b&gt;First&lt;/b&gt;" in page
    assert "+ Second" in page
    assert "+   &quot;message&quot;: &quot;hello&quot;" in page
    assert restore_address(rule) not in page
    assert page_of(sign_in("editor"), rule).count(restore_address(rule)) == 1  # not beside the present one


def test_an_editor_restores_a_revision_and_nobody_below(rule, sign_in):
    assert sign_in("operator").post(restore_address(rule), {"revision": 1}).status_code == 403
    assert sign_in("editor").get(restore_address(rule)).status_code == 405
    answer = sign_in("editor").post(restore_address(rule), {"revision": 1}, follow=True)
    assert "is as it was in revision 1 again" in answer.content.decode()
    restored = Rule.objects.get(pk=rule.pk)
    assert (restored.label, restored.action_params, restored.revision) == ("<b>First</b>", {}, 3)
    assert AuditEntry.objects.filter(action="rule.update", target="own.rule").count() == 2
    assert "As in revision 1." in answer.content.decode()


@pytest.mark.parametrize("revision", ["", "0", "99", "-1", "x", "9" * 40])
def test_a_revision_that_is_not_there_changes_nothing(revision, rule, sign_in):
    answer = sign_in("editor").post(restore_address(rule), {"revision": revision}, follow=True)
    assert "has no revision" in answer.content.decode()
    assert Rule.objects.get(pk=rule.pk).revision == 2


def test_the_audit_log_can_be_taken_along_and_is_narrowed_to_what_was_refused(rule, sign_in, people):
    audit.record(people("viewer"), "access.denied", "/somewhere", outcome="denied", http_status=403)
    client = sign_in()
    page = client.get(reverse("admin:access_auditentry_changelist") + "?outcome__exact=denied").content.decode()
    assert "/somewhere" in page
    assert "rule.update" not in page
    assert reverse("audit_export") in page
    exported = b"".join(client.get(reverse("audit_export") + "?format=csv").streaming_content).decode()
    assert "rule.update" in exported
    assert sign_in("editor").get(reverse("audit_export")).status_code == 403
