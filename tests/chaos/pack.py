"""The pack that the chaos tests run: actions that write down for themselves when they began and ended.

Each line of the ledger is one write to a file opened for appending: `START <execution> <attempt> <time> <pid>`, so
lines of many processes never mix, and what is in it was really done, whatever the rows say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import write_pack

MANY_RULES = 10  # of the trigger `crowded`; so many that a worker decides, not the web server

# `work` takes its time and may fail; `fork` leaves a child that fled its session; the rest print too much or oddly.
_SCRIPTS = {
    "work": """
mark START
sleep "${ATTUNE_ACTION_SECONDS:-0}"
[ "${ATTUNE_ACTION_FAIL:-}" = true ] && { mark END; exit 3; }
mark END
""",
    "fork": """
mark START
( setsid bash -c 'while :; do
    echo "BEAT $ATTUNE_EXEC_ID ${TMPDIR##*-} $EPOCHREALTIME $$" >> "@ledger@"; sleep 0.2
  done' </dev/null >/dev/null 2>&1 & )
sleep 60
mark END
""",
    "say": """
mark START
head -c "$ATTUNE_ACTION_BYTES" /dev/zero | tr '\\0' x
mark END
""",
    "yes": """
mark START
timeout "$ATTUNE_ACTION_SECONDS" yes 'This line is said again and again.'
mark END
""",
    "mute": """
mark START
exec >&- 2>&-
sleep 0.5
mark END
""",
    "hold": """
mark START
sleep 60 &
echo "said before the end"
mark END
""",
}
_MARK = 'mark() { echo "$1 $ATTUNE_EXEC_ID ${TMPDIR##*-} $EPOCHREALTIME $$" >> "@ledger@"; }\n'
_PARAMETERS: dict[str, Any] = {
    "seconds": {"type": "number", "default": 0},
    "fail": {"type": "boolean", "default": False},
    "bytes": {"type": "integer", "default": 0},
}


def write(folder: Path, ledger: Path) -> Path:
    """Write the pack `chaos` there; its actions write to that ledger."""
    files: dict[str, Any] = {}
    for name, script in _SCRIPTS.items():
        files[f"actions/{name}.sh"] = "#!/bin/bash\n" + (_MARK + script.lstrip()).replace("@ledger@", str(ledger))
        files[f"actions/{name}.yaml"] = _action(name)
    files["actions/again.yaml"] = _action("again") | {"entry_point": "work.sh", "idempotent": True}
    files["actions/retried.yaml"] = _action("retried") | {"entry_point": "work.sh", "max_retries": 1}
    for trigger in ("happened", "crowded"):
        files[f"triggers/{trigger}.yaml"] = {"ref": f"chaos.{trigger}", "label": trigger}
    files["rules/act.yaml"] = _rule("act", "happened")
    files["rules/never.yaml"] = _rule("never", "happened", criteria={"var": "payload.n", "<": 0})
    for number in range(MANY_RULES):
        given = {"action_ref": "chaos.again"} if number == 0 else {"criteria": {"var": "payload.n", "<": 0}}
        files[f"rules/crowd_{number}.yaml"] = _rule(f"crowd_{number}", "crowded", **given)
    return write_pack(folder / "chaos", "chaos", files)


def _action(name: str) -> dict[str, Any]:
    return {
        "ref": f"chaos.{name}",
        "entry_point": f"{name}.sh",
        "runner_type": "shell",
        "parameter_delivery": "env",
        "parameters": {"type": "object", "properties": _PARAMETERS},
    }


def _rule(name: str, trigger: str, **given: Any) -> dict[str, Any]:
    seconds = "{{ payload.seconds | default(0) }}"
    wanted = {"trigger_ref": f"chaos.{trigger}", "action_ref": "chaos.work", "action_params": {"seconds": seconds}}
    return {"ref": f"chaos.{name}", "label": name} | wanted | given
