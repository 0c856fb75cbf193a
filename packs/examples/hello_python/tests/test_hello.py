"""Tests of hello_python; they run in the pack's environment: python tests/test_hello.py"""

import json
import subprocess
import sys
import unittest
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent


def run_action(parameters: dict) -> subprocess.CompletedProcess[str]:
    """Run the action as Attune does: its parameters are one line of JSON on stdin."""
    command = [sys.executable, str(PACK / "actions" / "describe_size.py")]
    return subprocess.run(command, input=json.dumps(parameters) + "\n", capture_output=True, text=True, check=False)


class DescribeSizeTest(unittest.TestCase):
    def test_a_size_is_said_as_people_do(self) -> None:
        self.assertEqual(json.loads(run_action({"bytes": 1500000}).stdout), {"bytes": 1500000, "text": "1.5 MB"})

    def test_it_can_count_in_powers_of_two(self) -> None:
        self.assertEqual(json.loads(run_action({"bytes": 2048, "binary": True}).stdout)["text"], "2.0 KiB")

    def test_nonsense_is_refused_with_a_sentence(self) -> None:
        outcome = run_action({"bytes": -1})
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("bytes must be a whole number", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
