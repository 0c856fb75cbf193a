"""What `manage.py check` says about Attune itself; with `--deploy` also about settings that open a door."""

from __future__ import annotations

import os
import shutil
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

TOOLS = {"bash": "bash", "jq": "jq", "curl": "curl"}


@register("attune")
def tools_are_there(**_: Any) -> list[CheckMessage]:
    """The programs the core pack's shell actions call."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if not missing:
        return []
    names = " ".join(TOOLS[tool] for tool in missing)
    return [
        Warning(
            f"Not found on the PATH: {', '.join(missing)}. Actions of the core pack need them.",
            hint=f"Debian, Ubuntu: apt-get install {names}; macOS: brew install {names}",
            id="attune.W001",
        )
    ]


@register(Tags.security, deploy=True)
def nobody_is_believed_blindly(**_: Any) -> list[CheckMessage]:
    """Settings that are valid, and that let anybody say who they are or which host they asked."""
    found: list[CheckMessage] = []
    if any(ip_network(each, strict=False).prefixlen == 0 for each in settings.ATTUNE_TRUSTED_PROXIES):
        found.append(
            Warning(
                "ATTUNE_TRUSTED_PROXIES holds every address: anybody can say where a request comes from.",
                hint="Name the addresses of your proxies.",
                id="attune.W002",
            )
        )
    if "*" in settings.ALLOWED_HOSTS:
        found.append(
            Warning(
                "ALLOWED_HOSTS is *: links in answers lead to whatever host a request names.",
                hint="Name the hosts by which people reach this server.",
                id="attune.W003",
            )
        )
    if any(len(former) < 32 for former in settings.SECRET_KEY_FALLBACKS):
        found.append(
            Warning(
                "SECRET_KEY_FALLBACKS holds a key of less than 32 characters; it signs tokens as the present one does.",
                hint="Take it away.",
                id="attune.W004",
            )
        )
    return found


@register(Tags.security, deploy=True)
def servers_ask_who_comes(**_: Any) -> list[CheckMessage]:
    """Actions have the network, so whoever only has to reach a port to be let in lets actions in."""
    if not settings.SERVER_MODE:
        return []
    database, redis = settings.DATABASES["default"], urlsplit(settings.REDIS_URL)
    by_socket = not database.get("HOST") or database["HOST"].startswith("/")
    shown = database.get("PASSWORD") or {"passfile", "sslcert", "service"} & set(database["OPTIONS"])
    elsewhere = {"PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSSLCERT"} & set(os.environ)
    open_doors = []
    if not (by_socket or shown or elsewhere):
        open_doors.append("DATABASE_URL")
    if redis.scheme != "unix" and not redis.password and "password=" not in redis.query:
        open_doors.append("REDIS_URL")
    return [
        Warning(
            f"{name} has no password: whatever reaches that server is let in, actions with the network too.",
            hint="Give it a password, or let it listen on a Unix socket only, which no sandbox shows; "
            "ATTUNE_CLOSED_PORTS closes its port to actions.",
            id="attune.W008",
        )
        for name in open_doors
    ]


@register("attune")
def actions_are_kept_apart(**_: Any) -> list[CheckMessage]:
    """What stands between the code of packs and the rest of this machine."""
    from apps.executions.isolation import sandboxes  # the broker must be there before the rooms

    found: list[CheckMessage] = []
    if settings.SERVER_MODE and os.geteuid() == 0 and not settings.ATTUNE_ACCOUNT:
        found.append(
            Warning(
                "Attune runs as root, and so do the actions and sensors of all packs.",
                hint="Set ATTUNE_RUN_AS to a user made for them (useradd --system attune-run), or start Attune as one.",
                id="attune.W006",
            )
        )
    if settings.ATTUNE_SANDBOX != "none" and (problem := sandboxes.offer().problem):
        found.append(
            Warning(
                f"Actions run without a sandbox: {problem}.",
                hint="See docs/isolation.md. ATTUNE_SANDBOX=none says that this is meant; =bwrap refuses such runs.",
                id="attune.W007",
            )
        )
    return found
