"""A pack's own tests are really run, counted and kept, and decide whether it may be used; nothing hangs or leaks."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.packs import environments, testing
from apps.packs.environments import Wanted
from apps.packs.models import PackTest
from apps.packs.testing import Case, Suite, TestResult, pytests
from apps.packs.testing.programs import Outcome
from apps.packs.testing.results import Status
from attune.lib.masks import Mask
from attune.lib.yamlfiles import parse
from tests.conftest import ROOT, until
from tests.packs.conftest import Write

pytestmark = pytest.mark.embedded_only

Run = Callable[..., TestResult]
PASSING = "import unittest\n\nclass Sums(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(1, 1)\n"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bare environment, as most packs have; one for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("bare")
        patch.setattr("django.conf.settings.ATTUNE_ENVS_DIR", folder / "environments")
        patch.setattr("django.conf.settings.ATTUNE_TMP_DIR", folder / "tmp")
        yield environments.ensure_python(Wanted(ref="demo", folder=folder)).interpreter


@pytest.fixture
def run(write: Write, python: Path, settings: Any, tmp_path: Path) -> Run:
    """`run({"tests/t.sh": "true"}, type="script", entry_point="tests/t.sh")`: one runner over these files."""
    settings.ATTUNE_TMP_DIR = tmp_path / "tmp"

    def run_now(files: dict[str, Any], *, cap: float = 100, said: list[str] | None = None, **runner: Any) -> TestResult:
        folder = write({"lib/helper.py": "ANSWER = 42\n", **files})
        before = tree(folder)
        result = testing.run_tests(
            ref="demo",
            version="1.0.0",
            folder=folder,
            testing={"runners": {"it": runner}},
            python=python,
            node_modules=None,
            say=(said if said is not None else []).append,
            timeout_cap=cap,
            hidden=["s3cret-word"],
        )
        assert tree(folder) == before  # nothing is ever written into a pack
        assert list(settings.ATTUNE_TMP_DIR.iterdir()) == []
        json.dumps(result.on_the_wire())
        return result

    return run_now


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def statuses(result: TestResult) -> dict[str, str]:
    return {case.name: str(case.status) for suite in result.suites for case in suite.cases}


def only(result: TestResult) -> Case:
    ((case,),) = [suite.cases for suite in result.suites]
    return case


# Scripts -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "text", "status"),
    [
        ("t.sh", "exit 0", "passed"),
        ("t.sh", "echo no >&2; exit 3", "failed"),
        ("t.py", "import sys; print(sys.version_info)", "passed"),
        ("t.js", "process.exit(1)", "failed"),
        ("t", "true", "passed"),
        ("t.sh", "kill -9 $$", "error"),
    ],
)
def test_a_script_passes_by_its_exit_code(run: Run, name: str, text: str, status: str) -> None:
    result = run({f"tests/{name}": text}, type="script", entry_point=f"tests/{name}")
    assert (only(result).name, str(only(result).status), str(result.status)) == ("it", status, status)


def test_what_a_failing_script_printed_is_in_the_result_and_told_live(run: Run) -> None:
    said: list[str] = []
    script = "echo out; echo s3cret-word oops >&2; exit 3"
    result = run({"tests/t.sh": script}, said=said, type="script", entry_point="tests/t.sh")
    (case,) = result.on_the_wire()["testSuites"][0]["testCases"]
    assert case["errorMessage"] == "It exited with code 3."
    assert (case["stdout"], case["stderr"]) == ("out\n", "******** oops\n")
    assert "out" in said
    assert "******** oops" in said


def test_lines_that_tell_of_cases_are_cases(run: Run) -> None:
    script = """cat <<'END'
TAP version 13
1..6
ok 1 - it adds
not ok 2 - it divides
  ---
  message: 'ok inside is no case'
  ---
ok 3 - it flies # SKIP no wings
not ok 4 - it sings # TODO later
ok   it prints a message
FAIL it ends: exit code 3, output: oops: no
END
exit 1"""
    result = run({"tests/t.sh": script}, type="script", entry_point="tests/t.sh")
    assert statuses(result) == {
        "it adds": "passed",
        "it divides": "failed",
        "it flies": "skipped",
        "it sings": "skipped",
        "it prints a message": "passed",
        "it ends": "failed",
    }
    assert result.suites[0].cases[-1].message == "exit code 3, output: oops: no"
    assert (result.total, result.passed, result.failed, result.skipped, result.pass_rate) == (6, 2, 2, 2, 0.5)


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        ("echo 1..3; echo ok 1 a; exit 0", "error", "It planned 3 tests, and 1 were told of."),
        ("echo ok 1 a; echo 'Bail out! no disk'; exit 0", "error", "It gave up: no disk"),
        ("echo ok 1 a; exit 4", "failed", "It exited with code 4."),
        ("echo ok 1 a; kill -SEGV $$", "error", "It was ended by signal 11."),
    ],
)
def test_a_script_that_does_not_tell_all_has_not_passed(run: Run, script: str, status: str, message: str) -> None:
    result = run({"tests/t.sh": script}, type="script", entry_point="tests/t.sh")
    assert [case.name for case in result.suites[0].cases] == ["a", "it"]
    assert (str(result.status), result.suites[0].cases[-1].message) == (status, message)


def test_a_test_finds_what_an_action_would_and_no_token(
    run: Run, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "x")
    monkeypatch.setenv("ATTUNE_API_TOKEN", "x")
    script = (
        'pwd; echo "$ATTUNE_PACK_REF"; command -v python; touch "$TMPDIR/t" "$HOME/h" "$ATTUNE_ARTIFACTS_DIR/a"; env'
    )
    told = only(run({"tests/t.sh": script}, type="script", entry_point="tests/t.sh")).stdout.splitlines()
    assert told[1:3] == ["demo", str(python)]
    assert Path(told[0]).name == "demo"
    names = {line.partition("=")[0] for line in told[3:]}
    assert not names & {"SECRET_KEY", "ATTUNE_API_TOKEN", "ATTUNE_API_URL", "DATABASE_URL", "DJANGO_SETTINGS_MODULE"}
    assert {"PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH"} <= names


# unittest ------------------------------------------------------------------------------------------------------------
EVERYTHING = """
import os, sys, unittest
import helper
import beside

class Everything(unittest.TestCase):
    def test_passes(self):
        print("some noise")
        self.assertEqual((helper.ANSWER, beside.X), (42, 1))
    def test_fails(self):
        self.assertEqual(1, 2, "s3cret-word")
    def test_raises(self):
        raise KeyError("lost")
    @unittest.skip("not today")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_known(self): self.fail()
    @unittest.expectedFailure
    def test_unexpected(self): pass
    def test_parts(self):
        for n in (1, 2, 3):
            with self.subTest(n=n):
                self.assertNotEqual(n, 2)
    def test_no_server(self):
        for name in ("django", "attune", "results", "scripts"):
            with self.assertRaises(ImportError):
                __import__(name)

class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise RuntimeError("no database")
    def test_never(self): pass
"""


def test_every_outcome_of_unittest_is_told(run: Run) -> None:
    files = {"tests/test_all.py": EVERYTHING, "tests/beside.py": "X = 1\n"}
    result = run(files, type="unittest", entry_point="tests/test_all.py")
    assert {name.rpartition("Everything.")[2]: status for name, status in statuses(result).items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_raises": "failed",
        "test_skipped": "skipped",
        "test_known": "passed",
        "test_unexpected": "failed",
        "test_parts (n=2)": "failed",
        "test_no_server": "passed",
        "setUpClass (test_all.Broken)": "error",
    }
    (failed,) = [case for case in result.suites[0].cases if case.name.endswith("test_fails")]
    assert "AssertionError: 1 != 2" in failed.message
    assert "s3cret-word" not in json.dumps(result.on_the_wire())
    assert str(result.status) == "error"


@pytest.mark.parametrize("entry", ["tests", "tests/", "tests/unit/test_deep.py"])
@pytest.mark.parametrize("packages", [True, False])
def test_tests_are_found_in_files_and_folders_however_they_are_laid_out(run: Run, entry: str, packages: bool) -> None:
    files = {"tests/unit/test_deep.py": "from lib import helper\n" + PASSING, "lib/__init__.py": ""}
    files |= {"tests/__init__.py": "", "tests/unit/__init__.py": ""} if packages else {}
    if not packages and not entry.endswith(".py"):
        entry = "tests/unit"
    assert list(statuses(run(files, type="unittest", entry_point=entry)).values()) == ["passed"]


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("x = 1\n", "error", "No tests were found"),
        ("import nowhere\n", "error", "No module named 'nowhere'"),
        ("def f(:\n", "error", "SyntaxError"),
        ("import sys\nsys.exit(0)\n", "error", "SystemExit: 0"),
        ("import os\nos._exit(0)\n", "error", "It exited with code 0."),
    ],
)
def test_a_file_without_tests_has_not_passed(run: Run, text: str, status: str, message: str) -> None:
    case = only(run({"tests/test_x.py": text}, type="unittest", entry_point="tests/test_x.py"))
    assert str(case.status) == status
    assert message in case.message


def test_a_test_that_takes_its_process_along_is_named_and_those_before_it_are_kept(run: Run) -> None:
    crash = PASSING + "    def test_two(self):\n        import os; os._exit(0)\n    def test_zero(self): pass\n"
    result = run({"tests/test_x.py": crash}, type="unittest", entry_point="tests/test_x.py")
    assert list(statuses(result).values()) == ["passed", "error"]
    assert result.suites[0].cases[-1].message == "It exited with code 0. It was in test_x.Sums.test_two."


# Endings -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("limit", ["its own", "that of all"])
def test_what_hangs_is_stopped_with_all_it_started(run: Run, tmp_path: Path, limit: str) -> None:
    told = tmp_path / "pid"
    script = f"setsid sleep 600 & echo $! > {told}; echo begun; sleep 600"
    limits: dict[str, Any] = {"timeout": 3} if limit == "its own" else {"cap": 3}
    result = run({"tests/t.sh": script}, type="script", entry_point="tests/t.sh", **limits)
    assert str(result.status) == "error"
    assert "and was stopped" in only(result).message
    until(lambda: not is_alive(int(told.read_text())), "the end of the child")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_that_goes_on_holds_nobody_up(run: Run, tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path / 'pid'}"
    assert str(run({"tests/t.sh": script}, type="script", entry_point="tests/t.sh").status) == "passed"
    until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the end of the child")


def test_a_flood_is_stopped_and_only_its_ends_are_kept(run: Run) -> None:
    said: list[str] = []
    result = run({"tests/t.sh": "echo first; yes 0123456789"}, said=said, type="script", entry_point="tests/t.sh")
    assert str(result.status) == "error"
    assert "more than 32 MiB" in only(result).message
    assert only(result).stdout.startswith("first\n")
    assert len(json.dumps(result.on_the_wire())) < 20_000
    assert len(said) < 6000


def test_bytes_that_no_database_can_keep_are_replaced(run: Run) -> None:
    result = run(
        {"tests/t.sh": r"printf 'a\0b\377 \303\251 \xed\xa0\x80'; exit 1"}, type="script", entry_point="tests/t.sh"
    )
    text = result.on_the_wire()["testSuites"][0]["testCases"][0]["stdout"]
    assert "\0" not in text
    assert "é" in text
    text.encode()


@pytest.mark.parametrize(
    ("runner", "words"),
    [
        ({"type": "script", "entry_point": "tests/gone.sh"}, "Its entry point tests/gone.sh is not there"),
        ({"type": "script", "entry_point": "tests"}, "is a folder; name the script"),
        ({"type": "script"}, "names no `entry_point`"),
        ({"type": "script", "entry_point": "../../etc/passwd"}, "names no `entry_point` within the pack"),
        ({"type": "script", "entry_point": "tests/out"}, "leads out of the pack"),
        ({"type": "jest", "entry_point": "tests"}, "Its type is 'jest'; use script, unittest, pytest"),
        ("tests/run.sh", "Its type is ''"),
    ],
)
def test_a_runner_that_cannot_be_run_says_why(write: Write, python: Path, runner: Any, words: str) -> None:
    folder = write({"tests/x.sh": ""})
    (folder / "tests" / "out").symlink_to("/bin/true")
    result = testing.run_tests(
        ref="demo", version="1", folder=folder, testing={"runners": {"it": runner}}, python=python
    )
    assert str(only(result).status) == "error"
    assert words in only(result).message
    assert testing.blocks(result, {})


def test_a_runner_without_time_left_says_so(write: Write, python: Path) -> None:
    runners = {"it": {"type": "script", "entry_point": "t.sh"}}
    folder = write({"t.sh": ""})
    result = testing.run_tests(
        ref="demo", version="1", folder=folder, testing={"runners": runners}, python=python, timeout_cap=0
    )
    assert "no time left" in only(result).message


@pytest.mark.parametrize("given", [{}, {"runners": {}}, {"enabled": False, "runners": {"a": {"type": "script"}}}])
def test_no_tests_are_none_and_block_nothing(tmp_path: Path, python: Path, given: dict[str, Any]) -> None:
    assert not testing.has_tests(given)
    result = testing.run_tests(ref="demo", version="1", folder=tmp_path, testing=given, python=python)
    assert (str(result.status), result.total) == ("skipped", 0)
    assert testing.blocks(result, given) == ""


def test_the_packs_that_ship_pass_their_own_tests(python: Path, settings: Any, tmp_path: Path) -> None:
    settings.ATTUNE_TMP_DIR = tmp_path / "tmp"
    for folder in (ROOT / "packs" / "core", ROOT / "packs" / "examples" / "hello_python"):
        manifest = parse((folder / "pack.yaml").read_bytes()).data
        built = environments.ensure_python(Wanted(ref=manifest["ref"], folder=folder))
        result = testing.run_tests(
            ref=manifest["ref"],
            version=manifest["version"],
            folder=folder,
            testing=manifest["testing"],
            python=built.interpreter,
        )
        assert str(result.status) == "passed", result.problems
        assert result.total >= 3


# pytest --------------------------------------------------------------------------------------------------------------
PYTEST = """
import helper, pytest

@pytest.fixture
def broken(): raise RuntimeError("no fixture")

@pytest.mark.parametrize("n", [1, 2])
def test_numbers(n, tmp_path): assert n == 1
def test_skipped(): pytest.skip("not today")
def test_broken(broken): pass
class TestClass:
    def test_method(self, capsys):
        print("noise"); assert helper.ANSWER == 43
"""


def test_pytest_runs_in_an_environment_beside_the_packs_own(run: Run, settings: Any, tmp_path: Path) -> None:
    settings.ATTUNE_ENVS_DIR = tmp_path / "environments"
    result = run({"tests/test_x.py": PYTEST}, type="pytest", entry_point="tests")
    assert statuses(result) == {
        "tests.test_x.test_numbers[1]": "passed",
        "tests.test_x.test_numbers[2]": "failed",
        "tests.test_x.test_skipped": "skipped",
        "tests.test_x.test_broken": "error",
        "tests.test_x.TestClass.test_method": "failed",
    }
    wire = {case["name"]: case for case in result.on_the_wire()["testSuites"][0]["testCases"]}
    assert "assert 42 == 43" in wire["tests.test_x.TestClass.test_method"]["errorMessage"]
    for files, message in (
        ({"tests/test_x.py": ""}, "No tests were found"),
        ({"tests/test_x.py": "import nowhere"}, "No module named 'nowhere'"),
        ({"tests/test_x.py": "import os\nos._exit(3)"}, "It exited with code 3."),
    ):
        case = only(run(files, type="pytest", entry_point="tests"))
        assert str(case.status) == "error"
        assert message in case.message + case.stdout


def test_a_report_that_pytest_would_not_write_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "report").write_text('<!DOCTYPE x [<!ENTITY a "b">]><testsuites><testcase name="&a;"/></testsuites>')
    (case,) = pytests.cases("it", Outcome(0), tmp_path / "report")
    assert str(case.status) == "error"


# What follows --------------------------------------------------------------------------------------------------------
def result_of(*statuses: Status, mask: Mask | None = None) -> TestResult:
    cases = [Case(f"case {number}", status, message=f"why\n{number}") for number, status in enumerate(statuses)]
    return TestResult("demo", "1.0.0", timezone.now(), 12, [Suite("it", "script", cases, 12)], mask or Mask(()))


P, F, S, E = Status.PASSED, Status.FAILED, Status.SKIPPED, Status.ERROR


@pytest.mark.parametrize(
    ("result", "manifest", "sentence"),
    [
        (result_of(P, P), {}, ""),
        (result_of(P, S), {}, ""),
        (result_of(S), {}, ""),
        (result_of(P, F), {}, "demo 1.0.0 passed at 50%, and 100% is asked for: case 1: 1."),
        (result_of(P, F), {"on_failure": "block", "min_pass_rate": 0.5}, ""),
        (result_of(P, F), {"min_pass_rate": 60}, "passed at 50%, and 60% is asked for"),
        (result_of(P, F), {"min_pass_rate": "high"}, "100% is asked for"),
        (result_of(P, F), {"on_failure": "warn"}, ""),
        (result_of(P, F), {"on_failure": "sing"}, "100% is asked for"),
        (result_of(P, P, E), {"min_pass_rate": 0}, "could not be run to their end: case 2: 2."),
        (result_of(F, F, F, F, F), {}, "case 2: 2. And 2 more."),
    ],
)
def test_too_few_that_pass_block_unless_the_manifest_is_lenient(
    result: TestResult, manifest: dict[str, Any], sentence: str
) -> None:
    said = testing.blocks(result, manifest)
    assert sentence in said
    assert bool(said) == bool(sentence)


def test_a_result_has_the_shape_of_the_wire() -> None:
    wire = result_of(P, F).on_the_wire()
    assert wire.pop("executionTime").endswith("+00:00")
    assert wire == {
        "packRef": "demo",
        "packVersion": "1.0.0",
        "status": "failed",
        "totalTests": 2,
        "passed": 1,
        "failed": 1,
        "skipped": 0,
        "passRate": 0.5,
        "durationMs": 12,
        "testSuites": [
            {
                "name": "it",
                "runnerType": "script",
                "total": 2,
                "passed": 1,
                "failed": 1,
                "skipped": 0,
                "durationMs": 12,
                "testCases": [
                    {"name": "case 0", "status": "passed", "durationMs": 0, "errorMessage": "why\n0"},
                    {"name": "case 1", "status": "failed", "durationMs": 0, "errorMessage": "why\n1"},
                ],
            }
        ],
    }


def test_of_very_many_cases_those_that_failed_are_listed_in_any_case() -> None:
    wire = result_of(*[P] * 3000, F).on_the_wire()
    (suite,) = wire["testSuites"]
    assert (suite["total"], len(suite["testCases"]), suite["testCases"][0]["status"]) == (3001, 2000, "failed")


@pytest.mark.django_db
def test_a_result_is_kept_as_a_row() -> None:
    kept = testing.keep(result_of(P, F, S, mask=Mask(["case 1"])), reason="manual")
    row = PackTest.objects.get(pk=kept.pk)
    assert (row.pack_ref, row.status, row.total, row.passed, row.failed, row.skipped) == ("demo", "failed", 3, 1, 1, 1)
    assert (row.pass_rate, row.trigger_reason, row.result["testSuites"][0]["testCases"][1]["name"]) == (
        0.5,
        "manual",
        "********",
    )


def test_the_runner_of_unittest_can_be_read_by_older_pythons() -> None:
    source = Path(testing.__file__).with_name("unittest-runner.py").read_text()
    ast.parse(source, feature_version=(3, 8))
