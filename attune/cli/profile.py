"""The profile file: which servers there are, and how one is signed in there. Only its owner may read it.

default = "work"

[profiles.work]
url = "https://attune.example.org"
login = "ada"
access_token = "…"
refresh_token = "…"
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attune.cli.errors import CommandError, Misused

DEFAULT_URL = "http://127.0.0.1:8000"
KEPT = ("url", "login", "access_token", "refresh_token")


@dataclass(frozen=True)
class Profile:
    """One server, and who one is there. Without a refresh token it cannot be renewed."""

    name: str
    url: str = DEFAULT_URL
    login: str = ""
    access_token: str = ""
    refresh_token: str = ""
    is_kept: bool = True  # in the file; else it comes from the environment

    @property
    def is_signed_in(self) -> bool:
        return bool(self.access_token)


def path() -> Path:
    given = os.environ.get("ATTUNE_CONFIG", "")
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(given or f"{home}/attune/config.toml").expanduser()


def chosen(name: str | None, *, must_be_there: bool = True) -> Profile:
    """The profile of that name, else the file's default. ATTUNE_API_URL and ATTUNE_API_TOKEN win over it.

    Its tokens are for its own server: another address from the environment does not get them.
    """
    config = _read()
    profiles = config["profiles"]
    used = name or config["default"]
    if name and name not in profiles and must_be_there:
        known = f"There are: {', '.join(profiles)}." if profiles else "There is none yet."
        raise Misused(f"There is no profile {name}. {known}", hint=f"Make it: attune auth login --profile {name}")
    found = _profile(used, profiles)
    url, token = os.environ.get("ATTUNE_API_URL", "").rstrip("/"), os.environ.get("ATTUNE_API_TOKEN", "")
    if token:
        return Profile(used, url or found.url, access_token=token, is_kept=False)
    if url and url != found.url:
        return Profile(used, url, is_kept=False)
    return found


def kept(name: str) -> Profile:
    """The profile as the file has it in this moment."""
    return _profile(name, _read()["profiles"])


def _profile(name: str, profiles: dict[str, Any]) -> Profile:
    values: dict[str, Any] = {key: str(value) for key, value in profiles.get(name, {}).items() if key in KEPT}
    return Profile(name, **values)


def keep(profile: Profile) -> None:
    """Put the profile into the file; the first one becomes the default."""
    with locked():
        put(profile)


def put(profile: Profile) -> None:
    """The same for whoever has the file locked already."""
    config = _read()
    others = {key: value for key, value in config["profiles"].get(profile.name, {}).items() if key not in KEPT}
    values = {key: getattr(profile, key) for key in KEPT}
    config["profiles"][profile.name] = others | {key: value for key, value in values.items() if value}
    if len(config["profiles"]) == 1:
        config["default"] = profile.name
    _write(config)


@contextmanager
def locked() -> Iterator[None]:
    """One process at a time changes the file, or renews a token that is in it."""
    lock = path().with_suffix(".lock")
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _cannot("written", error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read() -> dict[str, Any]:
    try:
        text = path().read_text()
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise _cannot("read", error) from None
    try:
        config = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _cannot("understood", error) from None
    profiles = config.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(profile, dict) for profile in profiles.values()):
        raise _cannot("understood", ValueError("a profile is a table, [profiles.NAME]"))
    return {"default": str(config.get("default", "default")), "profiles": profiles}


def _write(config: dict[str, Any]) -> None:
    """In one step, and never readable by others, not even for a moment."""
    lines = [f"default = {_toml(config['default'])}"]
    for name, values in config["profiles"].items():
        lines += ["", f"[profiles.{_toml(name)}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    file = path()
    try:
        descriptor, made = tempfile.mkstemp(dir=file.parent, prefix=".config-")  # mode 0600
        with os.fdopen(descriptor, "w") as new:
            new.write("\n".join(lines) + "\n")
        Path(made).replace(file)
    except OSError as error:
        raise _cannot("written", error) from None


def _toml(value: Any) -> str:
    """A value as TOML has it: a JSON text is a basic string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _cannot(what: str, error: Exception) -> CommandError:
    return CommandError(f"{path()} cannot be {what}: {error}", hint="Put it right, or name another in ATTUNE_CONFIG.")
