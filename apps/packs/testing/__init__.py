"""Run a pack's own tests, as its manifest's `testing` says, in the environment that its code has."""

from apps.packs.testing.keeping import blocks, keep
from apps.packs.testing.results import Case, Suite, TestResult
from apps.packs.testing.running import DEFAULT_TIMEOUT, has_tests, run_tests

__all__ = ["DEFAULT_TIMEOUT", "Case", "Suite", "TestResult", "blocks", "has_tests", "keep", "run_tests"]
