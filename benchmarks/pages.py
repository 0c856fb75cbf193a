"""How long pages and lists take to come, in the API and the admin."""

from __future__ import annotations

import http.client
import re
import statistics
import time
from urllib.parse import urlencode

from benchmarks.installation import PASSWORD, Installation

ROUNDS = 5
_RULE = "bench_adhoc.rule7"
API = {
    "executions": "/api/v1/executions",
    "executions, page 15,000": "/api/v1/executions?page=15000",
    "executions before one": "/api/v1/executions?before=1200000",
    "executions, capped total": "/api/v1/executions?include_total=true",
    "executions of a rule": f"/api/v1/executions?rule_ref={_RULE}",
    "executions of a rule, page 100": f"/api/v1/executions?rule_ref={_RULE}&page=100",
    "executions of a seldom action": "/api/v1/executions?action_ref=bench.seldom",
    "executions of a pack": "/api/v1/executions?pack_name=bench",
    "executions of an absent pack": "/api/v1/executions?pack_name=nowhere",
    "executions failed": "/api/v1/executions?status=failed",
    "executions running": "/api/v1/executions?status=running",
    "executions by trace tag": "/api/v1/executions?trace_tag=trace-500000",
    "executions of an absent trigger": "/api/v1/executions?trigger_ref=no.where",
    "events": "/api/v1/events",
    "events, page 15,000": "/api/v1/events?page=15000",
    "events by trace tag": "/api/v1/events?trace_tag=trace-500000",
    "events of an absent rule": "/api/v1/events?rule_ref=no.where",
    "events of an absent source": "/api/v1/events?source=nobody",
    "enforcements": "/api/v1/enforcements",
    "enforcements, page 15,000": "/api/v1/enforcements?page=15000",
    "enforcements of a rule": f"/api/v1/enforcements?rule_ref={_RULE}",
    "enforcements that failed": "/api/v1/enforcements?verdict=error",
    "enforcements of an absent trigger": "/api/v1/enforcements?trigger_ref=no.where",
    "enforcements by trace tag": "/api/v1/enforcements?trace_tag=trace-500000",
}
WALKED = {  # these walk over all rows before them, as docs/performance.md says; cursors do not
    "API: executions, page 15,000",
    "API: events, page 15,000",
    "API: enforcements, page 15,000",
}
ADMIN = {
    "home": "/admin/",
    "home, 24 hours": "/admin/?span=24h",
    "executions": "/admin/executions/execution/",
    "executions, last page": "/admin/executions/execution/?p=40",
    "executions of a rule": f"/admin/executions/execution/?rule_ref={_RULE}",
    "executions of an absent rule": "/admin/executions/execution/?rule_ref=no.where*",
    "executions of an absent trigger": "/admin/executions/execution/?trigger_ref=no.where",
    "executions that went wrong": "/admin/executions/execution/?status=bad",
    "executions of the last hour": "/admin/executions/execution/?since=1h",
    "executions of seven days": "/admin/executions/execution/?since=7d",
    "executions searched": "/admin/executions/execution/?q=seldom",
    "executions searched in vain": "/admin/executions/execution/?q=nowhere",
    "events": "/admin/rules/event/",
    "events that a rule matched": "/admin/rules/event/?outcome=matched",
    "events that a rule failed on": "/admin/rules/event/?outcome=error",
    "events searched in vain": "/admin/rules/event/?q=nowhere",
    "enforcements": "/admin/rules/enforcement/",
    "enforcements that failed": "/admin/rules/enforcement/?verdict__exact=error",
    "enforcements of an absent action": "/admin/rules/enforcement/?action_ref=no.where",
    "enforcements searched in vain": "/admin/rules/enforcement/?q=nowhere",
    "deliveries": "/admin/sensors/webhookdelivery/",
    "deliveries refused": "/admin/sensors/webhookdelivery/?answer=out",
    "deliveries searched in vain": "/admin/sensors/webhookdelivery/?q=nowhere",
}


def times(attune: Installation) -> dict[str, float]:
    """Milliseconds until each page has come whole: the median of some, over one connection that stays open."""
    api = {"Authorization": f"Bearer {attune._token}"}
    admin = {"Cookie": f"sessionid={_session(attune)}"}
    found = {}
    for room, pages, headers in (("API", API, api), ("admin", ADMIN, admin)):
        connection = http.client.HTTPConnection("127.0.0.1", attune.port, timeout=120)
        for name, path in pages.items():
            taken = [_taken(connection, path, headers) for _ in range(ROUNDS)]
            found[f"{room}: {name}"] = statistics.median(taken)
    return found


def _taken(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> float:
    began = time.monotonic()
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise RuntimeError(f"{path} answered {response.status}.")
    return (time.monotonic() - began) * 1000


def _session(attune: Installation) -> str:
    """The administrator's session, as a browser gets it."""
    connection = http.client.HTTPConnection("127.0.0.1", attune.port, timeout=60)
    connection.request("GET", "/admin/login/")
    response = connection.getresponse()
    response.read()
    csrf = re.search(r"csrftoken=(\w+)", response.headers.get("Set-Cookie", ""))
    token = csrf.group(1) if csrf else ""
    form = urlencode({"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token, "next": "/admin/"})
    headers = {"Cookie": f"csrftoken={token}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/admin/login/", form, headers)
    response = connection.getresponse()
    response.read()
    cookies = response.headers.get_all("Set-Cookie") or []
    session = next((m.group(1) for cookie in cookies if (m := re.search(r"sessionid=(\w+)", cookie))), None)
    if session is None:
        raise RuntimeError(f"The administrator could not log in: {response.status}.")
    return session
