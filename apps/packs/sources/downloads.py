"""Download one file: from addresses that may be asked, redirect by redirect, within limits of size and time."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import httpcore
import httpx

from apps.packs.errors import FetchFailed, SourceInvalid
from apps.packs.sources import addresses
from apps.packs.sources.addresses import Resolve
from apps.packs.sources.connections import PATIENCE, CheckedBackend
from apps.packs.sources.spec import without_credentials

LIMIT = 256 << 20  # bytes
REDIRECTS = 5
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_TELL_EVERY = 2.0  # seconds

Say = Callable[[str], None]


@dataclass(frozen=True)
class Downloaded:
    """What came, and from where in the end. `is_new` is False where the server said: not changed (304)."""

    checksum: str
    final_url: str  # without credentials
    size: int
    etag: str = ""
    is_new: bool = True


@dataclass(frozen=True)
class _Asking:
    """How the whole way of one download is gone."""

    say: Say
    deadline: float
    limit: int
    resolve: Resolve
    verify_ssl: bool


def download(
    url: str,
    file: Path,
    *,
    say: Say,
    deadline: float,
    trusted_hosts: frozenset[str] = frozenset(),
    headers: Mapping[str, str] | None = None,
    verify_ssl: bool = True,
    limit: int = LIMIT,
    resolve: Resolve = addresses.resolve,
) -> Downloaded:
    """Download a URL to a new file. `deadline` is a moment of `time.monotonic`.

    A host at an address that is not public is asked only if it is among `trusted_hosts`, and trust ends with the first
    redirect to a host that is not. `headers` and the URL's user and password go to the host that is named, no other.
    """
    asking = _Asking(say, deadline, limit, resolve, verify_ssl)
    here = _parsed(url)
    first, secrets = here, {**_authorization(here), **(headers or {})}
    for _ in range(REDIRECTS + 1):
        if not addresses.is_trusted(_host(here), _port(here), trusted_hosts):
            trusted_hosts = frozenset()
        own = secrets if _origin(here) == _origin(first) else {}
        with _request(here, own, trusted_hosts, asking) as answer:
            if answer.status not in _REDIRECTED:
                return _receive(answer, here, file, asking)
            here = _next(here, answer)
        asking.say(f"Redirected to {_shown(here)}")
    raise FetchFailed(f"{without_credentials(url)} redirects more than {REDIRECTS} times; give the final address.")


# The way there -------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def _request(
    url: httpx.URL, secrets: Mapping[str, str], trusted_hosts: frozenset[str], asking: _Asking
) -> Iterator[httpcore.Response]:
    fields = {"Host": url.netloc.decode(), "User-Agent": "attune", "Accept": "*/*", "Accept-Encoding": "identity"}
    fields |= secrets
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    patience = dict.fromkeys(("connect", "read", "write", "pool"), PATIENCE)
    try:
        with (
            _pool(url, trusted_hosts, asking) as pool,
            pool.stream(b"GET", target, headers=list(fields.items()), extensions={"timeout": patience}) as answer,
        ):
            yield answer
    except httpcore.TimeoutException:
        late = asking.deadline <= time.monotonic()
        problem = "took longer than it was given" if late else f"did not answer for {PATIENCE:g} seconds"
        raise FetchFailed(f"{_shown(url)} {problem}; try again, or give it more time.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol) as error:
        raise _unreachable(url, error) from None


def _pool(url: httpx.URL, trusted_hosts: frozenset[str], asking: _Asking) -> httpcore.ConnectionPool:
    """Straight to the host, or by the proxy that the server's environment names (HTTPS_PROXY, NO_PROXY, …)."""
    tls = _tls(asking.verify_ssl) if url.scheme == "https" else None
    find = partial(addresses.allowed, trusted_hosts=trusted_hosts, resolve=asking.resolve)
    if proxy := addresses.proxy_for(url.scheme, _host(url)):
        with contextlib.suppress(FetchFailed):  # behind a proxy the names of the world may not be known
            find(_host(url), _port(url))
        there = httpx.Proxy(proxy)
        return httpcore.HTTPProxy(
            proxy_url=str(there.url),
            proxy_auth=there.raw_auth,
            ssl_context=tls,
            network_backend=CheckedBackend(addresses.resolve, asking.deadline),
        )
    return httpcore.ConnectionPool(ssl_context=tls, network_backend=CheckedBackend(find, asking.deadline))


def _next(here: httpx.URL, answer: httpcore.Response) -> httpx.URL:
    """Where a redirect leads; whatever user and password it names are left out."""
    location = _header(answer, b"location")
    if not location:
        raise FetchFailed(f"{_shown(here)} redirects, but does not say where to; give another address.")
    try:
        there = here.join(location).copy_with(username=None, password=None, fragment=None)
    except (httpx.InvalidURL, ValueError):
        raise FetchFailed(f"{_shown(here)} redirects to what is no address; give another one.") from None
    if here.scheme == "https" and there.scheme == "http":
        raise SourceInvalid(
            f"{_shown(here)} redirects to {_shown(there)}, which is not encrypted; give an https address."
        )
    return _parsed(str(there))


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise SourceInvalid(f"{without_credentials(url)[:200]} is not a URL; write https://host/path.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SourceInvalid(f"{without_credentials(url)[:200]} is not fetched; give an address with https://.")
    return parsed


def _authorization(url: httpx.URL) -> dict[str, str]:
    if not url.userinfo:
        return {}
    login = f"{unquote(url.username)}:{unquote(url.password)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(login).decode()}"}


def _tls(verify: bool) -> ssl.SSLContext:
    """What certificates are believed: those of the system, or of SSL_CERT_FILE and SSL_CERT_DIR."""
    context = httpx.create_ssl_context(verify=verify)
    if verify:
        context.load_default_certs()
    return context


# What comes ----------------------------------------------------------------------------------------------------------
def _receive(answer: httpcore.Response, url: httpx.URL, file: Path, asking: _Asking) -> Downloaded:
    etag = _header(answer, b"etag")
    if answer.status == 304:
        return Downloaded("", _shown(url), 0, etag, is_new=False)
    if answer.status != 200:
        raise _refusal(url, answer.status)
    promised = _header(answer, b"content-length")
    total = int(promised) if promised.isdigit() else 0
    if total > asking.limit:
        raise _too_large(url, asking.limit)
    asking.say(f"Downloading {_shown(url)}" + (f" ({_mib(total)})" if total else ""))
    digest, size, tell_at = hashlib.sha256(), 0, time.monotonic() + _TELL_EVERY
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as output:
            for chunk in answer.iter_stream():
                size += len(chunk)
                if size > asking.limit:
                    raise _too_large(url, asking.limit)
                digest.update(chunk)
                output.write(chunk)
                if time.monotonic() > tell_at:
                    tell_at += _TELL_EVERY
                    asking.say(f"… {_mib(size)}" + (f" of {_mib(total)}" if total else ""))
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    asking.say(f"Downloaded {_mib(size)}")
    return Downloaded(f"sha256:{digest.hexdigest()}", _shown(url), size, etag)


def _refusal(url: httpx.URL, status: int) -> FetchFailed:
    remedies = {
        401: "it asks for a user and password, or did not take those given; check them",
        403: "it does not let us have it; check the credentials",
        404: "there is nothing there; check the address",
        410: "it is gone; look for another address",
        429: "it is asked too often; try again later",
    }
    remedy = remedies.get(status, "try again later" if status >= 500 else "check the address")
    return FetchFailed(f"{_shown(url)} answered {status}: {remedy}.")


def _too_large(url: httpx.URL, limit: int) -> FetchFailed:
    return FetchFailed(f"{_shown(url)} is larger than {limit >> 20} MiB; a pack should be far smaller.")


def _unreachable(url: httpx.URL, error: Exception) -> FetchFailed:
    reason = without_credentials(str(error)) or type(error).__name__
    remedy = "check the address and the network"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        remedy = "if the certificate is of an authority of your own, name its file in SSL_CERT_FILE"
    return FetchFailed(f"{_shown(url)} could not be fetched ({reason}); {remedy}.")


def _header(answer: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in answer.headers if key.lower() == name), "")


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, _host(url), _port(url)


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").lower()


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _shown(url: httpx.URL) -> str:
    return without_credentials(str(url))


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size >= 100_000 else f"{size:,} bytes"
