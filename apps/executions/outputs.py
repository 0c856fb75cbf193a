"""Read what an action printed: parse it, check it, and say what went wrong in one sentence. Pure."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from attune.lib import schemas, strictjson, yamlfiles
from attune.lib.errors import AttuneError

DEEPEST = 100  # levels of nesting
YAML_LIMITS = yamlfiles.Limits(size=10 * 1024 * 1024, depth=DEEPEST, nodes=200_000)
_STANDARD_KEYS = frozenset({"stdout", "stderr", "exit_code", "duration_ms"})


@dataclass(frozen=True)
class Outcome:
    """The end of a run: whether it succeeded, what it gave, and the error in words (empty when it succeeded)."""

    ok: bool
    result: Any
    error: str = ""


class Unreadable(ValueError):
    """stdout is not what the action's `output_format` says."""


def read_outcome(
    stdout: bytes, stderr: str, *, exit_code: int, format: str, schema: dict[str, Any], cut: bool = False
) -> Outcome:
    """Judge a run that ended by itself (contract: Output).

    `stdout` is all that was printed, or its beginning when `cut`; `stderr` at least its end. For text the result is the
    stdout; else the parsed document, None where nothing was printed. A failed run keeps its stdout, parsed if it
    parses.
    """
    text = stdout.decode("utf-8", "replace")
    if exit_code != 0:
        result = _parsed_or_text(text, format)
        return Outcome(False, result, _why_it_failed(exit_code, stderr, result))
    if format == "text":
        return Outcome(True, text)
    if not text.strip():
        return Outcome(True, None)
    if cut:
        return Outcome(False, None, f"The output is longer than what is kept, so it cannot be read as {format}.")
    try:
        data = parse(text, format)
    except Unreadable as error:
        return Outcome(False, text, f"{error} Print nothing but {format} on stdout, or change `output_format`.")
    if schema and not _describes_the_run(schema):
        try:
            schemas.check(schema, data, closed=False, noun="field")
        except AttuneError as error:
            return Outcome(False, data, f"The output does not meet the action's output_schema: {error.message}")
    return Outcome(True, data)


def parse(text: str, format: str) -> Any:
    """The document in `text`. JSON falls back to the last line, JSONL gives a list. Raises Unreadable, a sentence."""
    if format == "json":
        try:
            return _json(text)
        except Unreadable:
            _, newline, last = text.rstrip().rpartition("\n")
            if newline:
                with suppress(Unreadable):
                    return _json(last)
            raise
    if format == "jsonl":
        numbered = enumerate(text.split("\n"), start=1)
        return [_json(line, f"Line {number} of the output") for number, line in numbered if line.strip()]
    if format == "yaml":
        try:
            return yamlfiles.parse(text, limits=YAML_LIMITS).data
        except yamlfiles.InvalidYaml as error:
            raise Unreadable(f"The output cannot be read as YAML: {_one_line(error.message)}.") from None
    return text


def exit_code_of(returncode: int) -> int:
    """The shell's way of saying it: 128 + the signal's number for a program that a signal ended."""
    return returncode if returncode >= 0 else 128 - returncode


def _json(text: str, what: str = "The output") -> Any:
    try:
        return strictjson.read_text(text.removeprefix("\ufeff"), max_depth=DEEPEST)
    except strictjson.BadJson as error:
        raise Unreadable(f"{what} {_one_line(str(error))}.") from None


def _one_line(message: str) -> str:
    return " ".join(message.split())[:300]


def _parsed_or_text(text: str, format: str) -> Any:
    if format == "text" or not text.strip():
        return text
    try:
        return parse(text, format)
    except Unreadable:
        return text


def _why_it_failed(exit_code: int, stderr: str, result: Any) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if lines:
        return lines[-1][:2000]
    if isinstance(result, dict) and isinstance(result.get("error"), str) and result["error"].strip():
        return result["error"].strip()[:2000]
    if exit_code > 128:
        try:
            return f"Ended by signal {signal.Signals(exit_code - 128).name} (exit code {exit_code})."
        except ValueError:
            pass
    return f"exited with code {exit_code}"


def _describes_the_run(schema: dict[str, Any]) -> bool:
    """The older shape `{stdout, exit_code}`, which describes what Attune keeps and not what the action printed."""
    properties = schema.get("properties") or {}
    return bool(properties) and "exit_code" in properties and set(properties) <= _STANDARD_KEYS
