"""Which variables a caller may set."""

import pytest

from apps.executions.environment import check_env_vars
from apps.executions.errors import EnvironmentRefused

pytestmark = pytest.mark.embedded_only

HIJACKERS = [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "NODE_OPTIONS",
    "NODE_PATH",
    "BASH_ENV",
    "ENV",
    "IFS",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYOPT",
    "RUBYLIB",
    "GIT_SSH_COMMAND",
    "GIT_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "CURL_HOME",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "CDPATH",
    "GLOBIGNORE",
    "LC_ALL",
    "LOCPATH",
    "JAVA_TOOL_OPTIONS",
    "JQ_LIBRARY_PATH",
    "SSH_ASKPASS",
    "GIT_ASKPASS",
    "TERMINFO",
    "TZDIR",
    "HOSTALIASES",
    "OPENSSL_CONF",
]
OURS = ["PATH", "HOME", "USER", "PWD", "TMPDIR", "LANG", "SHELL", "ATTUNE_API_TOKEN", "ATTUNE_ANYTHING"]


@pytest.mark.parametrize("name", HIJACKERS)
def test_what_interpreters_and_libraries_obey_needs_declaring(name):
    with pytest.raises(EnvironmentRefused, match=name):
        check_env_vars({name: "x"}, declared=[])
    assert check_env_vars({name: "x"}, declared=[name]) == {name: "x"}


@pytest.mark.parametrize("name", OURS)
def test_what_attune_sets_itself_can_never_be_set(name):
    with pytest.raises(EnvironmentRefused, match="Attune sets it itself"):
        check_env_vars({name: "x"}, declared=[name])


@pytest.mark.parametrize("name", ["lower", "WITH-DASH", "1ST", "", "A=B", "A B", "É", "A\n"])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(EnvironmentRefused):
        check_env_vars({name: "x"}, declared=[])


def test_all_faults_are_named_at_once():
    with pytest.raises(EnvironmentRefused) as error:
        check_env_vars({"LD_PRELOAD": "x", "bad": "y", "GOOD": "z"}, declared=[])
    assert "LD_PRELOAD" in error.value.message and "bad" in error.value.message and "GOOD" not in error.value.message


def test_values_become_texts():
    assert check_env_vars({"DEBUG": True, "LEVEL": 3, "NONE": None, "T": "x"}, declared=[]) == {
        "DEBUG": "true",
        "LEVEL": "3",
        "NONE": "",
        "T": "x",
    }


@pytest.mark.parametrize("value", [["a"], {"a": 1}, "nul\0"])
def test_values_no_variable_can_hold_are_refused(value):
    with pytest.raises(EnvironmentRefused):
        check_env_vars({"A": value}, declared=[])
