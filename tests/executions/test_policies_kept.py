"""Policies as they are kept: read from pack files, refused with every fault named, changed and audited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.access.models import AuditEntry
from apps.executions import services
from apps.executions.errors import PolicyInvalid, PolicyReadOnly, PolicyRefTaken
from apps.executions.models import Policy
from apps.executions.policies.parts import read
from apps.executions.policies.words import says
from apps.packs.loading import load_pack
from apps.packs.models import Pack
from tests.conftest import write_pack

ACTION: dict[str, Any] = {
    "actions/call.yaml": {
        "ref": "demo.call",
        "entry_point": "call.sh",
        "parameter_delivery": "stdin",
        "parameters": {"host": {"type": "string"}, "token": {"type": "string", "secret": True}},
    },
    "actions/call.sh": "cat",
}
WHOLE = {
    "ref": "demo.gently",
    "label": "Gently",
    "description": "One call for a host",
    "action_ref": "demo.call",
    "concurrency": {"limit": 1, "group_by": ["host"]},
    "rate_limit": {"max_executions": 10, "window_seconds": 60, "method": "cancel"},
    "retry": {"max_retries": 3, "backoff": "linear", "delay": 5, "jitter": 0.2, "retry_on": ["timeout"]},
    "tags": ["calm"],
}


def make(ref: str = "demo.own", **fields: Any) -> Policy:
    given = {"scope": "action", "scope_ref": "demo.call", "concurrency": {"limit": 1}} | fields
    return services.create_policy(ref=ref, pack="demo", actor="anna", **given)


@pytest.fixture
def demo(make_pack: Any) -> Pack:
    return make_pack("demo", ACTION)


# Files ---------------------------------------------------------------------------------------------------------------
def test_a_pack_brings_its_policies(make_pack):
    pack = make_pack("demo", ACTION | {"policies/gently.yaml": WHOLE})
    policy = Policy.objects.get(ref="demo.gently")
    assert (policy.pack, policy.label, policy.enabled, policy.is_adhoc) == (pack, "Gently", True, False)
    assert (policy.scope, policy.scope_ref, policy.source) == ("action", "demo.call", "policies/gently.yaml")
    assert policy.concurrency == {"limit": 1, "group_by": ["parameters.host"], "on_limit": "enqueue"}
    assert policy.rate_limit == {"limit": 10, "window": 60, "group_by": [], "on_limit": "cancel"}
    assert policy.retry == {
        "max_retries": 3, "backoff": "linear", "delay": 5, "max_delay": 300, "jitter": 0.2, "retry_on": ["timeout"],
    }  # fmt: skip


def test_loading_again_changes_nothing_and_keeps_the_operators_choice(tmp_path, make_pack):
    make_pack("demo", ACTION | {"policies/gently.yaml": WHOLE})
    policy = Policy.objects.get(ref="demo.gently")
    services.set_policy_enabled(policy, False, actor="anna")
    assert load_pack(tmp_path / "demo").changes["policies"].unchanged == ["demo.gently"]
    again = Policy.objects.get(ref="demo.gently")
    assert (again.pk, again.enabled, again.revision) == (policy.pk, False, 2)
    write_pack(tmp_path / "demo", "demo", {"policies/gently.yaml": WHOLE | {"concurrency": {"limit": 2}}})
    assert load_pack(tmp_path / "demo").changes["policies"].changed == ["demo.gently"]
    again.refresh_from_db()
    assert (again.pk, again.concurrency["limit"], again.revision, again.enabled) == (policy.pk, 2, 3, False)
    (tmp_path / "demo/policies/gently.yaml").unlink()
    assert load_pack(tmp_path / "demo").changes["policies"].removed == ["demo.gently"]
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("given", "scope"),
    [
        ({"scope": "global"}, ("global", "")),
        ({"scope": {"type": "pack", "pack_ref": "demo"}}, ("pack", "demo")),
        ({"pack_ref": "demo"}, ("pack", "demo")),
        ({"scope": {"action_ref": "demo.call"}}, ("action", "demo.call")),
        ({"action": "demo.call"}, ("action", "demo.call")),
    ],
)
def test_a_file_says_in_several_ways_what_it_governs(make_pack, given, scope):
    policy = {"name": "p", "concurrency": {"limit": 1}} | given
    make_pack("demo", ACTION | {"policies/p.yaml": policy})
    assert Policy.objects.values_list("scope", "scope_ref").get(ref="demo.p") == scope


def test_each_fault_of_a_file_is_named_with_its_line(tmp_path: Path, known_runtimes: None):
    text = (
        "ref: demo.wrong\naction_ref: demo.call\n"
        "concurrency:\n  limit: 0\n  group_by: [parameters.colour]\n  on_limit: explode\n"
        "rate_limit:\n  limit: 3\nretry:\n  max_retries: many\n  retry_on: [abandoned]\n"
    )
    report = load_pack(write_pack(tmp_path / "demo", "demo", ACTION | {"policies/wrong.yaml": text}))
    assert [str(fault) for fault in report.faults] == [
        "policies/wrong.yaml:4: `concurrency.limit` is 0; it must be a whole number from 1 to 1000000",
        "policies/wrong.yaml:6: `concurrency.on_limit` is 'explode'; choose one of enqueue, cancel",
        "policies/wrong.yaml:7: `rate_limit.window` is missing; give a whole number from 1 to 604800",
        "policies/wrong.yaml:10: `retry.max_retries` is 'many'; it must be a whole number from 0 to 100",
        "policies/wrong.yaml:11: `retry.retry_on` 'abandoned' is not tried again; there are failed and timeout",
        "policies/wrong.yaml:5: `concurrency.group_by` 'parameters.colour': action demo.call has no parameter "
        "'colour'; it has host, token",
    ]
    assert not Pack.objects.exists()


def test_a_file_that_governs_nothing_says_nothing_or_names_what_is_not_there_is_refused(tmp_path, known_runtimes):
    files = {
        "policies/a.yaml": {"name": "a", "concurrency": {"limit": 1}},
        "policies/b.yaml": {"name": "b", "scope": "global"},
        "policies/c.yaml": {"name": "c", "action_ref": "demo.none", "concurrency": {"limit": 1}},
        "policies/d.yaml": {"name": "d", "pack_ref": "none", "concurrency": {"limit": 1}},
    }
    faults = "\n".join(map(str, load_pack(write_pack(tmp_path / "demo", "demo", files)).faults))
    assert "a.yaml:1: say what it governs" in faults
    assert "b.yaml:1: it says nothing yet; give it a part: concurrency, rate_limit or retry" in faults
    assert "c.yaml:2: `scope.action_ref` there is no action 'demo.none'" in faults
    assert "d.yaml:2: `scope.pack_ref` there is no pack 'none'" in faults


def test_keys_that_nobody_knows_and_a_wide_scope_are_warnings(tmp_path, known_runtimes):
    policy = {"name": "p", "scope": "global", "colour": 1, "concurrency": {"limit": 1, "depth": 2}}
    report = load_pack(write_pack(tmp_path / "demo", "demo", {"policies/p.yaml": policy}))
    told = [warning.message for warning in report.warnings]
    assert report.ok and told == [
        "`colour` is not a key that Attune reads; it is ignored",
        "`concurrency.depth` is not a key that Attune reads; it is ignored",
        "it governs actions of other packs too",
    ]


def test_a_policy_made_in_a_form_is_not_taken_over_by_a_file(tmp_path, demo):
    make("demo.gently")
    report = load_pack(write_pack(tmp_path / "demo", "demo", {"policies/gently.yaml": WHOLE}))
    assert "a policy demo.gently was made in forms" in str(report)
    assert Policy.objects.get(ref="demo.gently").is_adhoc


# Made by people ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"group_by": ["parameters.colour"]}, "no parameter 'colour'"),
        ({"group_by": ["parameters."]}, "'parameters.' is not the path of a parameter"),
        ({"group_by": ["a b"]}, "'a b' is not the path of a parameter"),
        ({"group_by": [3]}, "must be a list of texts"),
        ({"group_by": ["parameters.token"]}, "secret"),
        ({"limit": True}, "concurrency.limit: is True"),
        ({"limit": None}, "concurrency.limit: is missing"),
        ({"groups": ["host"]}, "concurrency.groups: is not a key"),
    ],
)
def test_a_part_that_could_not_work_is_refused_by_name(demo, part, named):
    with pytest.raises(PolicyInvalid) as refused:
        make(concurrency={"limit": 1} | part)
    assert named in refused.value.message and refused.value.details["faults"][0]["path"].startswith("concurrency.")
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"ref": "other.own"}, "ref"),
        ({"ref": "demo.Own"}, "ref"),
        ({"scope_ref": "demo.none"}, "scope.action_ref"),
        ({"scope": "pack"}, "scope.pack_ref"),
        ({"scope": "world"}, "scope.type"),
        ({"concurrency": 1}, "concurrency"),
        ({"concurrency": None}, ""),
    ],
)
def test_a_policy_that_could_not_work_is_refused_by_name(demo, fields, path):
    with pytest.raises(PolicyInvalid) as refused:
        make(**fields)
    assert [fault["path"] for fault in refused.value.details["faults"]] == [path]


def test_what_is_done_to_a_policy_is_in_the_audit_log(demo):
    policy = make()
    services.update_policy(policy, actor="ben", concurrency={"limit": 4})
    services.update_policy(policy, actor="ben", concurrency={"limit": 4})  # says nothing new
    services.delete_policy(policy, actor="carl")
    entries = AuditEntry.objects.filter(action__startswith="policy.").order_by("id")
    assert [(e.actor, e.action, e.target) for e in entries] == [
        ("anna", "policy.create", "demo.own"),
        ("ben", "policy.update", "demo.own"),
        ("carl", "policy.delete", "demo.own"),
    ]
    assert entries[1].before["concurrency"]["limit"] == 1 and entries[1].after["concurrency"]["limit"] == 4


def test_a_policy_of_a_pack_is_only_switched(make_pack):
    make_pack("demo", ACTION | {"policies/gently.yaml": WHOLE})
    policy = Policy.objects.get(ref="demo.gently")
    with pytest.raises(PolicyReadOnly, match="comes with the files of pack demo"):
        services.update_policy(policy, actor="anna", label="Mine")
    with pytest.raises(PolicyReadOnly):
        services.delete_policy(policy, actor="anna")
    services.set_policy_enabled(policy, False, actor="anna")
    assert not Policy.objects.get(ref="demo.gently").enabled


def test_a_ref_is_taken_once(demo):
    make()
    with pytest.raises(PolicyRefTaken, match=r"demo\.own already"):
        make()


@pytest.mark.embedded_only
def test_a_policy_is_told_in_words():
    parts = read(
        {
            "concurrency": {"limit": 1, "group_by": ["host", "parameters.port"]},
            "rate_limit": {"limit": 5, "window": 60, "on_limit": "cancel"},
            "retry": {"max_retries": 5, "delay": 2, "jitter": 0.1, "max_delay": 10},
        }
    ).parts
    assert says(Policy(**parts)) == [
        "At most 1 at a time for each host and port; the rest waits.",
        "At most 5 started within 60 s; the rest is cancelled.",
        "Tried again up to 5 times after failed or timeout: 2, 4, 8, 10 … s later, give or take 10%.",
    ]
    assert says(Policy(retry=read({"retry": {"max_retries": 0}}).parts["retry"])) == ["Never tried again."]
