"""The way to a git repository, as a URL, settings and an environment that lead nowhere else."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from apps.packs.errors import FetchFailed
from apps.packs.sources import addresses
from apps.packs.sources.spec import Source

_SSH = (
    "-o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 -o ClearAllForwardings=yes -o ForwardAgent=no"
)


def route(
    source: Source,
    trusted_hosts: frozenset[str],
    verify_ssl: bool,
    environment: Mapping[str, str],
    resolve: addresses.Resolve,
) -> tuple[str, dict[str, str], dict[str, str], str]:
    """The URL and settings for the command line, the environment, and a header that neither of them may show."""
    if source.protocol == "file":
        return str(Path(source.location).absolute()), {}, dict(environment), ""
    if source.protocol == "ssh":
        ssh = f"{environment.get('GIT_SSH_COMMAND', 'ssh')} {_SSH} {_pinned_ssh(source, trusted_hosts, resolve)}"
        return source.location, {}, {**environment, "GIT_SSH_COMMAND": ssh.strip()}, ""
    url, header = urlsplit(source.location), ""
    if url.username is not None:
        login = base64.b64encode(f"{unquote(url.username)}:{unquote(url.password or '')}".encode()).decode()
        header = f"Authorization: Basic {login}"
    settings = {} if verify_ssl else {"http.sslVerify": "false"}
    if authorities := os.environ.get("SSL_CERT_FILE"):
        settings["http.sslCAInfo"] = authorities
    port = url.port or (443 if url.scheme == "https" else 80)
    found = _checked(source, port, trusted_hosts, resolve)
    if found and not _is_address(source.host):
        settings["http.curloptResolve"] = f"{source.host}:{port}:{','.join(found)}"
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl(), settings, dict(environment), header


def _pinned_ssh(source: Source, trusted_hosts: frozenset[str], resolve: addresses.Resolve) -> str:
    """Options that send ssh to the address that was checked, and have it know the host's key by the host's name."""
    port = urlsplit(source.location).port or 22 if "://" in source.location else 22
    found = _checked(source, port, trusted_hosts, resolve)
    if not found:
        return ""
    known_as = source.host if port == 22 else f"[{source.host}]:{port}"
    return f"-o HostName={found[0]} -o {shlex.quote(f'HostKeyAlias={known_as}')}"


def _checked(source: Source, port: int, trusted_hosts: frozenset[str], resolve: addresses.Resolve) -> list[str]:
    """The addresses to be held to; none for a host that is trusted, or that only a proxy knows."""
    if addresses.is_trusted(source.host, port, trusted_hosts):
        return []
    proxy = addresses.proxy_for(source.protocol, source.host)
    try:
        found = addresses.allowed(source.host, port, trusted_hosts=trusted_hosts, resolve=resolve)
    except FetchFailed:
        if not proxy:
            raise
    return [] if proxy else found


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(host))
    return False
