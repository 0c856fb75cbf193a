"""Where a build may fetch packages from: the operator's own settings of pip, uv and npm, and nothing else of ours."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import sys
from pathlib import Path

from django.conf import settings

# What of our environment a package installer may see: how to reach its index, and no secret of the server.
_PASSED = re.compile(
    r"(UV_|PIP_|NPM_CONFIG_|npm_config_)\w+|(HTTP|HTTPS|ALL|NO)_PROXY|(http|https|all|no)_proxy|SSL_CERT_(FILE|DIR)"
    r"|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS|PATH|HOME|USER|TMPDIR|LANG|LC_ALL|TZ\Z"
)


def build_variables() -> dict[str, str]:
    """The environment of a build. uv does not read pip's settings, so what pip was told is said again in uv's words."""
    env = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
    env |= {"UV_PYTHON_DOWNLOADS": "never", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
    env.setdefault("UV_CACHE_DIR", str(settings.ATTUNE_DATA_DIR / "cache" / "uv"))
    given = _pip_settings() | {n.removeprefix("PIP_"): v for n, v in env.items() if n.startswith("PIP_")}
    if "UV_DEFAULT_INDEX" not in env and given.get("INDEX_URL"):
        env.setdefault("UV_INDEX_URL", given["INDEX_URL"])
    if "UV_INDEX" not in env and given.get("EXTRA_INDEX_URL"):
        env.setdefault("UV_EXTRA_INDEX_URL", " ".join(given["EXTRA_INDEX_URL"].split()))
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # as pip: the best version of all indexes
    if given.get("FIND_LINKS"):
        env.setdefault("UV_FIND_LINKS", ",".join(given["FIND_LINKS"].split()))
    if given.get("TRUSTED_HOST"):
        env.setdefault("UV_INSECURE_HOST", " ".join(given["TRUSTED_HOST"].split()))
    if given.get("NO_INDEX", "").lower() in ("1", "true", "yes", "on"):
        env.setdefault("UV_NO_INDEX", "1")
    if given.get("CERT"):
        env.setdefault("SSL_CERT_FILE", given["CERT"])
    return env


def _pip_settings() -> dict[str, str]:
    """What pip's configuration files say for `install`, later files over earlier ones, as pip reads them."""
    home = Path.home()
    files = [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf",
        home / "Library" / "Application Support" / "pip" / "pip.conf",
        Path(sys.prefix) / "pip.conf",
        Path(os.environ.get("PIP_CONFIG_FILE") or os.devnull),
    ]
    found: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        with contextlib.suppress(configparser.Error, OSError, UnicodeDecodeError):
            parser.read(file)
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {name.upper().replace("-", "_"): value for name, value in parser.items(section)}
    return found
