"""Tests of __pack__, in the pack's own environment: python tests/test_greet.py"""

import json
import subprocess
import sys
import unittest
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent


def run_action(parameters: dict) -> subprocess.CompletedProcess[str]:
    """Run the action as Attune does: its parameters are one line of JSON on stdin."""
    command = [sys.executable, str(PACK / "actions" / "greet.py")]
    return subprocess.run(command, input=json.dumps(parameters) + "\n", capture_output=True, text=True, check=False)


class GreetTest(unittest.TestCase):
    def test_somebody_is_greeted(self) -> None:
        self.assertEqual(run_action({"name": "Ada"}).stdout, "Hello, Ada!\n")

    def test_the_greeting_can_be_chosen(self) -> None:
        self.assertEqual(run_action({"name": "Ada", "greeting": "Salut"}).stdout, "Salut, Ada!\n")

    def test_nobody_is_refused_with_a_sentence(self) -> None:
        outcome = run_action({})
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("give a name", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
