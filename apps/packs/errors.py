"""What can go wrong with packs, their runtimes, environments and keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attune.lib.errors import AttuneError, Conflict, Forbidden, InvalidInput, NotFound


class PackNotFound(NotFound):
    """No folder and no loaded pack of that name."""


class PackInvalid(InvalidInput):
    """A pack's files have faults; `details["faults"]` lists them with file and line."""

    code = "pack_invalid"


class SourceInvalid(InvalidInput):
    """What was named as the place to get a pack from is none that may be used, or holds no pack."""

    code = "source_invalid"


class FetchFailed(AttuneError):
    """The place a pack was to come from did not give it: not there, not reachable, too large, too slow."""

    status_code, code = 502, "fetch_failed"


class ChecksumMismatch(Conflict):
    """What came is not what was promised."""

    code = "checksum_mismatch"


class ArchiveRefused(InvalidInput):
    """An archive holds something that no pack needs, or is damaged; nothing of it was kept."""

    code = "archive_refused"


class NotEditable(Conflict):
    """It is defined by a pack's files, or ships with Attune, and cannot be changed here."""

    code = "not_editable"


class InstallRefused(Conflict):
    """A pack that could be installed, but must not: it would break something, or its own tests fail."""

    code = "install_refused"


class InstallFailed(AttuneError):
    """An installation that somebody waited for has failed; the code and status are those of what failed it."""

    @classmethod
    def of(cls, installation: Any) -> InstallFailed:
        """The error of a row that ended so, with its number and step in the details."""
        details = installation.result.get("details") or {}
        where = {"install_id": installation.pk, "step": installation.step, "ref": installation.pack_ref}
        error = cls(installation.error, details={**details, **where})
        error.code = installation.error_code
        error.status_code = next((kind.status_code for kind in _kinds(AttuneError) if kind.code == error.code), 500)
        return error


def _kinds(kind: type[AttuneError]) -> Iterator[type[AttuneError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


class InUse(Conflict):
    """Something else still uses it."""

    code = "in_use"


class RuntimeMissing(AttuneError):
    """The interpreter or program a component needs is not on this machine, or is of another version."""

    status_code, code = 409, "runtime_missing"


class RunnerUnavailable(RuntimeMissing):
    """This version of Attune has no such runner."""

    code = "runner_unavailable"


class ScriptMissing(AttuneError):
    """The entry point of a component is not there, or is not a plain file in its pack."""

    status_code, code = 409, "script_missing"


class EnvironmentMissing(AttuneError):
    """The pack's environment has not been built yet."""

    status_code, code = 409, "environment_missing"


class EnvironmentBroken(AttuneError):
    """The pack's environment could not be built; the message ends with the last lines of its log."""

    status_code, code = 409, "environment_broken"


class KeyNotFound(NotFound):
    """No key of that name, or none that the asker may see."""

    code = "key_not_found"


class KeyExists(Conflict):
    """There is a key of that name already."""

    code = "key_exists"


class KeyForbidden(Forbidden):
    """The key exists, but this pack, action or sensor is not entitled to it."""

    code = "key_forbidden"


class GrantInvalid(InvalidInput):
    """A key cannot be granted so."""

    code = "grant_invalid"


class GrantNotFound(NotFound):
    """There is no such grant."""

    code = "grant_not_found"


class KeyUnreadable(AttuneError):
    """The stored value cannot be decrypted with the present encryption key."""

    status_code, code = 500, "key_unreadable"
