"""Run the unittest tests of a pack: unittest-runner.py REPORT FOLDER ENTRY_POINT.

Started by the Python of the pack, which need not be ours. The report has a line of JSON for each test as it begins and
as it ends, and one at the end of all; it is written as we go, for a test may end the whole process.
"""

import sys

sys.path.pop(0)  # our own folder is not for tests to import from

import json
import time
import traceback
import unittest
from pathlib import Path


class Report(unittest.TestResult):
    """Tells of each test; one with subtests that fail is told of for each of those."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.began = 0.0
        self.told = False

    def tell(self, **line):
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def end(self, test, status, message=""):
        self.told = True
        duration = int((time.perf_counter() - self.began) * 1000) if self.began else 0
        self.tell(name=name_of(test), status=status, duration_ms=duration, message=message)

    def startTest(self, test):
        super().startTest(test)
        self.began, self.told = time.perf_counter(), False
        self.tell(begun=name_of(test))

    def stopTest(self, test):
        super().stopTest(test)
        self.began = 0.0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.end(test, "passed")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.end(test, "failed", self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        is_test = isinstance(test, unittest.TestCase) and type(test).__name__ != "_FailedTest"  # else an import failed
        self.end(test, "failed" if is_test else "error", self.errors[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.end(test, "skipped", str(reason))

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.end(test, "passed")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.end(test, "failed", "It was expected to fail, and did not.")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.end(subtest, "failed", "".join(traceback.format_exception(*err)))


def name_of(test):
    try:
        return test.id()
    except Exception:
        return str(test)


def tests_in(folder, entry):
    """The tests of a file, or of all test*.py below a folder, imported as `python -m unittest` does from the pack."""
    sys.path.insert(0, str(folder))
    start, pattern = (entry, "test*.py") if entry.is_dir() else (entry.parent, entry.name)
    top = start
    while top != folder and (top / "__init__.py").is_file():
        top = top.parent
    return unittest.defaultTestLoader.discover(str(start), pattern=pattern, top_level_dir=str(top))


def main(report, folder, entry):
    with report.open("w", encoding="utf-8") as file:
        result = Report(file)
        tests_in(folder, entry).run(result)
        result.tell(ran=result.testsRun)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
