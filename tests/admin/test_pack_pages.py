"""The pages of packs that come and go: who may do what, what is shown of strangers, what the buttons ask for."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from apps.access.models import AuditEntry
from apps.access.principals import Principal
from apps.packs import services
from apps.packs.admin import catalogue, story
from apps.packs.admin.installations import InstallationAdmin
from apps.packs.models import Installation, Pack, PackIndex, PackTest, PackVersion
from apps.packs.registry import indices
from apps.rules.services import create_rule
from attune.needs import needs_you

EVERYBODY = Principal("command", "command")  # whom nothing limits

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db]

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
ESCAPED = "&lt;script&gt;"
CHECKSUM = "sha256:" + "a" * 64
ROLES = ("viewer", "operator", "editor", "admin")


@pytest.fixture(autouse=True)
def own_versions(settings, tmp_path):
    settings.ATTUNE_VERSIONS_DIR = tmp_path / "versions"


@pytest.fixture
def pack(core, make_pack):
    return make_pack("demo", {"README.md": EVIL}, description=EVIL)


def page_of(model, key):
    return reverse(f"admin:packs_{model}_change", args=[key])


def do(model, row, command):
    return reverse(f"admin:packs_{model}_do", args=[row.pk, command])


def text_of(answer):
    return answer.content.decode()


def install(**fields):
    return Installation.objects.create(**{"source": "/srv/demo", "status": "completed"} | fields)


def index_file(folder, *packs, name="index.json"):
    """A file with an index of packs, each given by what differs."""
    entries = [
        {
            "ref": "slack",
            "version": "1.0.0",
            "label": "Slack",
            "description": "Talks",
            "install_sources": [{"type": "archive", "url": "slack.tar.gz", "checksum": CHECKSUM}],
            "contents": {"actions": [{"name": "post", "description": "Say it"}]},
        }
        | given
        for given in packs
    ]
    file = folder / name
    file.write_text(json.dumps({"packs": entries}))
    return file


# What strangers sent is text -----------------------------------------------------------------------------------------
RESULT = {
    "plan": {
        "pack_ref": "demo",
        "version": EVIL,
        "from_version": EVIL,
        "components": {"actions": {"added": [EVIL], "changed": ["demo.a"], "removed": [EVIL], "unchanged": 3}},
        "parameters": [{"ref": EVIL, "gone": [EVIL], "added": [EVIL], "now_required": [EVIL]}],
        "breaks": [{"kind": "rule", "ref": "demo.rule", "reason": EVIL}, {"kind": EVIL, "ref": EVIL, "reason": EVIL}],
        "warnings": [EVIL],
        "dependencies": [{"pack_ref": EVIL, "version_spec": EVIL, "installed_version": EVIL, "to_install": EVIL}],
        "obstacles": [EVIL],
    },
    "provenance": {
        **dict.fromkeys(
            ("artifact_type", "artifact_url", "checksum", "git_ref", "registry_url", "resolved_pack"), EVIL
        ),
        "checksum_verified": True,
    },
    "test_result": {
        "status": "failed",
        "totalTests": 1,
        "failed": 1,
        "passRate": 0.0,
        "testSuites": [
            {
                "name": EVIL,
                "runnerType": EVIL,
                "total": 1,
                "testCases": [{"name": EVIL, "status": "failed", "errorMessage": EVIL, "stdout": EVIL}],
            }
        ],
    },
}
FAULTS = {
    "faults": [{"file": EVIL, "line": 3, "message": EVIL}],
    "breaks": [{"kind": "pack", "ref": "demo", "reason": EVIL}],
}


def test_an_installation_of_every_kind_has_a_page_that_shows_strangers_words_as_text(pack, sign_in):
    client, now = sign_in(), timezone.now()
    results = {"failed": {"details": FAULTS}, "completed": RESULT}
    for kind, status in itertools.product(Installation.Kind.values, Installation.Status.values):
        row = install(
            kind=kind,
            status=status,
            **dict.fromkeys(("source", "pack_version", "from_version", "log", "error", "requested_by", "origin"), EVIL),
            pack_ref="demo",
            step="analyse",
            error_code="pack_invalid",
            result=results.get(status, {}),
            options={"ref_spec": EVIL, "skip_tests": True},
            attempt=2,
            started_at=now,
            finished_at=now if status in results else None,
        )
        shown = text_of(client.get(page_of("installation", row.pk)))
        assert EVIL not in shown
        assert ESCAPED in shown
        told = client.get(reverse("admin:packs_installation_tail", args=[row.pk])).json()
        assert EVIL not in told["parts"]["steps"]
    for address in (reverse("admin:packs_installation_changelist"), page_of("pack", "demo")):
        shown = text_of(client.get(address))
        assert EVIL not in shown
        assert ESCAPED in shown


def test_a_result_that_is_not_as_it_should_be_breaks_no_page(pack, sign_in):
    for result in ({"plan": "?", "test_result": []}, {"details": []}, {"plan": {}}, {"details": {"faults": ["x"]}}):
        row = install(status="failed", result=result, error="x", error_code="never heard of")
        assert sign_in().get(page_of("installation", row.pk)).status_code == 200, result


def test_the_packs_page_shows_versions_tests_and_the_environment_and_strangers_words_as_text(pack, sign_in):
    PackVersion.objects.create(
        pack_ref="demo", version="0.9.0", digest=CHECKSUM, path="/gone", source=EVIL, git_commit=EVIL, installed_by=EVIL
    )
    PackTest.objects.create(
        pack_ref="demo",
        pack_version="1.0.0",
        trigger_reason=EVIL,
        status="failed",
        total=1,
        failed=1,
        result=RESULT["test_result"],
    )
    client = sign_in()
    shown = text_of(client.get(page_of("pack", "demo")))
    assert EVIL not in shown
    for words in ("0.9.0", "Roll back to this", "0 of 1", ESCAPED):
        assert words in shown, words
    test = PackTest.objects.get()
    for address in (page_of("packtest", test.pk), reverse("admin:packs_packtest_changelist")):
        assert EVIL not in text_of(client.get(address))


def test_the_catalogue_shows_strangers_words_as_text_and_links_to_web_addresses_alone(core, sign_in, tmp_path):
    evil = {
        **dict.fromkeys(("label", "description", "author", "license", "email", "use_case"), EVIL),
        "keywords": [EVIL],
        "runtime_deps": [EVIL],
        "contents": {"actions": [{"name": EVIL, "description": EVIL}]},
        "homepage": "javascript:alert(1)",
        "meta": {EVIL: EVIL},
    }
    index = indices.create_index(url=str(index_file(tmp_path, evil)), name=EVIL, actor="test")
    client = sign_in()
    addresses = [
        reverse("admin:packs_packindex_catalogue"),
        reverse("admin:packs_packindex_entry", args=["slack"]),
        page_of("packindex", index.pk),
        reverse("admin:packs_packindex_changelist"),
    ]
    for address in addresses:
        shown = text_of(client.get(address))
        assert EVIL not in shown, address
        assert "javascript:alert" not in shown, address
        assert ESCAPED in shown, address


# Who may do what -----------------------------------------------------------------------------------------------------
def test_only_an_administrator_installs_and_changes_what_is_installed(pack, sign_in, tmp_path):
    index = indices.create_index(url=str(index_file(tmp_path, {})), actor="test")
    failed = install(status="failed", error="x")
    posts = [
        (reverse("admin:packs_installation_add"), {"source": "slack", "do": "install"}),
        (reverse("admin:packs_packindex_add"), {"url": "/srv/index.json"}),
        (reverse("admin:packs_packindex_edit", args=[index.pk]), {"url": "/srv/index.json"}),
        (reverse("admin:packs_pack_environment", args=[pack.pk]), {"packages": "six"}),
        *((do("pack", pack, name), {}) for name in ("update", "reload", "rollback", "rebuild", "test", "uninstall")),
        *((do("installation", failed, name), {}) for name in ("install_this", "again", "force")),
        *((do("packindex", index, name), {}) for name in ("refresh", "enable", "disable", "remove", "up", "down")),
    ]
    changes = AuditEntry.objects.exclude(action="access.denied")
    before = changes.count()
    for role in ROLES[:-1]:
        client = sign_in(role)
        for address, data in posts:
            assert client.post(address, data).status_code == 403, (role, address)
    assert changes.count() == before
    assert Installation.objects.count() == 1
    for address, _ in posts:
        assert sign_in().get(address).status_code in (200, 405), address
    assert Installation.objects.count() == 1


def test_a_viewer_sees_all_of_it_and_no_button(pack, sign_in, tmp_path):
    PackVersion.objects.create(pack_ref="demo", version="0.9.0", digest=CHECKSUM, path="/gone")
    index = indices.create_index(url=str(index_file(tmp_path, {})), actor="test")
    indices.create_index(url=str(index_file(tmp_path, {}, name="other.json")), actor="test")
    row = install(status="failed", error="x", pack_ref="demo")
    client = sign_in("viewer")
    addresses = [
        page_of("pack", "demo"),
        page_of("installation", row.pk),
        page_of("packindex", index.pk),
        *(
            reverse(f"admin:packs_{name}")
            for name in ("packindex_catalogue", "packindex_changelist", "pack_changelist")
        ),
        reverse("admin:packs_installation_changelist"),
        reverse("admin:packs_packindex_entry", args=["slack"]),
        reverse("admin:packs_installation_tail", args=[row.pk]),
    ]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200, address
        for word in ("/do/", 'name="do"', "Install a pack", "installation/add", "/edit/", "Add an index"):
            assert word not in text_of(answer), (address, word)


def test_looking_asks_for_nothing(pack, sign_in, tmp_path):
    indices.create_index(url=str(index_file(tmp_path, {})), actor="test")
    row, before = install(kind="preview", pack_ref="demo"), AuditEntry.objects.count()
    client = sign_in()
    for name in ("install_this", "again", "force"):
        assert client.get(do("installation", row, name)).status_code == 405
    client.get(reverse("admin:packs_installation_add"), {"source": "slack", "do": "install"})
    client.get(reverse("admin:packs_installation_add"), {"again": row.pk})
    client.get(reverse("admin:packs_packindex_entry", args=["slack"]), {"version": EVIL})
    assert (Installation.objects.count(), AuditEntry.objects.count()) == (1, before)


# Asking --------------------------------------------------------------------------------------------------------------
def test_both_buttons_lead_to_the_page_of_what_was_asked_for(core, sign_in):
    given = {
        "source": "git+https://git.example.org/acme/slack.git",
        "ref_spec": "v1.2.0",
        "subdirectory": "packs/slack",
        "with_dependencies": "on",
        "skip_tests": "on",
    }
    client = sign_in()
    for button, kind in (("preview", "preview"), ("install", "install")):
        answer = client.post(reverse("admin:packs_installation_add"), given | {"do": button})
        row = Installation.objects.latest("pk")
        assert answer["Location"] == page_of("installation", row.pk)
        assert (row.kind, row.source, row.requested_by) == (kind, given["source"], "admin")
        assert row.options == {
            "ref_spec": "v1.2.0",
            "subdirectory": "packs/slack",
            "with_dependencies": True,
            "skip_tests": True,
        }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Say where the pack is to come from"),
        ({"source": "   "}, "Say where the pack is to come from"),
        ({"source": "file:///etc"}, "file:// address"),
        ({"source": "ext::sh -c id"}, "it would start a program"),
        ({"source": "--upload-pack=id"}, "cannot begin with `-`"),
        ({"source": "/srv/slack", "ref_spec": "main"}, "have refs"),
        ({"source": "x" * 3000}, "at most 2000"),
        ({"source": "slack@\x00"}, "Null characters"),
        ({"source": "git+https://git.example.org/a.git", "subdirectory": "../.."}, "subdirectory"),
    ],
)
def test_a_source_that_cannot_be_used_is_refused_with_the_reason(given, said, core, sign_in):
    answer = sign_in().post(reverse("admin:packs_installation_add"), given | {"do": "install"})
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert not Installation.objects.exists()


def test_an_archive_that_is_sent_is_kept_for_the_worker_under_a_name_of_ours(core, sign_in):
    sent = SimpleUploadedFile("../../etc/<b>slack</b>.tar.gz", b"not really an archive")
    sign_in().post(reverse("admin:packs_installation_add"), {"archive": sent, "do": "install"})
    row = Installation.objects.get()
    assert Path(row.source).read_bytes() == b"not really an archive"
    assert ".uploads" in row.source
    both = {"archive": SimpleUploadedFile("a.zip", b"x"), "source": "slack", "do": "install"}
    assert "not both" in text_of(sign_in().post(reverse("admin:packs_installation_add"), both))


def test_what_was_looked_at_is_installed_with_the_same_source_and_options(core, sign_in):
    options = {"ref_spec": "v2", "with_dependencies": True, "pack_ref": "slack"}
    row = install(kind="preview", source="git+https://git.example.org/slack.git", options=options, pack_ref="slack")
    assert "Install this" in text_of(sign_in().get(page_of("installation", row.pk)))
    answer = sign_in().post(do("installation", row, "install_this"))
    new = Installation.objects.latest("pk")
    assert answer["Location"] == page_of("installation", new.pk)
    assert (new.kind, new.source, new.options) == ("install", row.source, options)


def test_a_failure_is_tried_again_as_what_it_was_or_with_other_options(pack, sign_in):
    former = PackVersion.objects.create(
        pack_ref="demo", version="0.9.0", digest=CHECKSUM, path="/gone", left_at=timezone.now()
    )
    client = sign_in()
    for kind, options in (
        ("install", {"force": True}),
        ("preview", {}),
        ("rollback", {"version": former.version, "digest": "a" * 64}),
        ("environment", {"force_rebuild": True}),
        ("test", {}),
    ):
        row = install(kind=kind, status="failed", pack_ref="demo", options=options, error="it broke")
        client.post(do("installation", row, "again"))
        new = Installation.objects.latest("pk")
        assert new.pk != row.pk
        assert (new.kind, new.options, new.status) == (kind, options, "requested"), kind
    row = install(status="failed", source="/srv/x", options={"ref_spec": "main", "force": True}, error="it broke")
    form = text_of(client.get(reverse("admin:packs_installation_add"), {"again": row.pk}))
    assert 'value="/srv/x"' in form and 'value="main"' in form and "<details" in form


def test_what_would_break_something_can_be_done_all_the_same(core, sign_in):
    row = install(status="failed", error="x", error_code="install_refused", result={"details": FAULTS})
    assert "Do it all the same" in text_of(sign_in().get(page_of("installation", row.pk)))
    sign_in().post(do("installation", row, "force"))
    assert Installation.objects.latest("pk").options == {"force": True}


def test_what_held_credentials_or_was_sent_must_be_said_again(core, sign_in):
    client = sign_in()
    for source, options in (
        ("git+https://…@git.example.org/slack.git", {}),
        ("/nowhere/upload.tar.gz", {"upload_name": "slack.tar.gz"}),
    ):
        row = install(status="failed", source=source, options=options, error="it broke")
        shown = text_of(client.get(page_of("installation", row.pk)))
        assert "Try again" not in shown and "Ask anew" in shown
        answer = client.post(do("installation", row, "again"), follow=True)
        assert "was not kept" in text_of(answer)
    assert Installation.objects.count() == 2


def test_a_password_in_an_address_is_on_no_page(core, sign_in):
    client = sign_in()
    client.post(
        reverse("admin:packs_installation_add"),
        {"source": "git+https://ada:hunter22@git.example.org/slack.git", "do": "install"},
    )
    row = Installation.objects.get()
    for address in (page_of("installation", row.pk), reverse("admin:packs_installation_changelist")):
        assert "hunter22" not in text_of(client.get(address))
    assert "hunter22" not in text_of(client.get(reverse("admin:packs_installation_add"), {"again": row.pk}))


# Live ----------------------------------------------------------------------------------------------------------------
def test_the_tail_gives_what_is_new_in_characters_and_how_far_it_is(core, sign_in):
    row = install(status="running", step="build", percent=35, log="grüße ☂\n", started_at=timezone.now())
    address = reverse("admin:packs_installation_tail", args=[row.pk])
    told = sign_in().get(address, {"log": 3}).json()
    assert told["log"] == {"offset": 8, "seen": 8, "style": "", "done": [["ße ☂\n", ""]], "open": []}
    assert not told["over"]
    assert "aria-current" in told["parts"]["steps"] and "35 %" in told["parts"]["steps"]
    for wrong in ("", "-1", "x", "9" * 30, "100"):
        assert sign_in().get(address, {"log": wrong}).status_code == 200
    Installation.objects.filter(pk=row.pk).update(status="failed", error="x", finished_at=timezone.now())
    assert sign_in().get(address).json()["over"]


@pytest.mark.parametrize(
    ("fields", "states"),
    [
        ({"kind": "install", "status": "requested"}, "ahead " * 8),
        ({"kind": "install", "status": "running"}, "now" + " ahead" * 7),
        ({"kind": "install", "status": "running", "step": "test"}, "done " * 5 + "now ahead ahead"),
        ({"kind": "install", "status": "failed", "step": "verify"}, "done bad" + " ahead" * 6),
        ({"kind": "install", "status": "completed", "step": "switch"}, "done " * 8),
        (
            {"kind": "install", "status": "completed", "step": "switch", "result": {"tests_skipped": True}},
            "done " * 5 + "skipped done done",
        ),
        (
            {"kind": "install", "status": "completed", "step": "analyse", "result": {"unchanged": True}},
            "done " * 4 + "skipped " * 4,
        ),
        ({"kind": "preview", "status": "completed", "step": "analyse"}, "done " * 4),
        ({"kind": "rollback", "status": "failed", "step": ""}, "bad" + " ahead" * 4),
        ({"kind": "test", "status": "running", "step": "build"}, "done now ahead"),
    ],
)
def test_the_steps_say_what_is_done_and_where_it_stands(fields, states):
    assert [step["state"] for step in story.steps(Installation(**fields))] == states.split()


def test_a_title_and_a_story_are_sentences_for_every_kind_and_status():
    for kind in Installation.Kind.values:
        for status in Installation.Status.values:
            row = Installation(pk=7, kind=kind, status=status, pack_ref="slack", pack_version="1.2.0")
            row.created = row.started_at = row.finished_at = timezone.now()
            assert "slack 1.2.0" in story.title(row)
            assert story.story(row).endswith(".")


# The pack's page -----------------------------------------------------------------------------------------------------
def test_a_refused_uninstall_lists_what_needs_the_pack_with_links(core, make_action, make_pack, sign_in):
    action = make_action("echo hi")
    home = services.save_adhoc_pack(ref="home", label="Home", actor="test")
    create_rule(ref="home.rule", pack=home, trigger_ref="core.alert", action_ref=action.ref, actor="test")
    make_pack("needy", {}, dependencies=["demo"])
    answer = sign_in().post(do("pack", action.pack, "uninstall"))
    assert answer.status_code == 409
    shown = text_of(answer)
    assert "It is needed, and was not uninstalled" in shown
    assert reverse("admin:rules_rule_change", args=["home.rule"]) in shown
    assert page_of("pack", "needy") in shown
    assert Pack.objects.filter(ref="demo").exists()


def test_a_pack_used_where_it_lies_is_reloaded_at_once_and_its_environment_is_asked_for(pack, sign_in):
    (pack.folder / "requirements.txt").write_text(f"six # {EVIL}\n")
    shown = text_of(sign_in().get(page_of("pack", "demo")))
    assert "missing" in shown and ESCAPED in shown and EVIL not in shown
    (pack.folder / "pack.yaml").write_text("ref: demo\nlabel: New\ndescription: x\nversion: 1.1.0\n")
    answer = sign_in().post(do("pack", pack, "reload"))
    row = Installation.objects.get()
    assert (row.kind, answer["Location"]) == ("environment", page_of("installation", row.pk))
    assert Pack.objects.get(ref="demo").version == "1.1.0"


def test_an_update_that_has_nowhere_to_come_from_says_so(pack, sign_in):
    answer = sign_in().post(do("pack", pack, "update"), follow=True)
    assert "is not known" in text_of(answer)
    assert "/do/update/" not in text_of(sign_in().get(page_of("pack", "demo"))).split("at-head")[1].split("at-stack")[0]
    assert not Installation.objects.exists()


def test_a_rollback_to_a_version_that_is_not_kept_names_those_that_are(pack, sign_in):
    PackVersion.objects.create(pack_ref="demo", version="0.9.0", digest=CHECKSUM, path="/gone", left_at=timezone.now())
    answer = sign_in().post(do("pack", pack, "rollback"), {"version": "0.1.0"}, follow=True)
    assert "kept are: 0.9.0" in text_of(answer)
    sign_in().post(do("pack", pack, "rollback"), {"version": "0.9.0", "digest": "a" * 64})
    assert Installation.objects.get().pack_version == "0.9.0"


def test_wishes_for_an_environment_are_kept_or_refused_line_by_line(pack, sign_in):
    address = reverse("admin:packs_pack_environment", args=[pack.pk])
    wrong = {"packages": "six\n--index-url x\n", "constraints": "six"}
    shown = text_of(sign_in().post(address, wrong))
    assert "option of pip" in shown and "constrains nothing" in shown
    assert Pack.objects.get(ref="demo").environment == {}
    sign_in().post(address, {"packages": "six==1.16.0\nidna", "constraints": "idna<4", "do": "build"})
    assert Pack.objects.get(ref="demo").environment == {
        "packages": ["six==1.16.0", "idna"],
        "constraints": ["idna<4"],
        "allow_scripts": False,
        "sdk_compatibility": False,
    }
    assert Installation.objects.get().kind == "environment"


def test_a_system_pack_offers_neither_update_nor_uninstall(core, sign_in):
    shown = text_of(sign_in().get(page_of("pack", "core")))
    for command in ("/do/update/", "/do/uninstall/"):
        assert f'action="{reverse("admin:packs_pack_do", args=[core.pk, command.split("/")[2]])}"' not in shown
    assert "upgraded with Attune" in shown


# The catalogue and its indices ---------------------------------------------------------------------------------------
def test_without_an_index_the_catalogue_says_how_to_add_one(core, sign_in):
    shown = text_of(sign_in().get(reverse("admin:packs_packindex_catalogue")))
    assert "No index is set up yet" in shown
    assert reverse("admin:packs_packindex_add") in shown
    assert "attune pack index build" in shown


def test_a_pack_of_an_index_shows_what_it_holds_and_its_other_versions_before_it_is_installed(core, sign_in, tmp_path):
    needs = {"dependencies": {"packs": ["core@>=1.0.0", "missing"]}}
    index_file(tmp_path, {"version": "1.0.0"}, {"version": "1.2.0", **needs}, {"version": "2.0.0-rc.1"})
    indices.create_index(url=str(tmp_path / "index.json"), actor="test")
    client, address = sign_in(), reverse("admin:packs_packindex_entry", args=["slack"])
    shown = text_of(client.get(address))
    for words in (
        "slack 1.2.0",
        "Say it",
        CHECKSUM,
        "2.0.0-rc.1",
        "1.0.0 is here",
        "comes with it",
        "with_dependencies",
    ):
        assert words in shown, words
    older = text_of(client.get(address, {"version": "1.0.0"}))
    assert 'value="slack@1.0.0"' in older
    answer = client.get(address, {"version": "9.9.9"}, follow=True)
    assert "no version of slack" in text_of(answer)
    missing = client.get(reverse("admin:packs_packindex_entry", args=["slick"]), follow=True)
    assert "did you mean slack?" in text_of(missing)


def test_a_pack_of_pre_releases_alone_is_shown_and_asked_for_by_its_version(core, sign_in, tmp_path):
    indices.create_index(url=str(index_file(tmp_path, {"version": "0.1.0-rc.1"})), actor="test")
    shown = text_of(sign_in().get(reverse("admin:packs_packindex_entry", args=["slack"])))
    assert 'value="slack@0.1.0-rc.1"' in shown


def test_an_index_keeps_its_headers_which_nobody_sees(core, sign_in):
    client = sign_in()
    given = {
        "url": "http://127.0.0.1:9/index.json",  # where nobody listens
        "name": "Ours",
        "headers": "Authorization: Bearer deep-secret\nX-Team: blue",
        "enabled": "on",
    }
    answer = client.post(reverse("admin:packs_packindex_add"), given, follow=True)
    assert "could not be fetched" in text_of(answer)
    index = PackIndex.objects.get()
    edit = reverse("admin:packs_packindex_edit", args=[index.pk])
    assert "deep-secret" not in text_of(answer) + text_of(client.get(edit))
    client.post(edit, given | {"name": "Theirs", "headers": "Authorization: ********\nX-Team: ********"})
    client.post(edit, given | {"name": "Theirs", "headers": "Authorization: ********"})
    index.refresh_from_db()
    assert index.name == "Theirs"
    assert indices.headers_of(index) == {"Authorization": "Bearer deep-secret"}
    assert "deep-secret" not in json.dumps([[entry.before, entry.after] for entry in AuditEntry.objects.all()])
    assert "no header" in text_of(client.post(edit, given | {"headers": "nonsense"}))


def test_an_index_that_cannot_be_read_is_kept_and_says_why(core, sign_in, tmp_path):
    answer = sign_in().post(
        reverse("admin:packs_packindex_add"), {"url": str(tmp_path / "none.json"), "enabled": "on"}, follow=True
    )
    assert "cannot be read" in text_of(answer)
    assert PackIndex.objects.count() == 1
    assert "cannot be read" in text_of(sign_in().get(reverse("admin:packs_packindex_catalogue")))
    for url in ("ftp://example.org/x", "https://a:b@example.org/x", "relative.json"):
        answer = sign_in().post(reverse("admin:packs_packindex_add"), {"url": url})
        assert answer.status_code == 422, url


def test_indices_change_places_and_the_ends_stay(core, sign_in, tmp_path):
    rows = [indices.create_index(url=str(tmp_path / name), actor="test", position=9) for name in "abc"]

    def order():
        return [row.url[-1] for row in PackIndex.objects.all()]

    for row, command, expected in ((rows[2], "up", "acb"), (rows[0], "down", "cab"), (rows[2], "up", "cab")):
        sign_in().post(do("packindex", row, command))
        assert "".join(order()) == expected
    sign_in().post(do("packindex", rows[0], "remove"))
    assert "".join(order()) == "cb"


# Home ----------------------------------------------------------------------------------------------------------------
def told():
    return [need["what"] for need in needs_you(EVERYBODY)]


def test_home_tells_of_an_installation_that_failed_until_it_has_worked(core):
    install(status="failed", pack_ref="slack", source="slack", error="no network")
    install(status="failed", source="/srv/broken", error="faults")
    install(status="failed", kind="preview", pack_ref="jira", error="only a look")
    old = install(status="failed", pack_ref="old", source="old", error="long ago")
    Installation.objects.filter(pk=old.pk).update(created=timezone.now() - timedelta(days=2))
    assert told() == ["/srv/broken was not installed", "slack was not installed"]
    install(pack_ref="slack", source="slack")
    install(pack_ref="mended", source="/srv/broken")
    assert told() == []


def test_home_tells_of_packs_that_an_index_has_newer_versions_of_and_asks_no_server(core, tmp_path):
    file = index_file(tmp_path, {"version": "1.2.0"}, {"version": "2.0.0-rc.1"}, {"ref": "jira"})
    index = indices.refresh(indices.create_index(url=str(file), actor="test"))
    for ref, source_type in (("slack", "registry"), ("jira", "registry"), ("core", "local")):
        PackVersion.objects.create(
            pack_ref=ref, version="1.0.0", digest=CHECKSUM, path=f"/{ref}", source_type=source_type
        )
    file.unlink()
    PackIndex.objects.update(read_at=timezone.now() - timedelta(days=9))
    assert catalogue.behind() == {"slack": ("1.0.0", "1.2.0")}
    assert told() == ["1 pack has an update"]
    index.refresh_from_db()
    assert index.problem == ""
    PackIndex.objects.update(enabled=False)
    assert told() == []


def test_the_list_of_installations_is_narrowed_by_kind_status_and_pack(core, sign_in):
    rows = [
        install(kind=kind, status=status, pack_ref=ref)
        for kind, status, ref in (
            ("install", "failed", "slack"),
            ("preview", "running", "slack"),
            ("test", "completed", "jira"),
        )
    ]
    address = reverse("admin:packs_installation_changelist")
    for query, expected in (
        ("", rows),
        ("?kind=preview", rows[1:2]),
        ("?status=open", rows[1:2]),
        ("?status=failed", rows[:1]),
        ("?pack_ref=slack", rows[:2]),
        ("?pack_ref=jira&kind=install", []),
        ("?kind=nonsense", rows),
    ):
        found = sign_in().get(address + query).context["cl"].result_list
        assert {row.pk for row in found} == {row.pk for row in expected}, query
    assert InstallationAdmin.deferred  # a list reads no logs
