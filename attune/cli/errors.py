"""What can go wrong, each with the exit code that scripts see and, where there is one, the next thing to do."""

from __future__ import annotations

from typing import Any

EXIT_CODES = {
    0: "it went well",
    1: "it failed: an execution, an installation, a check that found faults",
    2: "the command was not understood",
    3: "there is no such thing",
    4: "not signed in, or not allowed",
    5: "the server cannot be reached, or is out of order",
    8: "it took longer than you wanted to wait",
    130: "interrupted (Ctrl-C)",
}


class CommandError(Exception):
    """Ends a command: what happened, further lines (faults, what is in the way), and what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, lines: list[str] | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.lines, self.hint = message, lines or [], hint


class Misused(CommandError):
    exit_code = 2


class NotFound(CommandError):
    exit_code = 3


class NotAllowed(CommandError):
    exit_code = 4


class Unreachable(CommandError):
    exit_code = 5


class TookTooLong(CommandError):
    exit_code = 8


def from_answer(status: int, body: Any, *, signed_in: bool) -> CommandError:
    """The error that the server's answer tells of: `{"error", "message", "details"?: {"faults"?: […], …}}`."""
    told = body if isinstance(body, dict) else {}
    details = told["details"] if isinstance(told.get("details"), dict) else {}
    message = str(told.get("message") or f"The server answered with status {status}, and without a reason.")
    lines = lines_of(details, told=message)
    if status == 401:
        said = "The session is over, or the token is not good any more." if signed_in else "You are not signed in."
        return NotAllowed(said, hint="Sign in: attune auth login")
    if status == 403:
        return NotAllowed(message, lines=lines, hint="See who you are and what you may do: attune auth whoami")
    if status == 404:
        return NotFound(message, lines=lines)
    if status >= 500:
        return Unreachable(message, lines=lines)
    hint = f"Try again in {details['retry_after']} seconds." if status == 429 and "retry_after" in details else ""
    return CommandError(message, lines=lines, hint=hint)


def lines_of(details: dict[str, Any], *, told: str = "") -> list[str]:
    """A line for each fault and for each thing that is in the way; what the message has told already is left out."""
    lines: list[str] = []
    for name, found in details.items():
        for item in found if isinstance(found, list) else []:
            if isinstance(item, dict):
                said = item.get("message") or item.get("reason") or ""
                lines += [] if said and said in told else [line_of(item)]
            elif str(item) not in told:
                lines.append(f"{name}: {item}")
    return lines


def line_of(fault: dict[str, Any]) -> str:
    """A fault as compilers print it: `actions/x.yaml:12: message`, `config.count: …`, `rule home.say: …`."""
    named = " ".join(str(fault[name]) for name in ("kind", "ref") if fault.get(name))
    place = str(fault.get("file") or fault.get("path") or named)
    line = f":{fault['line']}" if fault.get("line") else ""
    message = str(fault.get("message") or fault.get("reason") or "")
    return f"{place}{line}: {message}" if place or line else message
