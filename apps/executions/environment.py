"""The environment of an action: what the contract lists and nothing of the server's own. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from apps.executions.errors import EnvironmentRefused

NAME = re.compile(r"[A-Z_][A-Z0-9_]*\Z")
OURS = frozenset({"PATH", "HOME", "USER", "LOGNAME", "PWD", "OLDPWD", "TMPDIR", "LANG", "SHELL", "SHLVL", "_"})
# What an interpreter, the loader, a shell, git, TLS or a proxy library obeys: it could take over the action.
OBEYED_PREFIXES = (
    "ATTUNE_", "LD_", "DYLD_", "PYTHON", "NODE_", "NPM_", "PERL", "RUBY", "GEM_", "BUNDLE_", "GIT_", "SSL_", "OPENSSL_",
    "CURL_", "BASH_", "LC_", "GLIBC_", "MALLOC_", "JAVA_", "JDK_", "_JAVA_", "PHP", "LUA_", "SSH_", "AWS_CA_",
    "REQUESTS_CA_", "PIP_", "UV_", "GCONV_", "NLS", "TERMINFO", "XDG_",
)  # fmt: skip
OBEYED_NAMES = frozenset(
    [
        "ENV",
        "BASHOPTS",
        "SHELLOPTS",
        "IFS",
        "CDPATH",
        "GLOBIGNORE",
        "PS1",
        "PS2",
        "PS4",
        "PROMPT_COMMAND",
        "HISTFILE",
        "INPUTRC",
        "MAIL",
        "MAILPATH",
        "FPATH",
        "FCEDIT",
        "EDITOR",
        "VISUAL",
        "PAGER",
        "LESSOPEN",
        "LESSCLOSE",
        "LOCPATH",
        "NLSPATH",
        "HOSTALIASES",
        "LOCALDOMAIN",
        "RES_OPTIONS",
        "RESOLV_HOST_CONF",
        "TZDIR",
        "TERM",
        "TERMCAP",
        "TMP",
        "TEMP",
        "TEMPDIR",
        "POSIXLY_CORRECT",
        "GETCONF_DIR",
        "CLASSPATH",
        "JQ_LIBRARY_PATH",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "SUDO_COMMAND",
        "SUDO_USER",
        "NETRC",
        "WGETRC",
        "CDROOT",
        "ZDOTDIR",
        "DENO_DIR",
        "BUN_INSTALL",
    ]
)


def refused(name: str, *, declared: frozenset[str]) -> str:
    """Why a caller may not set this variable; empty when they may."""
    if not NAME.match(name):
        return "its name must be of capital letters, digits and underscores"
    if name.startswith("ATTUNE_") or name in OURS:
        return "Attune sets it itself"
    if name in declared:
        return ""
    if name in OBEYED_NAMES or name.startswith(OBEYED_PREFIXES) or name.endswith(("_PROXY", "_CA_BUNDLE", "_ASKPASS")):
        return "interpreters and libraries obey it; the action's YAML must declare it in `env_vars` to allow it"
    return ""


def check_env_vars(given: Mapping[str, Any], *, declared: list[str]) -> dict[str, str]:
    """The caller's variables as texts. Raises EnvironmentRefused naming each that may not be set."""
    if not isinstance(given, Mapping):
        raise EnvironmentRefused("env_vars must be an object of names and texts.")
    allowed = frozenset(declared)
    faults = {str(name): refused(str(name), declared=allowed) for name in given}
    faults |= {
        str(name): "its value must be a text, a number or a boolean, without NUL"
        for name, value in given.items()
        if isinstance(value, dict | list) or "\0" in str(value)
    }
    if named := [f"{name}: {why}" for name, why in faults.items() if why]:
        raise EnvironmentRefused(f"Environment variables refused: {'; '.join(named)}.", details={"env_vars": named})
    return {str(name): _text(value) for name, value in given.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
