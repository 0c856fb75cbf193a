"""Keys: sealed at rest, found by every spelling, given only to those entitled, with a line in the log."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.apps import apps

from apps.access.models import AuditEntry
from apps.access.principals import Principal
from apps.packs import grants, key_uses, keys, sealing
from apps.packs.errors import GrantNotFound, KeyExists, KeyForbidden, KeyNotFound, KeyUnreadable
from apps.packs.models import Action, Installation, Key, Pack, PackIndex, Trigger
from apps.packs.registry import indices
from attune.lib.errors import InvalidInput


def make(**given: Any) -> Key:
    return keys.write(**{"value": "v", "actor": "anna"} | given)


@pytest.mark.parametrize("value", ["text", "☃", 5, None, True, {"a": [1, {"b": None}]}, "", "x" * 100_000])
def test_any_json_is_sealed_and_unsealed(value: Any) -> None:
    sealed = sealing.seal(value, about="a place")
    assert sealing.unseal(sealed, about="a place") == value
    assert value != "text" or value not in sealed  # a long one may hold any letters by chance
    assert sealing.seal(value, about="a place") != sealed


def test_what_is_sealed_for_one_place_cannot_be_opened_in_another() -> None:
    sealed = sealing.seal("v", about=sealing.key("system.a"))
    with pytest.raises(KeyUnreadable, match=r"key system\.b .* changed or moved"):
        sealing.unseal(sealed, about=sealing.key("system.b"))


@pytest.mark.django_db
def test_a_sealed_value_that_is_copied_to_another_key_is_not_handed_out() -> None:
    make(local_ref="mine", value="s3cret")
    other = make(local_ref="open", value="nothing")
    Key.objects.filter(pk=other.pk).update(sealed=Key.objects.get(ref="system.mine").sealed)
    other.refresh_from_db()
    with pytest.raises(KeyUnreadable):
        keys.read(other, reader="anna")


def test_a_sealed_text_that_was_changed_by_one_bit_is_not_opened() -> None:
    sealed = sealing.seal({"a": 1}, about="a place")
    raw = bytearray(base64.urlsafe_b64decode(sealed.removeprefix(sealing.SIGN)))
    raw[-1] ^= 1
    with pytest.raises(KeyUnreadable):
        sealing.unseal(sealing.SIGN + base64.urlsafe_b64encode(raw).decode(), about="a place")


def test_a_former_key_still_opens_what_it_sealed(settings: Any) -> None:
    sealed = sealing.seal("v", about="x")
    former, settings.ATTUNE_ENCRYPTION_KEY = settings.ATTUNE_ENCRYPTION_KEY, "a new one"
    with pytest.raises(KeyUnreadable, match="ATTUNE_ENCRYPTION_KEY_FALLBACKS"):
        sealing.unseal(sealed, about="x")
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = [former]
    assert sealing.unseal(sealed, about="x") == "v"


@pytest.mark.parametrize("text", ["", "nonsense", "ä", "s1.", "s1.ä", "s1.AAAA"])
def test_what_was_never_sealed_is_an_error_for_people(text: str) -> None:
    with pytest.raises(KeyUnreadable):
        sealing.unseal(text, about="x")


@pytest.mark.django_db
def test_resealing_frees_the_former_key(settings: Any) -> None:
    key = make(local_ref="a")
    pack = Pack.objects.create(ref="p", label="P")
    Trigger.objects.create(ref="p.t", pack=pack, webhook_secret=sealing.seal("hook", about=sealing.webhook("p.t")))
    Trigger.objects.create(ref="p.u", pack=pack)
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = [settings.ATTUNE_ENCRYPTION_KEY]
    settings.ATTUNE_ENCRYPTION_KEY = "a new one"
    assert sealing.reseal_all() == 2
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = []
    key.refresh_from_db()
    assert keys.value_of(key) == "v"
    kept = Trigger.objects.get(ref="p.t").webhook_secret
    assert sealing.unseal(kept, about=sealing.webhook("p.t")) == "hook"


@pytest.mark.django_db
def test_what_indices_and_installations_hold_sealed_outlives_the_former_key(settings: Any) -> None:
    headers = sealing.seal({"X-Token": "t"}, about=sealing.INDEX)
    index = PackIndex.objects.create(url="https://packs.test/index.json", sealed_headers=headers)
    PackIndex.objects.create(url="https://open.test/index.json")
    source = sealing.seal("https://me:s3cret@git.test/pack.git", about=sealing.INSTALLATION)
    asked = Installation.objects.create(sealed_source=source)
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = [settings.ATTUNE_ENCRYPTION_KEY]
    settings.ATTUNE_ENCRYPTION_KEY = "a new one"
    assert sealing.reseal_all() == 2
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = []
    index.refresh_from_db()
    asked.refresh_from_db()
    assert indices.headers_of(index) == {"X-Token": "t"}
    assert sealing.unseal(asked.sealed_source, about=sealing.INSTALLATION) == "https://me:s3cret@git.test/pack.git"


def test_every_sealed_column_is_encrypted_anew() -> None:
    """A column that holds what `seal` made is named for it, but for a webhook's secret."""
    named = {
        (model, field.name)
        for model in apps.get_app_config("packs").get_models()
        for field in model._meta.get_fields()
        if field.name.startswith("sealed") or field.name == "webhook_secret"
    }
    assert named == {(model, column) for model, column, _ in sealing.SEALED}


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
    assert [keys.value_of(keys.find(ref)) for ref in ("a.b", "a:b")] == [1, 2]  # type: ignore[arg-type]


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
    make(local_ref="smtp", value=1, granted_only=False)
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


@pytest.fixture
def packs() -> None:
    for ref in ("jira", "slack"):
        pack = Pack.objects.create(ref=ref, label=ref)
        Action.objects.create(ref=f"{ref}.act", pack=pack, entry_point="act.sh")
        Action.objects.create(ref=f"{ref}.other", pack=pack, entry_point="other.sh")


def asked_by(action_ref: str, name: str) -> Any:
    return keys.values_for([name], pack_ref=action_ref.partition(".")[0], action_ref=action_ref, reader="execution 7")


@pytest.mark.django_db
def test_a_key_of_another_pack_needs_a_grant_and_the_refusal_says_how_and_is_in_the_log(packs: None) -> None:
    key = make(ref="jira.token", owner_type="pack", owner_ref="jira")
    with pytest.raises(
        KeyForbidden, match=r"slack\.act may not have .*pack\.jira\.token .*attune key grant"
    ) as refused:
        asked_by("slack.act", "jira.token")
    assert refused.value.details == {"keys": ["pack.jira.token"], "grantee": "slack.act"}
    entry = AuditEntry.objects.get(action="key.read")
    assert (entry.actor, entry.target, entry.outcome) == ("execution 7", "pack.jira.token", "denied")
    key.refresh_from_db()
    assert (key.reads, key.last_read_at) == (0, None)


@pytest.mark.django_db
def test_a_grant_opens_a_key_to_a_pack_or_to_one_action_until_it_is_taken_back(packs: None) -> None:
    key = make(ref="jira.token", owner_type="pack", owner_ref="jira")
    grants.grant(key, "slack.act", actor="anna")
    assert asked_by("slack.act", "jira.token") == {"jira.token": "v"}
    with pytest.raises(KeyForbidden):
        asked_by("slack.other", "jira.token")
    grants.grant(key, "slack", actor="anna")
    assert asked_by("slack.other", "jira.token") == {"jira.token": "v"}
    for grantee in ("slack", "slack.act"):
        grants.revoke(key, grantee, actor="anna")
    with pytest.raises(KeyForbidden):
        asked_by("slack.act", "jira.token")
    said = AuditEntry.objects.filter(action__in=["key.grant", "key.revoke"]).order_by("pk")
    assert [(line.action, line.actor, line.before or line.after) for line in said] == [
        ("key.grant", "anna", {"grantee": "slack.act"}),
        ("key.grant", "anna", {"grantee": "slack"}),
        ("key.revoke", "anna", {"grantee": "slack"}),
        ("key.revoke", "anna", {"grantee": "slack.act"}),
    ]


@pytest.mark.django_db
def test_a_system_key_is_for_those_it_is_granted_to_until_it_is_opened_for_all(packs: None) -> None:
    key = make(local_ref="smtp")
    with pytest.raises(KeyForbidden, match="a key of the system that only grants open"):
        asked_by("slack.act", "system.smtp")
    grants.grant(key, "slack", actor="anna")
    assert asked_by("slack.act", "system.smtp") == {"system.smtp": "v"}
    keys.update(key, granted_only=False, actor="anna")
    assert asked_by("jira.act", "system.smtp") == {"system.smtp": "v"}


@pytest.mark.django_db
def test_the_key_of_an_action_is_not_for_its_neighbour_in_the_pack(packs: None) -> None:
    make(local_ref="own", owner_type="action", owner_ref="jira.act")
    assert asked_by("jira.act", "action.jira.act.own") == {"action.jira.act.own": "v"}
    with pytest.raises(KeyForbidden):
        asked_by("jira.other", "action.jira.act.own")


@pytest.mark.django_db
def test_what_cannot_be_granted_is_refused_with_the_reason(packs: None, people: Any) -> None:
    key = make(local_ref="a")
    with pytest.raises(InvalidInput, match="no pack, action or sensor 'slak'"):
        grants.grant(key, "slak", actor="anna")
    own = make(local_ref="a", owner_type="identity", owner_user=people("admin"))
    with pytest.raises(InvalidInput, match="that person's alone"):
        grants.grant(own, "slack", actor="anna")
    with pytest.raises(GrantNotFound):
        grants.revoke(key, "slack", actor="anna")
    grants.grant(key, "slack", actor="anna")
    grants.grant(key, "slack", actor="anna")
    assert AuditEntry.objects.filter(action="key.grant").count() == 1


@pytest.mark.django_db
def test_a_program_that_reads_a_thousand_times_leaves_one_line_and_a_count() -> None:
    key = make(local_ref="a")
    program = Principal(kind="execution", name="execution 7")
    for _ in range(20):
        keys.read(key, reader=program)
    keys.read(key, reader=Principal(kind="execution", name="execution 8"))
    assert [line.actor for line in AuditEntry.objects.filter(action="key.read").order_by("pk")] == [
        "execution 7",
        "execution 8",
    ]
    key.refresh_from_db()
    assert (key.reads, key.last_read_by) == (21, "execution 8")


@pytest.mark.django_db
def test_each_key_that_is_handed_over_has_a_line_of_its_own() -> None:
    make(local_ref="a", owner_type="pack", owner_ref="jira")
    make(local_ref="b", owner_type="pack", owner_ref="jira")
    keys.values_for(["jira.a", "jira.b"], pack_ref="jira", reader="execution 7")
    read = AuditEntry.objects.filter(action="key.read")
    assert sorted(line.target for line in read) == ["pack.jira.a", "pack.jira.b"]


@pytest.mark.django_db
def test_everything_that_names_a_key_is_found(packs: None, make_rule: Any, make_trigger: Any) -> None:
    key = make(ref="jira.login", owner_type="pack", owner_ref="jira", value={"user": "u", "token": "t"})
    other = make(local_ref="other")
    Action.objects.filter(ref="jira.act").update(secrets=["login"])
    Pack.objects.filter(ref="jira").update(config={"credentials": {"key": "jira.login"}})
    action = Action.objects.get(ref="jira.other")
    action.parameters_schema = {"type": "object", "properties": {"p": {"type": "string"}}}
    action.save()
    make_rule(action, name="one", action_params={"p": "Bearer {{ key.jira.login.token }}"})
    make_rule(action, name="two", action_params={"p": "{{ key['pack.jira.login'] }}"})
    make_rule(action, name="three", action_params={"p": "key.jira.login"})
    watched = make_trigger(
        "jira.came", parameters_schema={"properties": {"login": {"type": "string", "key_ref": True}}}
    )
    make_rule(action, trigger=watched, name="four", action_params={"p": "x"}, trigger_params={"login": "login"})
    assert [(named.kind, named.ref, named.place) for named in key_uses.uses_of(key)] == [
        ("action", "jira.act", "secrets"),
        ("pack", "jira", "config.credentials.key"),
        ("rule", "adhoc.one", "action_params.p"),
        ("rule", "adhoc.two", "action_params.p"),
        ("rule", "jira.four", "trigger_params.login"),
    ]
    assert key_uses.uses_of(other) == []
