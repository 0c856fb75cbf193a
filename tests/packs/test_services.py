"""The front door of packs, and the command: what may be changed by whom, what is refused, what the log says."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.access.models import AuditEntry
from apps.packs import configs, sealing, services
from apps.packs.errors import InUse, NotEditable, PackInvalid, PackNotFound
from apps.packs.models import Action, Pack, Runtime, Trigger
from attune.lib.errors import Conflict, InvalidInput
from attune.lib.schemas import SchemaMismatch
from tests.packs.conftest import ACTION, Write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folders(settings: Any, tmp_path: Path) -> None:
    settings.ATTUNE_DATA_DIR = tmp_path / "data"
    settings.ATTUNE_ENVS_DIR = tmp_path / "data" / "environments"
    settings.ATTUNE_PACKS_DIR = tmp_path
    settings.ATTUNE_SYSTEM_PACKS_DIR = tmp_path / "shipped"


@pytest.fixture
def shop() -> Pack:
    return services.save_adhoc_pack(ref="shop", actor="anna", label="The shop")


@pytest.fixture
def paid(shop: Pack) -> Trigger:
    return services.save_adhoc_trigger(pack=shop, name="payment.succeeded", actor="anna")


def log() -> list[tuple[str, str, str]]:
    return [(entry.actor, entry.action, entry.target) for entry in AuditEntry.objects.order_by("pk")]


def rule_on(trigger: Trigger, ref: str = "shop.rule") -> None:
    """A row of the room to the left, by the back door that its foreign key is."""
    trigger.rules.create(ref=ref, pack=trigger.pack, trigger_ref=trigger.ref, active_since=timezone.now())


# Loading -------------------------------------------------------------------------------------------------------------
def test_a_load_by_ref_or_path_is_in_the_log_when_it_changed_something(whole: Path) -> None:
    assert services.load_pack("demo", actor="anna").ok
    assert services.load_pack(whole, actor="anna").ok
    assert services.load_pack(str(whole), actor="anna", check_only=True).ok
    assert log() == [("anna", "pack.load", "demo")]
    assert Runtime.objects.get(ref="core.shell").available


def test_a_loaded_pack_is_found_where_it_was_loaded_from(write: Write) -> None:
    folder = write(folder="elsewhere/deep")
    services.load_pack(folder)
    assert services.folder_of("demo") == folder


def test_what_is_nowhere_is_not_found(shop: Pack) -> None:
    with pytest.raises(PackNotFound, match="There is no pack nowhere"):
        services.load_pack("nowhere")
    with pytest.raises(NotEditable, match="no folder"):
        services.load_pack("shop")


def test_faults_are_an_error_for_those_who_want_one(write: Write) -> None:
    with pytest.raises(PackInvalid, match=r"pack\.yaml:4: version 'one'") as refused:
        services.load_pack_or_refuse(write(version="one"))
    assert refused.value.details["faults"][0]["line"] == 4


def test_core_is_loaded_before_the_packs_that_build_on_it(write: Write) -> None:
    write(folder="shipped/core", ref="core", system=True)
    write(folder="shipped/alpha", ref="alpha")
    assert [report.ref for report in services.load_system_packs()] == ["core", "alpha"]
    assert Pack.objects.get(ref="core").system


# Switching and configuring -------------------------------------------------------------------------------------------
def test_switching_off_and_on_is_in_the_log_once(whole: Path) -> None:
    services.load_pack(whole)
    AuditEntry.objects.all().delete()
    action = Action.objects.get()
    services.set_enabled(action, False, actor="anna")
    services.set_enabled(action, False, actor="anna")
    assert not Action.objects.get().enabled
    services.set_enabled(Pack.objects.get(), False, actor="bob")
    services.set_enabled(action, True, actor="anna")
    assert log() == [
        ("anna", "action.disable", "demo.hello"),
        ("bob", "pack.disable", "demo"),
        ("anna", "action.enable", "demo.hello"),
    ]


def test_a_configuration_is_checked_with_the_manifests_and_masked_in_the_log(write: Write) -> None:
    schema = {"url": {"type": "string", "required": True}, "token": {"type": "string", "secret": True}, "n": "integer"}
    services.load_pack(write(conf_schema=schema, config={"url": "http://x"}))
    pack = services.set_pack_config(Pack.objects.get(), {"token": "hunter2"}, actor="anna")
    kept = Pack.objects.get()
    assert kept.effective_config == {"url": "http://x", "token": "********"}
    assert configs.open_effective(kept) == {"url": "http://x", "token": "hunter2"}
    assert "hunter2" not in str(Pack.objects.values())
    assert "hunter2" not in str(AuditEntry.objects.latest("pk").after)
    for wrong, words in (({"n": "x"}, "setting 'n'"), ({"m": 1}, "unknown setting 'm'"), ([], "mapping")):
        with pytest.raises(SchemaMismatch, match=words):
            services.set_pack_config(pack, wrong, actor="anna")  # type: ignore[arg-type]
    assert configs.open_config(Pack.objects.get()) == {"token": "hunter2"}


def test_a_setting_that_becomes_secret_is_encrypted_when_the_pack_is_loaded_again(write: Write) -> None:
    services.load_pack(write(conf_schema={"token": {"type": "string"}}))
    services.set_pack_config(Pack.objects.get(), {"token": "hunter2"}, actor="anna")
    assert Pack.objects.get().config == {"token": "hunter2"}
    services.load_pack(write(conf_schema={"token": {"type": "string", "secret": True}}))
    pack = Pack.objects.get()
    assert (pack.config, configs.open_config(pack)) == ({"token": "********"}, {"token": "hunter2"})
    services.load_pack(write(conf_schema={"token": {"type": "string"}}))
    assert Pack.objects.get().config == {"token": "hunter2"}


def test_the_same_holds_for_an_ad_hoc_pack_whose_schema_changes() -> None:
    pack = services.save_adhoc_pack(ref="own", actor="anna", conf_schema={"token": {"type": "string"}})
    services.set_pack_config(pack, {"token": "hunter2"}, actor="anna")
    secret = {"token": {"type": "string", "secret": True}}
    pack = services.save_adhoc_pack(ref="own", pack=pack, actor="anna", conf_schema=secret)
    assert "hunter2" not in str(Pack.objects.values())
    assert configs.open_config(pack) == {"token": "hunter2"}


# Made in forms -------------------------------------------------------------------------------------------------------
def test_an_adhoc_pack_with_a_trigger_as_the_seeds_describe_it() -> None:
    pack = services.save_adhoc_pack(
        ref="stripe-integration", actor="anna", conf_schema={"webhook_secret": {"type": "string"}}
    )
    trigger = services.save_adhoc_trigger(
        pack=pack, name="payment.succeeded", actor="anna", payload_schema={"amount": "number", "customer": "string"}
    )
    assert trigger.ref == "stripe-integration.payment.succeeded"
    assert trigger.payload_schema["properties"]["amount"] == {"type": "number"}
    assert (pack.label, trigger.label, pack.is_adhoc, trigger.is_adhoc) == (
        "Stripe Integration",
        "Payment Succeeded",
        True,
        True,
    )
    services.save_adhoc_trigger(pack=pack, trigger=trigger, actor="bob", label="Paid", enabled=False)
    services.save_adhoc_pack(ref="ignored", pack=pack, actor="bob", description="d")
    assert Trigger.objects.get().label == "Paid"
    assert log() == [
        ("anna", "pack.create", "stripe-integration"),
        ("anna", "trigger.create", "stripe-integration.payment.succeeded"),
        ("bob", "trigger.update", "stripe-integration.payment.succeeded"),
        ("bob", "pack.update", "stripe-integration"),
    ]


@pytest.mark.parametrize("ref", ["", "Shop", "1shop", "a.b", "ä", "x" * 101, "a b", "../x"])
def test_a_pack_ref_that_cannot_be_is_refused(ref: str) -> None:
    with pytest.raises(InvalidInput):
        services.save_adhoc_pack(ref=ref, actor="anna")


@pytest.mark.parametrize("name", ["", "Paid", "a..b", ".a", "a.", "ä", "a b", "x" * 200])
def test_a_trigger_name_that_cannot_be_is_refused(shop: Pack, name: str) -> None:
    with pytest.raises(InvalidInput):
        services.save_adhoc_trigger(pack=shop, name=name, actor="anna")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"colour": "red"}, "no field colour"),
        ({"payload_schema": {"a": "int"}}, "payload_schema: .*'integer'"),
        ({"type": "hourly"}, "choose one of interval"),
        ({"label": " "}, "name for people"),
        ({"label": "x" * 201}, "at most 200"),
        ({"description": "\0"}, "zero bytes"),
        ({"enabled": "yes"}, "true or false"),
        ({"tags": [1]}, "list of texts"),
        ({"examples": {}}, "list"),
        ({"is_adhoc": False}, "no field is_adhoc"),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(shop: Pack, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        services.save_adhoc_trigger(pack=shop, name="t", actor="anna", **fields)
    assert not Trigger.objects.exists()


def test_a_ref_that_is_taken_is_refused(shop: Pack, paid: Trigger) -> None:
    with pytest.raises(Conflict):
        services.save_adhoc_pack(ref="shop", actor="anna")
    with pytest.raises(Conflict):
        services.save_adhoc_trigger(pack=shop, name="payment.succeeded", actor="anna")


def test_what_comes_from_files_cannot_be_edited_or_deleted_here(whole: Path) -> None:
    services.load_pack(whole)
    pack, trigger = Pack.objects.get(), Trigger.objects.get()
    for refused in (
        lambda: services.save_adhoc_pack(ref="demo", pack=pack, actor="anna", label="x"),
        lambda: services.save_adhoc_trigger(pack=pack, trigger=trigger, actor="anna", label="x"),
        lambda: services.delete_adhoc_pack(pack, actor="anna"),
        lambda: services.delete_adhoc_trigger(trigger, actor="anna"),
    ):
        with pytest.raises(NotEditable):
            refused()


def test_what_rules_use_is_not_deleted_and_they_are_named(shop: Pack, paid: Trigger) -> None:
    rule_on(paid)
    with pytest.raises(InUse, match=r"shop\.rule"):
        services.delete_adhoc_trigger(paid, actor="anna")
    with pytest.raises(InUse, match=r"shop\.rule"):
        services.delete_adhoc_pack(shop, actor="anna")
    paid.rules.all().delete()
    services.delete_adhoc_trigger(paid, actor="anna")
    services.delete_adhoc_pack(shop, actor="anna")
    assert not Pack.objects.exists()


def test_a_pack_is_removed_unless_it_is_of_the_system_or_in_use(whole: Path, shop: Pack) -> None:
    services.load_pack(whole)
    pack = Pack.objects.get(ref="demo")
    Trigger.objects.get(ref="demo.rang").rules.create(
        ref="shop.ring", pack=shop, trigger_ref="demo.rang", active_since=timezone.now()
    )
    with pytest.raises(InUse, match=r"shop\.ring"):
        services.remove_pack(pack, actor="anna")
    shop.rules.all().delete()
    Pack.objects.filter(pk=pack.pk).update(system=True)
    pack.refresh_from_db()
    with pytest.raises(NotEditable, match="disable it instead"):
        services.remove_pack(pack, actor="anna")
    pack.system = False
    services.remove_pack(pack, actor="anna")
    assert not Action.objects.exists()
    assert (whole / "pack.yaml").is_file()


# Webhooks ------------------------------------------------------------------------------------------------------------
def test_a_webhook_has_a_key_that_is_kept_until_it_is_rotated(paid: Trigger) -> None:
    with pytest.raises(Conflict):
        services.rotate_webhook_key(paid, actor="anna")
    key = services.enable_webhook(paid, actor="anna").webhook_key
    assert key is not None
    assert key.startswith("wh_")
    assert len(bytes.fromhex(key[3:])) == 16
    services.disable_webhook(paid, actor="anna")
    assert not Trigger.objects.get().webhook_enabled
    assert services.enable_webhook(paid, actor="anna").webhook_key == key
    assert services.rotate_webhook_key(paid, actor="anna").webhook_key != key
    assert key not in str(list(AuditEntry.objects.values("before", "after")))


def test_webhook_options_are_checked_and_their_secret_is_sealed(paid: Trigger) -> None:
    options = {
        "scheme": "stripe",
        "tolerance": 300,
        "networks": ["10.1.2.3/8", "::1"],
        "rate_limit": 60,
        "header": None,
    }
    services.set_webhook_options(paid, options, secret="hunter2", actor="anna")
    kept = Trigger.objects.get()
    assert kept.webhook_config == {
        "scheme": "stripe",
        "tolerance": 300,
        "networks": ["10.0.0.0/8", "::1/128"],
        "rate_limit": 60,
    }
    assert sealing.unseal(kept.webhook_secret, about=sealing.webhook(kept.ref)) == "hunter2"
    services.set_webhook_options(paid, {}, actor="anna")
    assert sealing.unseal(Trigger.objects.get().webhook_secret, about=sealing.webhook(kept.ref)) == "hunter2"
    services.set_webhook_options(paid, {}, secret="", actor="anna")
    assert Trigger.objects.get().webhook_secret == ""
    assert "hunter2" not in str(list(AuditEntry.objects.values("before", "after")))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scheme": "rot13"}, "choose one of generic"),
        ({"tolerance": -1}, "whole number"),
        ({"tolerance": True}, "whole number"),
        ({"rate_limit": 0}, "whole number"),
        ({"max_bytes": "1"}, "whole number"),
        ({"networks": ["everywhere"]}, "not a network"),
        ({"networks": 5}, "not a network"),
        ({"header": "X: y"}, "header's name"),
        ({"color": "red"}, "no such option"),
        ({"dedup_header": "X-Id", "scheme": "slack"}, "no header is signed by slack"),
    ],
)
def test_a_webhook_option_that_cannot_be_is_refused_by_name(paid: Trigger, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        services.set_webhook_options(paid, options, actor="anna")
    assert [fault["path"] for fault in refused.value.details["faults"]] == list(options)[:1]


# The command ---------------------------------------------------------------------------------------------------------
def command(*args: str) -> str:
    out = StringIO()
    call_command("load_pack", *args, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


def test_the_command_loads_builds_and_says_so(whole: Path, write: Write) -> None:
    write({"workflows/w.yaml": "a: 1", "actions/hello.sh": None})
    said = command("demo")
    assert "demo 1.0.0: loaded, pack added" in said
    assert "warning: actions/hello.yaml:4: entry point actions/hello.sh is not there" in said
    assert "workflows/w.yaml: not loaded" in said
    assert "actions: 1 added" in said
    assert "environment: python" in said
    assert "built" in said
    again = command("demo")
    assert "pack unchanged" in again
    assert "is there" in again


def test_the_command_checks_without_loading_and_loads_without_building(whole: Path, settings: Any) -> None:
    assert "would be loaded" in command(str(whole), "--check")
    assert not Pack.objects.exists()
    assert "environment" not in command(str(whole), "--no-environments")
    assert not settings.ATTUNE_ENVS_DIR.exists()


def test_one_bad_pack_does_not_stop_the_next_but_the_command_fails(whole: Path, write: Write) -> None:
    write({"actions/x.yaml": ACTION | {"ref": "bad.x", "runner_type": "cobol"}}, folder="bad", ref="bad")
    out = StringIO()
    with pytest.raises(CommandError, match="bad, nowhere"):
        call_command("load_pack", "bad", "nowhere", "demo", "--no-environments", stdout=out, stderr=out, no_color=True)
    said = out.getvalue()
    assert "bad 1.0.0: 1 fault, nothing was changed" in said
    assert "actions/x.yaml:3: `runner_type` is 'cobol'" in said
    assert "There is no pack nowhere" in said
    assert list(Pack.objects.values_list("ref", flat=True)) == ["demo"]
