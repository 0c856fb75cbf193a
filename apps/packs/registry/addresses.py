"""The addresses of indices and of what they name: which ones may be used, which are on this machine. Pure."""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

CHECKSUM = re.compile(r"sha256:[0-9a-fA-F]{64}\Z")
LONGEST = 2000
_GIT_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]*\Z")
_UNSEEN = re.compile(r"[\x00-\x20\x7f\\]")


def index_address(text: str) -> str:
    """An index's address as it is kept: http(s), or a file's absolute path. ValueError says what is wrong."""
    text = text.strip()
    if len(text) > LONGEST:
        raise ValueError(f"the address has more than {LONGEST} characters")
    if text.startswith("file:"):
        text = unquote(urlsplit(text).path)
    if text.startswith("/"):
        if "\0" in text:
            raise ValueError("a path cannot hold a zero byte")
        return text
    parts = _web(text, "an index is an http or https address, or the absolute path of a file on the server")
    if parts.username is not None:
        raise ValueError("the address holds credentials, which everybody can read; put them into a header instead")
    return text


def is_file(where: str) -> bool:
    return where.startswith("/")


def is_local(where: str) -> bool:
    """Whether an index comes from this very machine: a file, or served on loopback."""
    if is_file(where):
        return True
    host = urlsplit(where).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def source_address(url: str, where: str, *, beside: bool) -> str:
    """Where a pack is to be had that an index at `where` names. ValueError says why it may not be fetched from there.

    With `beside` it may be relative to the index; of an index in a file that is a file in the same folder, or below.
    """
    if _UNSEEN.search(url):
        raise ValueError(f"the address {url!r} holds blanks, backslashes or control characters")
    if beside and "://" not in url and not url.startswith("/"):
        if not is_file(where):
            return _checked(urljoin(where, url), where)
        path = PurePosixPath(unquote(url))
        if ".." in path.parts or "\0" in str(path) or re.match(r"[a-z][a-z0-9+.-]*:", url, re.IGNORECASE):
            raise ValueError(f"{url!r} leads out of the index's folder")
        return str(PurePosixPath(where).parent / path)
    return _checked(url, where)


def same_origin(one: str, other: str) -> bool:
    """Whether two web addresses are of one server, so that what opens one may be shown to the other."""
    if is_file(one) or is_file(other):
        return False
    return _origin(urlsplit(one)) == _origin(urlsplit(other))


def is_git_ref(text: str) -> bool:
    """Whether it can be a branch, a tag or a commit; git itself is stricter."""
    return bool(_GIT_REF.match(text)) and ".." not in text and "//" not in text and "@{" not in text


def _checked(url: str, where: str) -> str:
    parts = _web(url, f"{url!r} is not an https address")
    if parts.scheme == "http" and not is_local(where):
        raise ValueError(f"{url!r} is not an https address; plain http is for indices on this machine only")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"the address at {parts.hostname} holds credentials; an index is no place for them")
    return url


def _web(url: str, otherwise: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or _UNSEEN.search(url):
        raise ValueError(otherwise)
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


def host_and_port(address: str) -> str:
    """The server of an address, as it is written among those trusted; empty for a file."""
    if is_file(address):
        return ""
    parts = urlsplit(address)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
