"""Signing in: the profile file, several servers, the environment, and sessions that run out."""

from __future__ import annotations

import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live import PASSWORD

pytestmark = pytest.mark.embedded_only


@pytest.fixture
def attune(stranger):
    """Signed in, in a session of its own that may be hurt."""
    stranger.sign_in()
    return stranger


def profiles(command):
    return tomllib.loads(command.config.read_text())["profiles"]


def outdate(command, **values):
    """Put other values into the default profile, as time or somebody else would."""
    text = command.config.read_text()
    for name, value in profiles(command)["default"].items():
        text = text.replace(f'{name} = "{value}"', f'{name} = "{values.get(name, value)}"')
    command.config.write_text(text)


def test_a_session_is_kept_where_only_its_owner_can_read_it(stranger):
    said = stranger.sign_in()
    assert said.out == ""
    assert f"Signed in at {stranger.url} as admin (admin); profile default." in said.err
    assert stat.S_IMODE(stranger.config.stat().st_mode) == 0o600
    assert set(profiles(stranger)["default"]) == {"url", "login", "access_token", "refresh_token"}
    assert PASSWORD not in stranger.config.read_text()
    me = stranger.json("auth", "whoami")
    assert (me["login"], me["role"], me["server"], me["profile"]) == ("admin", "admin", stranger.url, "default")


def test_a_wrong_password_leaves_no_profile(stranger):
    said = stranger("auth", "login", "--url", stranger.url, "--login", "x", "--password-stdin", stdin="no", code=4)
    assert "Error:" in said.err and "auth login" not in said.err
    assert not stranger.config.exists()


def test_nobody_is_asked_for_a_password_where_nobody_sits(stranger):
    said = stranger("auth", "login", "--url", stranger.url, code=2)
    assert "--password-stdin" in said.err


def test_who_is_not_signed_in_is_told_how(stranger):
    said = stranger("pack", "list", ATTUNE_API_URL=stranger.url, code=4)
    assert said.out == ""
    assert said.err.splitlines() == ["Error: You are not signed in.", "Sign in: attune auth login"]


def test_signing_out_ends_the_session_on_the_server_too(attune):
    token = profiles(attune)["default"]["access_token"]
    attune("auth", "logout")
    assert set(profiles(attune)["default"]) == {"url", "login"}
    attune("pack", "list", code=4)
    attune("pack", "list", ATTUNE_API_TOKEN=token, code=4)
    assert "not signed in" in attune("auth", "logout").err


def test_there_can_be_several_profiles(attune):
    attune.sign_in()
    attune(
        "auth", "login", "--profile", "second", "--url", attune.url, "--login", "admin", "--password-stdin",
        stdin=PASSWORD,
    )  # fmt: skip
    assert list(profiles(attune)) == ["default", "second"]
    assert attune.json("auth", "whoami", "--profile", "second")["profile"] == "second"
    assert attune.json("--profile", "second", "auth", "whoami")["profile"] == "second"
    assert attune.json("auth", "whoami")["profile"] == "default"
    said = attune("pack", "list", "--profile", "third", code=2)
    assert "There are: default, second." in said.err and "attune auth login --profile third" in said.err


def test_a_token_of_the_environment_wins_and_is_written_nowhere(attune):
    before = attune.config.read_text()
    token = profiles(attune)["default"]["access_token"]
    assert attune.json("auth", "whoami", ATTUNE_API_TOKEN=token)["login"] == "admin"
    said = attune("auth", "whoami", ATTUNE_API_TOKEN="att_wrong", code=4)
    assert "The session is over, or the token is not good any more." in said.err
    assert "comes from the environment" in attune("auth", "logout", ATTUNE_API_TOKEN=token, code=1).err
    assert attune.config.read_text() == before


def test_another_address_in_the_environment_does_not_get_the_profiles_token(attune, website):
    website.on("/api/v1/packs", body=b'{"items": [], "pagination": {"has_next": false}}')
    attune("pack", "list", ATTUNE_API_URL=website.url)
    [request] = website.requests
    assert "Authorization" not in request["headers"]


def test_a_session_that_ran_out_is_renewed_without_a_word(attune):
    before = profiles(attune)["default"]
    outdate(attune, access_token="att_ran_out")
    said = attune("pack", "list")
    assert said.err == ""
    after = profiles(attune)["default"]
    assert after["access_token"] not in ("att_ran_out", before["access_token"])
    assert after["refresh_token"] != before["refresh_token"]


def test_many_commands_at_once_renew_a_session_once(attune):
    outdate(attune, access_token="att_ran_out")
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: attune("pack", "list", code=None).code, range(4)))
    assert codes == [0, 0, 0, 0]


def test_a_session_that_cannot_be_renewed_is_over(attune):
    outdate(attune, access_token="att_ran_out", refresh_token="att_ran_out_too")
    said = attune("pack", "list", code=4)
    assert "Sign in: attune auth login" in said.err


@pytest.mark.parametrize(
    "text", ["default = ", "profiles = 3", "profiles.default = 3", "\x00", "[profiles.default]\nurl = 'ftp://x'"]
)
def test_a_damaged_profile_file_is_named(stranger, text):
    stranger.config.write_text(text)
    said = stranger("pack", "list", code=None)
    assert said.code in (1, 2, 5) and "Error:" in said.err and said.out == ""


def test_a_profile_file_that_cannot_be_read_is_named(stranger):
    stranger.config.mkdir()
    said = stranger("pack", "list", code=1)
    assert str(stranger.config) in said.err


def test_what_others_wrote_into_the_profile_file_stays(attune):
    attune.config.write_text(
        attune.config.read_text() + '\n[profiles.other]\nurl = "http://other:1"\nnote = "ä\\u0001"\n'
    )
    outdate(attune, access_token="att_ran_out")
    attune("pack", "list")
    assert profiles(attune)["other"] == {"url": "http://other:1", "note": "ä\x01"}
