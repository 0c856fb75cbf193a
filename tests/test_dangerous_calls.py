"""No call of the kinds that made a hole in systems like this one: every module is read, and exceptions are named here.

What ruff's own rules find (`S` in pyproject.toml) is not looked for again.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import dramatiq
import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    path
    for folder in ("apps", "attune", "packs/core")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts and "new-pack" not in path.parts
)
SECRET = re.compile(
    r"(?:\A|[._])(?:\w+_)?(?:secret|password|passphrase|token|signature|digest|hmac|mac|proof|cookie|api_?key|webhook_key)\Z",
    re.I,
)
# Comparisons that give nothing away: place -> why.
COMPARED = {
    "apps/executions/repeats.py: known.digest != digest": "of what one sender asked twice, told to that sender alone",
    "apps/packs/installing/steps.py: now.digest == brought.tree": "of files that whoever installs them has",
    "attune/cli/client.py: self.who.access_token != used": "both are the token of this command's own user",
}
# Programs are started here only; everybody else asks one of these.
STARTERS = {
    "apps/executions/isolation/engines.py",
    "apps/packs/environments/interpreters.py",
    "apps/packs/environments/virtualenvs.py",
    "apps/packs/registry/checkouts.py",
    "apps/packs/runtimes.py",
    "attune/cli/offline.py",
    "attune/lib/confining/bubblewrap.py",
    "attune/lib/confining/estate.py",
    "attune/lib/launcher.py",
    "attune/lib/processes.py",
    "attune/lib/programs.py",
    "attune/management/commands/up.py",
}
# Code is made of text here only.
RUNS_CODE = {"attune/lib/warm/zygote.py"}  # it is what runs actions, in a process of their own
UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "jsonpickle", "joblib"}
MARSHALS = {"attune/lib/schemas/checking.py", "attune/lib/schemas/masking.py"}  # what they packed a moment before
SAFE_HTML = {"apps/packs/admin/indices.py": "format_html(button * 2)"}  # a constant of the line above, twice
# Words that git takes as commands, and what must stand before whatever is not an option of ours.
GIT = {
    "clone",
    "fetch",
    "ls-remote",
    "ls-tree",
    "rev-parse",
    "init",
    "checkout",
    "pull",
    "push",
    "archive",
    "show",
    "log",
}
ENDS_OPTIONS = {"--", "--end-of-options"}

pytestmark = pytest.mark.embedded_only


def findings(look: Callable[[ast.AST, str], Iterator[str] | None]) -> list[str]:
    """What `look` finds wrong in any node of any module, each with its place."""
    found = []
    for path in FILES:
        name = str(path.relative_to(ROOT))
        for node in ast.walk(_tree(path)):
            found += [f"{name}: {what}" for what in look(node, name) or ()]
    return found


def _tree(path: Path, kept: dict[Path, ast.Module] = {}) -> ast.Module:  # noqa: B006
    return kept.setdefault(path, ast.parse(path.read_text()))


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else node.attr
    return ""


def is_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.IfExp) and is_constant(node.body) and is_constant(node.orelse)
    )


# Secrets -------------------------------------------------------------------------------------------------------------
def compared_plainly(node: ast.AST, name: str) -> Iterator[str]:
    if not isinstance(node, ast.Compare) or not any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
        return
    sides = [node.left, *node.comparators]
    if any(isinstance(side, ast.Constant) for side in sides):
        return  # with "" or a word of ours
    if any(SECRET.search(dotted(side)) for side in sides):
        yield ast.unparse(node)


def test_no_secret_is_compared_with_a_plain_sign_of_equality() -> None:
    """`==` stops at the first letter that differs, and tells by its time how many were right."""
    assert set(findings(compared_plainly)) == set(COMPARED)


# Programs ------------------------------------------------------------------------------------------------------------
def through_a_shell(node: ast.AST, name: str) -> Iterator[str]:
    if not isinstance(node, ast.Call):
        return
    called = dotted(node.func)
    if called in ("os.system", "os.popen", "commands.getoutput") or called.endswith(("getoutput", "getstatusoutput")):
        yield called
    for keyword in node.keywords:
        if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
            yield f"{called}(shell=…)"
    if called.endswith(("subprocess.run", "Popen", "check_output", "check_call", "processes.start")) and node.args:
        program = node.args[0]
        if isinstance(program, ast.JoinedStr | ast.BinOp) or (
            isinstance(program, ast.Constant) and isinstance(program.value, str)
        ):
            yield f"{called} of a text, not of a list"


def test_no_program_is_started_through_a_shell() -> None:
    assert findings(through_a_shell) == []


def handed_to_sh(node: ast.AST, name: str) -> Iterator[str]:
    """`["sh", "-c", script, …]` where the script is not a constant of the module."""
    if not isinstance(node, ast.List):
        return
    words = [part.value if isinstance(part, ast.Constant) else None for part in node.elts]
    for at, word in enumerate(words[:-1]):
        if word == "-c" and at and str(words[at - 1]).endswith("sh"):
            script = node.elts[at + 1]
            if not (is_constant(script) or (isinstance(script, ast.Name) and script.id.isupper())):
                yield ast.unparse(node)


def test_a_script_for_a_shell_is_a_constant() -> None:
    assert findings(handed_to_sh) == []


def test_programs_are_started_in_few_places() -> None:
    def starts(node: ast.AST, name: str) -> Iterator[str]:
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            if called in ("Popen", "subprocess.run") or called.startswith(
                ("subprocess.", "os.exec", "os.spawn", "pty.")
            ):
                yield called

    assert {found.partition(":")[0] for found in findings(starts)} <= STARTERS | RUNS_CODE


def git_without_end_of_options(node: ast.AST, name: str) -> Iterator[str]:
    """A call or list that names a git command and hands on what is not a constant, with nothing to end the options."""
    parts: list[ast.expr]
    if (
        isinstance(node, ast.Call)
        and dotted(node.func).rpartition(".")[2] in ("run", "answer")
        and "git" in dotted(node.func)
    ):
        parts = node.args
    elif (
        isinstance(node, ast.List)
        and node.elts
        and isinstance(node.elts[0], ast.Constant)
        and node.elts[0].value == "git"
    ):
        parts = node.elts[1:]
    else:
        return
    words = [part.value if isinstance(part, ast.Constant) else None for part in parts]
    if not GIT & {word for word in words if isinstance(word, str)}:
        return
    free = [at for at, part in enumerate(parts) if not isinstance(part, ast.Constant | ast.Starred)]
    ends = [at for at, word in enumerate(words) if word in ENDS_OPTIONS]
    if free and not (ends and ends[0] < free[-1]):
        yield ast.unparse(node)


def test_no_git_command_takes_what_others_wrote_for_an_option() -> None:
    assert findings(git_without_end_of_options) == []


# Code and objects out of text ----------------------------------------------------------------------------------------
def test_text_is_made_code_only_where_actions_run() -> None:
    def runs(node: ast.AST, name: str) -> Iterator[str]:
        if isinstance(node, ast.Call) and dotted(node.func) in ("eval", "exec", "compile", "__import__"):
            yield dotted(node.func)

    assert {found.partition(":")[0] for found in findings(runs)} <= RUNS_CODE


def test_nothing_is_unpickled() -> None:
    def unpickles(node: ast.AST, name: str) -> Iterator[str]:
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in imported:
            if module.partition(".")[0] in UNPICKLING or (module == "marshal" and name not in MARSHALS):
                yield module

    assert findings(unpickles) == []


def test_messages_and_caches_and_sessions_are_not_pickled_either() -> None:
    from django.conf import settings

    assert settings.SESSION_SERIALIZER == "django.contrib.sessions.serializers.JSONSerializer"
    assert {cache["BACKEND"] for cache in settings.CACHES.values()} <= {
        "django.core.cache.backends.locmem.LocMemCache",  # it never leaves the process
        "django.core.cache.backends.dummy.DummyCache",
    }
    assert isinstance(dramatiq.get_encoder(), dramatiq.JSONEncoder)


def test_yaml_is_read_by_safe_loaders() -> None:
    def loads(node: ast.AST, name: str) -> Iterator[str]:
        if isinstance(node, ast.Call) and dotted(node.func).startswith("yaml."):
            called = dotted(node.func).removeprefix("yaml.")
            if called in ("unsafe_load", "full_load", "load_all", "unsafe_load_all", "full_load_all"):
                yield called
            loaders = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "Loader"]
            if called == "load" and not (loaders and "Safe" in loaders[0] and "Unsafe" not in loaders[0]):
                yield ast.unparse(node)

    assert findings(loads) == []


# Pages and statements ------------------------------------------------------------------------------------------------
def test_only_constants_are_called_safe_html() -> None:
    def marks(node: ast.AST, name: str) -> Iterator[str]:
        called = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and called in ("mark_safe", "SafeString", "SafeText", "format_html"):
            trusted = node.args[:1] if called == "format_html" else node.args
            if not all(is_constant(argument) for argument in trusted):
                yield f"{called}({', '.join(map(ast.unparse, trusted))})"

    assert findings(marks) == [f"{place}: {what}" for place, what in SAFE_HTML.items()]


def test_no_template_of_ours_switches_escaping_off() -> None:
    pages = [
        *(ROOT / "templates").rglob("*.html"),
        *(ROOT / "apps").rglob("*.html"),
        *(ROOT / "attune").rglob("*.html"),
    ]
    assert pages
    loose = re.compile(r"\|\s*safe\b|\|\s*safeseq\b|autoescape\s+off")
    assert [str(page.relative_to(ROOT)) for page in pages if loose.search(page.read_text())] == []


def test_no_query_of_a_stranger_becomes_a_lookup() -> None:
    """`filter(**request.GET)` is how keys such as `_connector` or `owner__password` reach the database."""

    def unpacks(node: ast.AST, name: str) -> Iterator[str]:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return
        if node.func.attr in ("filter", "exclude", "get", "create", "update", "get_or_create", "Q"):
            for keyword in node.keywords:
                if keyword.arg is None and re.search(
                    r"request\.|\bGET\b|POST|query_params|payload|\bdata\b|\.dict\(\)", ast.unparse(keyword.value)
                ):
                    yield ast.unparse(node)

    assert findings(unpacks) == []


def test_the_reader_itself_finds_what_it_is_for() -> None:
    """Each of these is the hole of somebody; all must be found."""
    bad = {
        compared_plainly: ["given == expected_token", "row.signature != proof", "self.secret == secret"],
        through_a_shell: ["subprocess.run(x, shell=True)", "os.system(x)", "subprocess.run(f'ls {x}')", "os.popen(x)"],
        handed_to_sh: ["['sh', '-c', f'ls {x}']", "['/bin/bash', '-c', script]"],
        git_without_end_of_options: [
            "git.run('fetch', url)",
            "['git', 'ls-remote', url]",
            "git.answer('rev-parse', ref, '--')",
        ],
    }
    for look, codes in bad.items():
        for code in codes:
            assert [what for node in ast.walk(ast.parse(code)) for what in look(node, "x.py")], code
    good = {
        compared_plainly: ["token == ''", "token_type == other", "keys == names"],
        git_without_end_of_options: ["git.run('fetch', '--', url)", "git.run('gc')"],
        handed_to_sh: ["['sh', '-c', SCRIPT, x]"],
    }
    for look, codes in good.items():
        for code in codes:
            assert not [what for node in ast.walk(ast.parse(code)) for what in look(node, "x.py")], code
