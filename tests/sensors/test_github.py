"""GitHub's own example deliveries, signed as GitHub signs them, from real HTTP to the end of the action."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import Any

from tests.live import Live, wait

SAMPLES = sorted((Path(__file__).parent.parent / "data" / "webhooks").glob("github_*.json"))
SECRET = "It's a Secret to Everybody"
OPENED_IN_EVERY_NOTATION: dict[str, Any] = {
    "seeds": {"var": "payload.action", "==": "opened"},
    "jsonlogic": {"==": [{"var": "payload.action"}, "opened"]},
    "list": [{"field": "action", "operator": "equals", "value": "opened"}],
    "stackstorm": {"trigger.action": {"type": "equals", "pattern": "opened"}},
}


def delivery(sample: Path, *, secret: str = SECRET, number: str = "") -> tuple[bytes, dict[str, str]]:
    """The raw body of a sample, and the headers that GitHub sends with it."""
    body = sample.read_bytes()
    return body, {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Event": sample.stem.removeprefix("github_"),
        "X-GitHub-Delivery": number or str(uuid.uuid4()),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }


def test_of_githubs_deliveries_a_rule_acts_on_those_it_wants_each_once_in_every_notation(live: Live) -> None:
    live.start_all()
    live.call("POST", "/api/v1/packs", {"ref": "hub", "label": "Hub", "version": "1.0.0"})
    live.call("POST", "/api/v1/triggers", {"ref": "hub.delivery", "label": "A delivery"})
    address = f"/api/v1/webhooks/{live.call('POST', '/api/v1/triggers/hub.delivery/webhooks/enable')['webhook_key']}"
    live.call("PUT", "/api/v1/triggers/hub.delivery/webhooks", {"scheme": "github", "secret": SECRET})
    for name, criteria in OPENED_IN_EVERY_NOTATION.items():
        rule = {
            "ref": f"hub.{name}",
            "label": name,
            "trigger_ref": "hub.delivery",
            "criteria": criteria,
            "action_ref": "core.echo",
            "action_params": {"message": "{{ event.headers['x-github-event'] }} of {{ payload.sender.login }}"},
        }
        live.call("POST", "/api/v1/rules", rule)

    said = {sample: live.post(address, *delivery(sample, number=f"first-{sample.stem}")) for sample in SAMPLES}
    assert {status for status, _ in said.values()} == {202}
    again = {sample: live.post(address, *delivery(sample, number=f"first-{sample.stem}")) for sample in SAMPLES}
    assert {sample: body["event_id"] for sample, (_, body) in again.items()} == {
        sample: body["event_id"] for sample, (_, body) in said.items()
    }
    status, refused = live.post(address, *delivery(SAMPLES[0], secret="a guess"))
    assert (status, refused["error"]) == (401, "invalid_signature")
    body, headers = delivery(SAMPLES[0])
    assert live.post(address, body + b" ", headers)[0] == 401

    opened = [sample for sample in SAMPLES if json.loads(sample.read_bytes()).get("action") == "opened"]
    assert 0 < len(opened) < len(SAMPLES)
    wanted = {(f"hub.{name}", sample.stem) for name in OPENED_IN_EVERY_NOTATION for sample in opened}
    wait(lambda: len([e for e in live.executions() if e["status"] == "completed"]) == len(wanted), "the executions")
    wait(lambda: all(event["processed_at"] for event in live.events()), "all events to be decided on")
    sample_of = {body["event_id"]: sample.stem for sample, (_, body) in said.items()}
    assert len(live.events()) == len(SAMPLES)
    assert sorted((e["rule_ref"], sample_of[e["event"]]) for e in live.executions()) == sorted(wanted)
    shown = live.call("GET", f"/api/v1/executions/{live.executions()[0]['id']}")["data"]
    assert shown["result"]["data"].strip() == f"{sample_of[shown['event']].removeprefix('github_')} of Codertocat"
    verdicts = live.call("GET", f"/api/v1/events/{said[SAMPLES[0]][1]['event_id']}/verdicts")["items"]
    assert {verdict["rule_ref"] for verdict in verdicts} == {f"hub.{name}" for name in OPENED_IN_EVERY_NOTATION}
