"""Read what somebody names as the place to get a pack from. Pure: looks at no file and asks no server."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from apps.packs.errors import SourceInvalid
from apps.packs.versions import is_constraint
from attune.lib.refs import PACK_REF

Kind = Literal["folder", "archive_file", "archive_url", "git", "registry"]

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
LONGEST = 2000  # characters

_FORGES = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})  # where host/owner/name is git
_HELPER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*::")  # `ext::sh -c …`: a program that git would start
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCP = re.compile(r"(?P<user>[^@/:\s]+)@(?P<host>\[[0-9A-Fa-f:.]+\]|[^@/:\s]+):(?P<path>\S+)\Z")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9])?\.?\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}\Z")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,200}\Z")
_NO_REF = ("..", "@{", "//", "/.", ".lock/")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s/?#]*@)?([^\s?#'\"]*)(\?[^\s#'\"]*)?")
_PASSWORD = re.compile(r"(?<![^\s/'\"])[^\s/@:'\"]+:[^\s/@]+@")  # user:password@host, without a scheme before it


@dataclass(frozen=True, repr=False)
class Source:
    """One place to get a pack from. `location` and `text` may hold credentials; `shown` and `repr` do not."""

    kind: Kind
    location: str  # a path, a URL, user@host:path, or a registry's name of a pack
    ref_spec: str = ""  # git: branch, tag or commit; registry: which versions
    subdirectory: str = ""
    text: str = ""  # as it was given

    @property
    def shown(self) -> str:
        return without_credentials(self.text or self.location)

    @property
    def protocol(self) -> str:
        """How it is reached: https, http, ssh, or file for what is on this machine; empty for a registry's name."""
        if self.kind == "registry":
            return ""
        scheme = _SCHEME.match(self.location)
        return scheme[1].lower() if scheme else "ssh" if self._is_scp else "file"

    @property
    def host(self) -> str:
        """The host it is fetched from, in lower case; empty for what is on this machine."""
        if self.kind == "git" and self._is_scp:
            return _SCP.match(self.location)["host"].strip("[]").lower()  # type: ignore[index]
        return urlsplit(self.location).hostname or "" if _SCHEME.match(self.location) else ""

    @property
    def _is_scp(self) -> bool:
        return self.kind == "git" and bool(_SCP.match(self.location)) and not self.location.startswith(("/", "."))

    def __repr__(self) -> str:
        return f"<Source {self.kind} {self.shown}>"


def parse(text: str, *, ref_spec: str = "", subdirectory: str = "", allow_local: bool = False) -> Source:
    """The source that a text names. Raises SourceInvalid, which says what to write instead.

    Folders and archives on this machine are always understood, so that the caller can say whether they may be used;
    git repositories on this machine (`git+/path`, `git+file://…`) only with `allow_local`.
    """
    for what, value in (("source", text), ("ref", ref_spec), ("subdirectory", subdirectory)):
        if not isinstance(value, str):
            raise SourceInvalid(f"The {what} must be text, not {type(value).__name__}.")
        if not value.isprintable() or len(value) > LONGEST:
            raise SourceInvalid(f"The {what} is longer than {LONGEST:,} characters, or holds some that are not shown.")
        if value.startswith("-"):
            raise _refused(value, f"a {what} cannot begin with `-`", "Write ./ before the name of a folder")
    text = text.strip()
    if not text:
        raise SourceInvalid(
            "No source is named. Give a folder, an archive, a git URL (git+https://…) or a pack's name."
        )
    found = _read(text, allow_local)
    if ref_spec and found.kind in ("folder", "archive_file", "archive_url"):
        raise _refused(text, "only git repositories and names in a registry have refs", "Leave the ref out")
    ref = _one("ref", text, found.ref_spec, ref_spec)
    if found.kind == "registry" and not is_constraint(ref):
        raise _refused(text, f"{ref!r} is no version", f"Write {found.location}@1.2.0 or {found.location}@^1.2")
    if found.kind == "git" and ref:
        _check_ref(text, ref)
    folder = _subdirectory(text, _one("subdirectory", text, found.subdirectory, subdirectory))
    return Source(found.kind, found.location, ref, folder, text)


def from_index(entry: Mapping[str, Any]) -> Source:
    """The source that one of the `install_sources` of an index names."""
    kind, url = entry.get("type"), entry.get("url")
    if not isinstance(url, str):
        raise SourceInvalid("An install source of the index has no `url`; ask whoever keeps the index to mend it.")
    if kind == "git":
        return parse(url if _SCP.match(url) else f"git+{url.removeprefix('git+')}", ref_spec=entry.get("ref") or "")
    if kind == "archive" and _SCHEME.match(url):
        address, _, fragment = url.partition("#")
        return _archive_url(url, _url(url, address), fragment)
    raise _refused(url, f"the index calls it {kind!r}", "An index has sources of the types `git` and `archive` (a URL)")


def without_credentials(text: str) -> str:
    """The text with users, passwords and queries of all URLs in it left out, and nothing that cannot be shown."""

    def shown(match: re.Match[str]) -> str:
        scheme, user, rest, query = match.groups()
        plain = scheme.lower().endswith("ssh") and user and _USER.match(user[:-1])
        return f"{scheme}://{user if plain else '…@' if user else ''}{rest}{'?…' if query else ''}"

    masked = _PASSWORD.sub("…@", _URL.sub(shown, text))
    return "".join(character if character.isprintable() or character == "\n" else "?" for character in masked)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


# The kinds, by what the text looks like ------------------------------------------------------------------------------
def _read(text: str, allow_local: bool) -> Source:
    if text.startswith("git+"):
        return _git(text, text[4:], allow_local)
    if _SCP.match(text) or _HELPER.match(text):
        return _git(text, text, allow_local)
    if scheme := _SCHEME.match(text):
        return _by_scheme(text, scheme[1].lower(), allow_local)
    if text.startswith("~"):
        raise _refused(text, "whose home is meant is not clear", "Write the whole path, beginning with /")
    if text.lower().endswith(ARCHIVES):
        return Source("archive_file", text)
    if "/" in text or text in (".", ".."):
        return Source("folder", text)
    name, at, version = text.partition("@")
    if PACK_REF.match(name) and (version or not at):
        return Source("registry", name, version)
    instead = name.lower() if PACK_REF.match(name.lower()) else f"./{name}"
    raise _refused(
        text, "this is neither a pack's name, a path nor a URL", f"Write {instead}, an archive or git+https://…"
    )


def _by_scheme(text: str, scheme: str, allow_local: bool) -> Source:
    if scheme == "file":
        if not allow_local:
            raise _refused(
                text, "files of the server cannot be named by a URL", "Write the path of a folder or archive"
            )
        return _read(unquote(urlsplit(text).path), allow_local)
    if scheme not in ("http", "https"):
        return _git(text, text, allow_local)
    address, _, fragment = text.partition("#")
    url = _url(text, address)
    path, _ = _split_ref(text, url.path)
    is_forge = url.hostname in _FORGES and len(path.strip("/").split("/")) == 2
    if path.rstrip("/").endswith(".git") or (is_forge and not path.lower().endswith(ARCHIVES)):
        return _git(text, text, allow_local)
    return _archive_url(text, url, fragment)


def _archive_url(text: str, url: SplitResult, fragment: str) -> Source:
    if url.scheme not in ("http", "https"):
        raise _refused(text, f"archives are not fetched by {url.scheme}", "Write an address that begins with https://")
    return Source("archive_url", url.geturl(), subdirectory=_fragment(text, fragment))


def _git(text: str, rest: str, allow_local: bool) -> Source:
    address, _, fragment = rest.partition("#")
    subdirectory = _fragment(text, fragment)
    if address.startswith("-"):
        raise _refused(text, "an address cannot begin with `-`", "Write git+https://…")
    if _HELPER.match(address):
        raise _refused(text, "it would start a program", "Write git+https://… or git+ssh://…")
    if scp := _SCP.match(address):
        path, ref = _split_ref(text, scp["path"])
        _check_login(text, scp["user"], scp["host"].strip("[]").lower())
        if path.startswith("-"):
            raise _refused(text, "a path cannot begin with `-`", "Write git@host:owner/name.git")
        return Source("git", f"{scp['user']}@{scp['host']}:{path}", ref, subdirectory)
    scheme = _SCHEME.match(address)
    if not scheme and not address.startswith(("/", "./", "../")):
        raise _refused(text, "it names no repository", "Write git+https://host/owner/name.git")
    if not scheme or scheme[1].lower() == "file":
        if not allow_local:
            raise _refused(text, "repositories on the server may not be used from here", "Write git+https://…")
        path, ref = _split_ref(text, unquote(urlsplit(address).path) if scheme else address)
        return Source("git", path, ref, subdirectory)
    url = _url(text, address)
    if url.scheme == "ssh":
        if url.password is not None:
            raise _refused(text, "ssh takes no password", "Leave it out; the server signs in by its ssh key")
        _check_login(text, url.username or "git", url.hostname or "")
    elif url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
        raise _refused(text, f"{url.scheme}:// is not safe for git", "Write git+https://… or git+ssh://…")
    path, ref = _split_ref(text, url.path)
    if not path.strip("/"):
        raise _refused(text, "it names a host, but no repository", "Write git+https://host/owner/name.git")
    return Source("git", url._replace(path=path).geturl(), ref, subdirectory)


# The parts -----------------------------------------------------------------------------------------------------------
def _url(text: str, address: str) -> SplitResult:
    """The parts of a URL, once its host, user and port are known to be harmless."""
    try:
        url = urlsplit(address)
        host, _ = url.hostname or "", url.port
    except ValueError:
        raise _refused(text, "this is not a URL", "Write https://host/path") from None
    if re.search(r"[\s\\]", address) or not unquote(address).isprintable():
        raise _refused(text, "a URL holds no blanks, backslashes or control characters", "Write blanks as %20")
    _check_host(text, host)
    if unquote(url.username or "").startswith("-"):
        raise _refused(text, "a user cannot begin with `-`", "Write https://host/path")
    return url


def _check_login(text: str, user: str, host: str) -> None:
    _check_host(text, host)
    if not _USER.match(user):
        raise _refused(text, f"{user!r} is no user of ssh", "Write git+ssh://git@host/owner/name.git")


def _check_host(text: str, host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOST.match(host):
            remedy = "Write the name of a host in ASCII letters, digits, `-` and `.`"
            raise _refused(text, f"{host!r} is no host" if host else "it names no host", remedy) from None


def _split_ref(text: str, path: str) -> tuple[str, str]:
    """`/org/x.git@v1` as path and ref; an @ at the beginning of a part of the path belongs to the path."""
    head, at, ref = path.partition(".git@")
    if at:
        head += ".git"
    else:
        head, at, ref = path.rpartition("@")
        if not at or head.endswith("/") or not head:
            return path, ""
    if not ref:
        raise _refused(text, "there is no ref behind the @", "Name a branch, a tag or a commit, or leave the @ out")
    return head, ref


def _fragment(text: str, fragment: str) -> str:
    """The folder that is named behind the #: `#sub` or `#subdirectory=sub`, with pip's `egg=` overlooked."""
    if "=" not in fragment:
        return unquote(fragment)
    fields = dict(parse_qsl(fragment, keep_blank_values=True))
    if fields.keys() - {"subdirectory", "egg"}:
        raise _refused(text, "only a subdirectory can follow the #", "Write …#subdirectory=folder")
    return fields.get("subdirectory", "")


def _check_ref(text: str, ref: str) -> None:
    if not _REF.match(ref) or any(part in ref for part in _NO_REF) or ref.endswith((".lock", ".", "/")):
        raise _refused(text, f"{ref!r} is no ref", "Name a branch, a tag or a whole commit")


def _subdirectory(text: str, folder: str) -> str:
    parts = folder.removesuffix("/").removeprefix("./").split("/") if folder else []
    for part in parts:
        if part in ("", ".", "..") or part.lower() == ".git" or part.startswith("-") or not part.isprintable():
            remedy = "Name a folder below the top, such as packs/slack"
            raise _refused(text, f"the subdirectory {folder!r} cannot be used", remedy)
    if "\\" in folder:
        raise _refused(text, f"the subdirectory {folder!r} holds a backslash", "Write / between folders")
    return "/".join(parts)


def _one(what: str, text: str, found: str, given: str) -> str:
    if found and given and found != given:
        raise _refused(text, f"two {what}s are named, {found!r} and {given!r}", "Name one")
    return found or given


def _refused(text: str, problem: str, remedy: str) -> SourceInvalid:
    shown = without_credentials(text)
    shown = shown if len(shown) <= 200 else shown[:200] + "…"
    return SourceInvalid(f"{shown} cannot be used: {problem}. {remedy}.")
