"""Keys: sealed at rest, found by every spelling, given only to those entitled, with a line in the log."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps

from apps.access.models import AuditEntry
from apps.packs import keys
from apps.packs.errors import KeyExists, KeyForbidden, KeyNotFound, KeyUnreadable
from apps.packs.models import Installation, Key, Pack, PackIndex, Trigger
from apps.packs.registry import indices
from attune.lib.errors import InvalidInput


def make(**given: Any) -> Key:
    return keys.write(**{"value": "v", "actor": "anna"} | given)


@pytest.mark.parametrize("value", ["text", "☃", 5, None, True, {"a": [1, {"b": None}]}, "", "x" * 100_000])
def test_any_json_is_sealed_and_unsealed(value: Any) -> None:
    sealed = keys.seal(value)
    assert keys.unseal(sealed) == value
    assert "text" not in sealed
    assert keys.seal(value) != sealed


def test_a_former_key_still_opens_what_it_sealed(settings: Any) -> None:
    sealed = keys.seal("v")
    former, settings.ATTUNE_ENCRYPTION_KEY = settings.ATTUNE_ENCRYPTION_KEY, "a new one"
    with pytest.raises(KeyUnreadable, match="ATTUNE_ENCRYPTION_KEY_FALLBACKS"):
        keys.unseal(sealed)
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = [former]
    assert keys.unseal(sealed) == "v"


@pytest.mark.parametrize("text", ["", "nonsense", "ä", "gAAAAA"])
def test_what_was_never_sealed_is_an_error_for_people(text: str) -> None:
    with pytest.raises(KeyUnreadable):
        keys.unseal(text)


@pytest.mark.django_db
def test_resealing_frees_the_former_key(settings: Any) -> None:
    key = make(local_ref="a")
    pack = Pack.objects.create(ref="p", label="P")
    Trigger.objects.create(ref="p.t", pack=pack, webhook_secret=keys.seal("hook"))
    Trigger.objects.create(ref="p.u", pack=pack)
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = [settings.ATTUNE_ENCRYPTION_KEY]
    settings.ATTUNE_ENCRYPTION_KEY = "a new one"
    assert keys.reseal_all() == 2
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = []
    key.refresh_from_db()
    assert keys.unseal(key.sealed) == "v"
    assert keys.unseal(Trigger.objects.get(ref="p.t").webhook_secret) == "hook"


@pytest.mark.django_db
def test_what_indices_and_installations_hold_sealed_outlives_the_former_key(settings: Any) -> None:
    index = PackIndex.objects.create(url="https://packs.test/index.json", sealed_headers=keys.seal({"X-Token": "t"}))
    PackIndex.objects.create(url="https://open.test/index.json")
    asked = Installation.objects.create(sealed_source=keys.seal("https://me:s3cret@git.test/pack.git"))
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = [settings.ATTUNE_ENCRYPTION_KEY]
    settings.ATTUNE_ENCRYPTION_KEY = "a new one"
    assert keys.reseal_all() == 2
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = []
    index.refresh_from_db()
    asked.refresh_from_db()
    assert indices.headers_of(index) == {"X-Token": "t"}
    assert keys.unseal(asked.sealed_source) == "https://me:s3cret@git.test/pack.git"


def test_every_sealed_column_is_encrypted_anew() -> None:
    """A column that holds what `seal` made is named for it, but for a webhook's secret."""
    named = {
        (model, field.name)
        for model in apps.get_app_config("packs").get_models()
        for field in model._meta.get_fields()
        if field.name.startswith("sealed") or field.name == "webhook_secret"
    }
    assert named == set(keys._SEALED)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "ref", "alias"),
    [
        ({"local_ref": "token"}, "system.token", None),
        ({"local_ref": "token", "owner_type": "pack", "owner_ref": "jira"}, "pack.jira.token", None),
        (
            {"ref": "jira.credentials", "owner_type": "pack", "owner_ref": "jira"},
            "pack.jira.credentials",
            "jira.credentials",
        ),
        (
            {"ref": "vault_credentials", "owner_type": "pack", "owner_ref": "vault"},
            "pack.vault.vault_credentials",
            "vault_credentials",
        ),
        ({"ref": "pack.jira.x", "owner_type": "pack", "owner_ref": "jira"}, "pack.jira.x", None),
        ({"ref": "My Key".replace(" ", ":")}, "system.my_key", "My:Key"),
        (
            {"ref": "n.counter.r.x", "owner_type": "sensor", "owner_ref": "n.s"},
            "sensor.n.s.n_counter_r_x",
            "n.counter.r.x",
        ),
    ],
)
def test_a_key_has_one_ref_and_keeps_the_spelling_it_was_made_with(
    given: dict[str, Any], ref: str, alias: str | None
) -> None:
    key = make(**given)
    assert (key.ref, key.alias) == (ref, alias)
    assert keys.find(ref) == key
    assert alias is None or keys.find(alias) == key


@pytest.mark.django_db
@pytest.mark.parametrize(
    "given",
    [
        {"local_ref": "Not Allowed"},
        {"local_ref": "x" * 64},
        {"ref": ""},
        {"ref": "a b"},
        {"ref": "x\0"},
        {"local_ref": "a", "owner_type": "pack"},
        {"local_ref": "a", "owner_type": "action", "owner_ref": "nodot"},
        {"local_ref": "a", "owner_type": "worker"},
        {"local_ref": "a", "owner_type": "identity"},
    ],
)
def test_a_key_that_cannot_be_named_or_owned_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        make(**given)
    assert not Key.objects.exists()


@pytest.mark.django_db
def test_a_second_key_of_that_name_is_refused_under_any_spelling() -> None:
    make(ref="jira.credentials", owner_type="pack", owner_ref="jira")
    for again in ({"ref": "jira.credentials"}, {"local_ref": "credentials"}, {"ref": "pack.jira.credentials"}):
        with pytest.raises(KeyExists):
            make(owner_type="pack", owner_ref="jira", **again)


@pytest.mark.django_db
def test_two_spellings_that_shorten_to_one_ref_are_two_keys() -> None:
    one, two = make(ref="a.b", value=1), make(ref="a:b", value=2)
    assert one.ref != two.ref
    assert [keys.unseal(keys.find(ref).sealed) for ref in ("a.b", "a:b")] == [1, 2]  # type: ignore[union-attr]


@pytest.mark.django_db
def test_a_key_is_found_in_the_order_of_the_spellings() -> None:
    assert keys.find("jira.token", pack_ref="jira") is None
    own = make(local_ref="token", owner_type="pack", owner_ref="jira")
    assert keys.find("jira.token") == own
    assert keys.find("token", pack_ref="jira") == own
    assert keys.find("token") is None
    assert keys.find("token", pack_ref="other") is None
    counter = make(local_ref="count", owner_type="sensor", owner_ref="jira.poll")
    assert keys.find("count", pack_ref="jira", sensor_ref="jira.poll") == counter
    alias = make(ref="jira.token", local_ref="", owner_type="system")
    assert keys.find("jira.token") == alias
    assert keys.find("", pack_ref="jira") is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("owner_type", "owner_ref", "reader", "by_api", "by_name"),
    [
        ("pack", "jira", {"pack_ref": "jira"}, True, True),
        ("pack", "jira", {"pack_ref": "other"}, False, False),
        ("pack", "jira", {"pack_ref": ""}, False, False),
        ("action", "jira.a", {"pack_ref": "jira", "action_ref": "jira.a"}, True, True),
        ("action", "jira.a", {"pack_ref": "jira", "action_ref": "jira.b"}, False, False),
        ("sensor", "jira.s", {"pack_ref": "jira", "sensor_ref": "jira.s"}, True, True),
        ("sensor", "jira.s", {"pack_ref": "jira", "sensor_ref": "jira.t"}, False, False),
        ("sensor", "jira.s", {"pack_ref": "jira", "action_ref": "jira.a"}, False, True),
        ("system", "", {"pack_ref": "jira"}, False, True),
        ("identity", "anna", {"pack_ref": "jira"}, False, False),
    ],
)
def test_who_is_entitled(owner_type: str, owner_ref: str, reader: dict[str, str], by_api: bool, by_name: bool) -> None:
    key = Key(owner_type=owner_type, owner_ref=owner_ref)
    assert keys.may_read(key, **reader) is by_api  # type: ignore[arg-type]
    assert keys.may_read(key, **reader, by_name=True) is by_name  # type: ignore[arg-type]


@pytest.mark.django_db
def test_reading_is_in_the_log_and_the_value_is_not() -> None:
    key = make(local_ref="a", value="hunter2")
    assert keys.read(key, reader="execution 7") == "hunter2"
    keys.update(key, actor="anna", value="hunter3", name="New")
    keys.delete(key, actor="anna")
    entries = AuditEntry.objects.order_by("pk")
    assert [(entry.actor, entry.action, entry.target) for entry in entries] == [
        ("anna", "key.create", "system.a"),
        ("execution 7", "key.read", "system.a"),
        ("anna", "key.update", "system.a"),
        ("anna", "key.delete", "system.a"),
    ]
    assert "hunter" not in str([(entry.before, entry.after) for entry in entries])


@pytest.mark.django_db
def test_the_values_an_action_asks_for_come_under_the_names_it_used() -> None:
    make(local_ref="smtp", value=1)
    make(ref="jira.credentials", owner_type="pack", owner_ref="jira", value={"u": "x"})
    names = ["system.smtp", "jira.credentials", "credentials"]
    assert keys.values_for(names, pack_ref="jira") == {
        "system.smtp": 1,
        "jira.credentials": {"u": "x"},
        "credentials": {"u": "x"},
    }
    assert keys.values_for([], pack_ref="jira") == {}


@pytest.mark.django_db
def test_every_key_that_cannot_be_had_is_named() -> None:
    make(ref="other.token", owner_type="pack", owner_ref="other")
    with pytest.raises(KeyNotFound, match=r"one, jira\.two"):
        keys.values_for(["one", "jira.two", "other.token"], pack_ref="jira")
    with pytest.raises(KeyForbidden, match=r"other\.token"):
        keys.values_for(["other.token"], pack_ref="jira")
