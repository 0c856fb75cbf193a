"""Actions written with the official SDK, in an environment built for their pack, against the running server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import write_pack
from tests.live import Live, wait

ACTION = """
import json, os
import attune
from attune.api_client import models
from attune.api_client.api.events import create_event
from attune.api_client.api.executions import create_execution, get_execution
from attune.api_client.api.packs import list_packs
from attune.api_client.api.secrets import get_key
from from_lib import ANSWER

def main(name="nobody"):
    client, context = attune.context.client, attune.context
    echo = {"action_ref": "core.echo", "parameters": {"message": name}, "env_vars": {}}
    child = models.CreateExecutionRequest.from_dict(echo)
    own = models.CreateEventRequest.from_dict({"trigger_ref": "demo.done", "payload": {"n": 1}})
    foreign = models.CreateEventRequest.from_dict({"trigger_ref": "core.webhook", "payload": {}})
    with open(os.path.join(context.artifacts_dir, "token"), "w") as file:
        file.write(context.api_token)
    return {
        "own": get_execution.sync(int(context.execution_id), client=client).data.status,
        "child": json.loads(create_execution.sync_detailed(client=client, body=child).content)["id"],
        "key": (value := get_key.sync("demo.credentials", client=client).data.value),
        "spelled": "-".join(value["u"]),
        "event": create_event.sync_detailed(client=client, body=own).status_code,
        "foreign": create_event.sync_detailed(client=client, body=foreign).status_code,
        "packs": list_packs.sync_detailed(client=client).status_code,
        "lib": ANSWER,
        "action": context.action_ref,
    }

attune.run_action(main)
"""
FAILING = "import attune\n\ndef main():\n    raise ValueError('no such host')\n\nattune.run_action(main)\n"


def definition(name: str) -> dict[str, object]:
    return {
        "ref": f"demo.{name}",
        "runner_type": "python",
        "entry_point": f"{name}.py",
        "parameter_delivery": "stdin",
        "parameter_format": "json",
        "output_format": "json",
        "parameters": {"name": {"type": "string", "default": "bob"}} if name == "work" else {},
    }


@pytest.fixture
def packs(tmp_path: Path, live: Live) -> None:
    folder = write_pack(
        tmp_path / "packs" / "demo",
        "demo",
        {
            "requirements.txt": "attune-sdk==0.5.4\n",
            "lib/from_lib.py": "ANSWER = 42\n",
            "triggers/done.yaml": {"ref": "demo.done", "output": {"n": {"type": "integer"}}},
            "actions/work.yaml": definition("work"),
            "actions/work.py": ACTION,
            "actions/fail.yaml": definition("fail"),
            "actions/fail.py": FAILING,
        },
    )
    live.start_all()
    try:
        live.manage("load_pack", str(folder))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"The SDK cannot be fetched here: {error.stderr[-300:]}")


@pytest.mark.timeout(300)
def test_an_sdk_action_reaches_what_is_its_own_while_it_runs_and_nothing_afterwards(packs, live, tmp_path):
    live.call(
        "POST",
        "/api/v1/keys",
        {
            "ref": "demo.credentials",
            "name": "k",
            "owner_type": "pack",
            "owner_pack_ref": "demo",
            "value": {"u": "anna"},
        },
    )
    asked = live.call("POST", "/api/v1/executions/execute", {"action_ref": "demo.work", "parameters": {}})["id"]
    done = wait(lambda: ended(live, asked), "the end of the action")
    assert done["status"] == "completed", done["error"]
    data = done["result"]["data"]
    child = data.pop("child")
    assert data == {
        "own": "running",
        "key": {"u": "********"},
        "spelled": "a-n-n-a",
        "event": 201,
        "foreign": 403,
        "packs": 403,
        "lib": 42,
        "action": "demo.work",
    }
    born = wait(lambda: ended(live, child), "the end of its child")
    assert (born["parent"], born["result"]["stdout"]) == (asked, "bob\n")
    assert [row["id"] for row in live.executions(parent=str(asked))] == [child]
    live.token = next(tmp_path.rglob("artifacts/token")).read_text()
    live.call("GET", f"/api/v1/executions/{asked}", expect=401)


@pytest.mark.timeout(300)
def test_an_sdk_action_that_raises_says_so_on_stdout_and_that_is_the_error(packs, live):
    asked = live.call("POST", "/api/v1/executions/execute", {"action_ref": "demo.fail", "parameters": {}})["id"]
    done = wait(lambda: ended(live, asked), "the end of the action")
    assert (done["status"], done["error"]) == ("failed", "no such host")
    assert done["result"]["data"] == {"success": False, "error": "no such host"}


def ended(live: Live, number: int) -> dict | None:
    row = live.call("GET", f"/api/v1/executions/{number}")["data"]
    return row if row["finished_at"] else None
