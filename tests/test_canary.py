"""One marked secret goes every way that a secret can go; afterwards it is nowhere to be found."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import pytest
from django.conf import settings

from tests import canary
from tests.canary import CORE, IN_ADDRESS, PEM, SECRET
from tests.live import PASSWORD, ROOT, Live, wait

PACK = ROOT / "tests" / "data" / "packs" / "canary"
MASK = "********"
OVER = ("completed", "failed", "timeout", "cancelled", "abandoned")
TEXT_WAYS = (
    "plain",
    "stderr",
    "both",
    "cut",
    "large",
    "base64",
    "basic auth",
    "base64 aligned",
    "base64 of lines",
    "base64 for addresses",
    "quoted",
    "form",
    "json",
    "json in json",
    "json as it is",
    "hex",
    "html",
    "python",
    "pem",
    "a line of a pem",
    "traceback",
    "key error",
    "exit",
    "error as json",
)
SHELL_WAYS = ("trace", "trace-all", "base64", "hex", "quote", "slowly", "child", "fail", "nosuch")
OTHER_WAYS = (
    ("canary.tell_json", "json"),
    ("canary.tell_json", "json in json"),
    ("canary.tell_json", "error as json"),
    ("canary.tell_json", "not json"),
    ("canary.tell_json", "traceback"),
    ("canary.tell_jsonl", "lines"),
    ("canary.tell_yaml", "yaml"),
    ("canary.tell_warm", "plain"),
    ("canary.tell_warm", "traceback"),
    ("canary.tell_file", "both"),
)


class Town(Live):
    """An installation whose every word is kept: what it answered, and what it wrote to its own log."""

    def __init__(self, folder: Path, **env: str) -> None:
        super().__init__(folder, ATTUNE_LOG_LEVEL="DEBUG", ATTUNE_KILL_GRACE="1", **env)
        self.folder = folder
        self.answers: list[tuple[str, bytes]] = []
        self.log: list[bytes] = []
        self.cookies: dict[str, str] = {}

    def start(self, *command: str) -> str:
        said = super().start(*command)
        self.log.append(said.encode())
        threading.Thread(target=self._listen, args=(self.processes[-1],), daemon=True).start()
        return said

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self.log.append(line.encode())

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        own: bool = False,
        as_browser: bool = False,
    ) -> tuple[int, Any]:
        """One request; its status, and its JSON or text. `own`: the answer is the value itself, to whoever may have
        it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {} if as_browser else {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if as_browser:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, sent | (headers or {}))
        response = connection.getresponse()
        text = response.read()
        for cookie in response.headers.get_all("Set-Cookie") or ():
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        if not own:
            self.answers.append((f"{method} {path}", str(response.headers).encode() + text))
        with contextlib.suppress(ValueError):
            return response.status, json.loads(text)
        return response.status, text.decode("utf-8", "replace")

    def must(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        status, answer = self.ask(method, path, body, **more)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def run(self, action: str, **parameters: Any) -> int:
        body = {"action_ref": action, "parameters": parameters}
        return self.must("POST", "/api/v1/executions/execute", body)["data"]["id"]

    def ended(self, number: int) -> dict[str, Any]:
        def over() -> Any:
            found = self.must("GET", f"/api/v1/executions/{number}")["data"]
            return found if found["status"] in OVER else None

        return wait(over, f"the end of execution {number}")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("canary")
    shutil.copytree(PACK, folder / "source" / "canary")
    data = folder / "data"
    if not settings.SERVER_MODE:
        installation = Town(data)
        installation.database = data / "attune.sqlite3"  # type: ignore[attr-defined]
        yield from _sung(installation, folder)
        return
    name, address = f"attune_canary_{uuid.uuid4().hex[:8]}", os.environ["DATABASE_URL"]
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    database = f"{address.rpartition('/')[0]}/{name}"
    try:
        installation = Town(data, DATABASE_URL=database, ATTUNE_BROKER_NAMESPACE=name)
        installation.database = database  # type: ignore[attr-defined]
        yield from _sung(installation, folder)
    finally:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)")


def _sung(town: Town, folder: Path) -> Iterator[Town]:
    """The town after the secret went every way; its processes still run."""
    watch = None
    try:
        town.start_all()
        town.call("GET", "/auth/me")
        watch = canary.ProcessWatch([process.pid for process in town.processes])
        watch.start()
        town.watch = watch  # type: ignore[attr-defined]
        town.flows = _sing(town, folder / "source" / "canary")  # type: ignore[attr-defined]
        watch.stop()
        yield town
    finally:
        if watch:
            watch.over.set()
        town.kill()


def _sing(town: Town, source: Path) -> dict[str, Any]:
    told: dict[str, Any] = {}
    installed = town.must("POST", "/api/v1/packs/register", {"path": str(source)})
    assert installed["data"], installed
    _keep_keys(town)
    town.must("PUT", "/api/v1/packs/canary/config", {"config": {"password": SECRET, "room": "attic"}})
    hook = _open_webhook(town)
    _make_rules(town)
    runs = {f"python: {way}": town.run("canary.tell", way=way, p=SECRET) for way in TEXT_WAYS}
    runs |= {f"shell: {way}": town.run("canary.shout", way=way, p=SECRET) for way in SHELL_WAYS}
    runs |= {f"{action}: {way}": town.run(action, way=way, p=SECRET) for action, way in OTHER_WAYS}
    runs["reads by itself"] = town.run("canary.asks", ref="canary.own")
    runs["timeout"] = town.must(
        "POST",
        "/api/v1/executions/execute",
        {"action_ref": "canary.tell", "parameters": {"way": "sleep", "p": SECRET}, "timeout": 1},
    )["data"]["id"]
    runs["cancel"] = town.run("canary.tell", way="sleep on stderr", p=SECRET)
    _receive(town, hook)
    _send_what_is_wrong(town)
    _install_with_a_token(town)
    town.ask("POST", "/api/v1/packs/canary/test", {})
    wait(lambda: town.must("GET", f"/api/v1/executions/{runs['cancel']}")["data"]["status"] == "running", "it to run")
    wait(lambda: MASK in str(town.ask("GET", f"/api/v1/executions/{runs['cancel']}/logs/stderr")[1]), "what it said")
    town.must("POST", f"/api/v1/executions/{runs['cancel']}/cancel")
    told["ends"] = {name: town.ended(number) for name, number in runs.items()}
    first = runs["python: plain"]
    again = town.must("POST", f"/api/v1/executions/{first}/rerun", {})["data"]["id"]
    shown = town.must("GET", f"/api/v1/executions/{first}")["data"]["parameters"]
    other = town.must("POST", f"/api/v1/executions/{first}/rerun", {"parameters": shown | {"way": "stderr"}})
    told["reruns"] = [town.ended(again), town.ended(other["data"]["id"])]
    wait(lambda: len(town.events(trigger_ref="canary.sung")) >= 4, "the events of the webhook and of the sensor")
    told["events"] = town.events(trigger_ref="canary.sung")
    town.must("POST", f"/api/v1/events/{told['events'][0]['id']}/replay", {})
    _look_at_everything(town, runs)
    told["pages"] = _crawl(town)
    told["commands"] = _use_the_command_line(town, runs)
    return told


def _keep_keys(town: Town) -> None:
    value = {"token": SECRET, "pem": PEM}
    kept = {"ref": "canary.own", "owner_type": "pack", "owner_pack_ref": "canary", "name": "Own", "value": value}
    town.must("POST", "/api/v1/keys", kept, own=True)
    town.must(
        "POST", "/api/v1/keys", {"local_ref": "bird", "owner_type": "system", "name": "B", "value": SECRET}, own=True
    )
    town.must("PUT", "/api/v1/keys/system.bird", {"value": SECRET, "name": "Bird"}, own=True)
    town.must("POST", "/api/v1/keys/system.bird/grants", {"grantee": "canary"})
    town.must("GET", "/api/v1/keys/system.bird?decrypt=true", own=True)


def _open_webhook(town: Town) -> str:
    key = town.must("POST", "/api/v1/triggers/canary.sung/webhooks/enable")["webhook_key"]
    options = {"scheme": "github", "secret": SECRET, "dedup_header": "X-Delivery"}
    town.must("PUT", "/api/v1/triggers/canary.sung/webhooks", options)
    return key


def _make_rules(town: Town) -> None:
    """Rules that hand the secret on, in parameters that are secret, that are not, and in templates that fail."""
    tell = {"way": "plain", "p": "{{ payload.password }}"}
    said = {
        "payload": "{{ payload.password }}",
        "all_of_it": "{{ payload }}",
        "deep": "{{ payload.login.token }}",
        "config": "{{ pack.config.password }}",
        "key": "the key is {{ key.system.bird }}",
        "part": "{{ key.canary.own.token }}",
        "wrong_filter": "{{ payload.password | upper }}",
        "wrong_key": "{{ key.system.bird | upper }}",
        "compared": "{{ 1 if payload.password == 'x' else 2 }}",
        "in_text": "{% for c in payload.login.items() %}{{ c }}{% endfor %}",
    }
    rules = {name: ("canary.open", {"said": template}) for name, template in said.items()}
    rules |= {"tells": ("canary.tell", tell), "misfit": ("canary.tell", {"way": "plain", "p": "{{ payload.login }}"})}
    for name, (action, parameters) in rules.items():
        rule = {"ref": f"canary.{name}", "pack_ref": "canary", "trigger_ref": "canary.sung", "action_ref": action}
        rule |= {"action_params": parameters, "trigger_params": {"credentials": "canary.own"}}
        rule["criteria"] = {"var": "payload.way", "!=": "sensor"}
        town.must("POST", "/api/v1/rules", rule)
    compares = {"var": "payload.password", "==": "another"}
    rule = {"ref": "canary.compares", "pack_ref": "canary", "trigger_ref": "canary.sung", "action_ref": "canary.open"}
    town.must("POST", "/api/v1/rules", rule | {"criteria": compares})
    payload = {"password": SECRET, "login": {"token": SECRET}, "way": "dry"}
    town.must("POST", "/api/v1/rules/canary.payload/test", {"payload": payload})
    town.must("POST", "/api/v1/rules/canary.compares/test", {"payload": payload})
    town.must(
        "POST",
        "/api/v1/rules/test",
        {"trigger_ref": "canary.sung", "action_ref": "canary.open", "action_params": said, "payload": payload},
    )


def _receive(town: Town, key: str) -> None:
    """The webhook, with the secret in its body, in headers and as its signature's."""
    body = json.dumps({"password": SECRET, "login": {"token": SECRET}, "way": "webhook"}).encode()
    good = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    strange = {
        "Authorization": f"Bearer {CORE}",
        "Cookie": f"session={CORE}",
        "X-Api-Key": CORE,
        "X-Hub-Signature": CORE,
        "X-Custom-Token": CORE,
        "Content-Type": "application/json",
    }
    path = f"/api/v1/webhooks/{key}"
    for number, signature in enumerate((good, good, CORE, f"sha256={CORE}{CORE}")):
        headers = strange | {"X-Hub-Signature-256": signature, "X-Delivery": str(number)}
        status, _ = town.ask("POST", path, body, headers=headers)
        assert status == (202 if signature == good else 401)
    wrong = json.dumps({"password": SECRET, "login": SECRET}).encode()
    good = "sha256=" + hmac.new(SECRET.encode(), wrong, hashlib.sha256).hexdigest()
    assert town.ask("POST", path, wrong, headers=strange | {"X-Hub-Signature-256": good})[0] == 422


def _send_what_is_wrong(town: Town) -> None:
    """Requests that are refused, with the secret in them."""
    run = "/api/v1/executions/execute"
    for parameters in ({"way": 5, "p": SECRET}, {"p": [SECRET], "way": "plain"}, {"p": {"a": SECRET}, "way": "x"}):
        assert town.ask("POST", run, {"action_ref": "canary.tell", "parameters": parameters})[0] == 422
    assert town.ask("POST", run, f'{{"parameters": {{"p": "{CORE}"'.encode())[0] == 400
    assert town.ask("PUT", "/api/v1/packs/canary/config", {"config": {"password": [SECRET]}})[0] == 422
    assert town.ask("PUT", "/api/v1/packs/canary/config", {"config": {"password": {"a": SECRET}}})[0] == 422
    event = {"trigger_ref": "canary.sung", "payload": {"password": [SECRET], "way": 3}}
    assert town.ask("POST", "/api/v1/events", event)[0] == 422
    assert town.ask("POST", "/auth/login", {"login": "admin", "password": SECRET})[0] == 401
    assert town.ask("POST", "/auth/login", {"login": "admin", "password": [SECRET]})[0] in (400, 422)
    assert town.ask("GET", "/auth/me", headers={"Authorization": f"Bearer {CORE}"})[0] == 401
    assert town.ask("GET", "/api/v1/keys", headers={"Cookie": f"sessionid={CORE}", "X-Api-Key": CORE})[0] == 200
    key = {"local_ref": "Not Allowed", "owner_type": "system", "name": "x", "value": SECRET}
    assert town.ask("POST", "/api/v1/keys", key)[0] == 422
    assert town.ask("POST", "/api/v1/keys", key | {"local_ref": "bird"})[0] == 409
    rule = {"ref": "canary.literal", "trigger_ref": "canary.sung", "action_ref": "canary.tell"}
    assert town.ask("POST", "/api/v1/rules", rule | {"action_params": {"way": "plain", "p": SECRET}})[0] == 422
    options = {"scheme": "no such", "secret": SECRET}
    assert town.ask("PUT", "/api/v1/triggers/canary.sung/webhooks", options)[0] == 422


def _install_with_a_token(town: Town) -> None:
    """From a server that hangs up, so that git and the download fail with the address in hand."""
    port, _ = canary.hangs_up()
    for source in (
        f"git+https://oauth2:{IN_ADDRESS}@127.0.0.1:{port}/bird.git",
        f"https://me:{IN_ADDRESS}@127.0.0.1:{port}/bird.tar.gz",
    ):
        town.ask("POST", "/api/v1/packs/install", {"source": source})
        town.ask("POST", "/api/v1/packs/download", {"packs": [source]})
    index = {"url": f"https://127.0.0.1:{port}/index.json", "headers": {"X-Token": CORE}, "enabled": False}
    made = town.must("POST", "/api/v1/pack-indices", index)["data"]
    town.ask("POST", f"/api/v1/pack-indices/{made['id']}/refresh")


def _look_at_everything(town: Town, runs: dict[str, int]) -> None:
    """Every address that takes a GET, of the OpenAPI document, filled in with what there is."""
    document = town.must("GET", "/api-spec/openapi.json")
    known = {
        "id": runs["python: plain"],
        "execution_id": runs["python: plain"],
        "stream": "stdout",
        "request_id": "x",
    }
    refs = {
        "packs": "canary",
        "actions": "canary.tell",
        "triggers": "canary.sung",
        "sensors": "canary.bird",
        "rules": "canary.tells",
        "keys": "canary.own",
    }
    for path, operations in document["paths"].items():
        if "get" not in operations or "stream" in path.rpartition("/")[2] or "logout" in path:
            continue
        room = path.removeprefix("/api/v1/").partition("/")[0]
        filled = path.replace("{ref}", refs.get(room, "x"))
        for name in re.findall(r"{(\w+)}", filled):
            filled = filled.replace(f"{{{name}}}", str(known.get(name, refs.get(room, "1"))))
        town.ask("GET", filled + ("?decrypt=false" if filled.startswith("/api/v1/keys/") else ""))
    for number in runs.values():
        for stream in ("stdout", "stderr"):
            town.ask("GET", f"/api/v1/executions/{number}/logs/{stream}")
    for event in town.events(trigger_ref="canary.sung"):
        town.ask("GET", f"/api/v1/events/{event['id']}")
        town.ask("GET", f"/api/v1/events/{event['id']}/verdicts")
    for run in town.executions(page_size="100"):
        town.ask("GET", f"/api/v1/executions/{run['id']}")
    for kind in ("csv", "jsonl"):
        town.ask("GET", f"/api/v1/audit-events/export?format={kind}")
    for page in ("audit-events", "enforcements", "events", "executions", "keys", "packs/install"):
        town.ask("GET", f"/api/v1/{page}?page_size=100")
    town.ask("GET", "/metrics")


def _crawl(town: Town) -> Counter[str]:
    """Every page of the admin that links lead to; of each kind some."""
    town.ask("GET", "/admin/login/", as_browser=True)
    form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": town.cookies["csrftoken"]}
    head = {"Content-Type": "application/x-www-form-urlencoded", "Referer": f"http://127.0.0.1:{town.port}/admin/"}
    status, _ = town.ask("POST", "/admin/login/", urlencode(form).encode(), headers=head, as_browser=True)
    assert status == 302
    kinds: Counter[str] = Counter()
    waiting, seen = ["/admin/"], {"/admin/"}
    while waiting:
        path = waiting.pop(0)
        kind = re.sub(r"\d+|canary\.\w+|core\.\w+", "N", path.partition("?")[0])
        if kinds[kind] >= (25 if "execution/N" in kind or "event/N" in kind else 4):
            continue
        status, text = town.ask("GET", path, as_browser=True)
        kinds[kind] += 1
        for link in re.findall(r'href="(/admin/[^"#]*)"', str(text)):
            link = link.replace("&amp;", "&")
            if link not in seen and "logout" not in link and "jsi18n" not in link:
                seen.add(link)
                waiting.append(link)
    return kinds


def _use_the_command_line(town: Town, runs: dict[str, int]) -> int:
    """The command `attune`, as tables and as JSON."""
    home = town.folder.parent / "home"
    home.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "ATTUNE_URL": f"http://127.0.0.1:{town.port}"}
    env["ATTUNE_TOKEN"] = town.token
    first = str(runs["python: traceback"])
    commands = [
        "key list",
        "key show canary.own",
        "key uses canary.own",
        "pack config get canary",
        "execution list",
        f"execution show {first}",
        f"execution logs {first}",
        f"execution result {first}",
        "event list --output json",
        "pack show canary --output json",
        f"execution show {first} --output json",
        "key list --output json",
    ]
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "attune.cli", *command.split()],
            cwd=ROOT,
            env=env,
            capture_output=True,
            timeout=60,
            check=False,
        )
        town.answers.append((f"attune {command}", done.stdout + done.stderr))
        assert done.stdout or b"Traceback" not in done.stderr, done.stderr
    return len(commands)


# What must hold ------------------------------------------------------------------------------------------------------
def test_every_way_was_gone(town: Town) -> None:
    """What was never said cannot be found: so it must have been said, and hidden."""
    ends = town.flows["ends"]  # type: ignore[attr-defined]
    fail = ("traceback", "key error", "exit", "error as json", "not json", "fail", "nosuch", "trace")
    for name, end in ends.items():
        way = name.partition(": ")[2] or name
        wanted = {"timeout": "timeout", "cancel": "cancelled"}.get(way, "failed" if way in fail else "completed")
        assert end["status"] == wanted, (name, end)
        said = json.dumps(end["result"], ensure_ascii=False) + str(end.get("error"))
        assert MASK in said, (name, said)
        assert end["parameters"].get("p", MASK) == MASK
    assert [MASK in json.dumps(end["result"]) for end in town.flows["reruns"]] == [True, True]  # type: ignore[attr-defined]
    ways = [event["payload"].get("way") for event in town.flows["events"]]  # type: ignore[attr-defined]
    assert ways.count("sensor") >= 2 and ways.count("webhook") == 2
    assert all(event["payload"].get("password", MASK) == MASK for event in town.flows["events"])  # type: ignore[attr-defined]
    assert len(town.flows["pages"]) > 40 and town.flows["commands"] > 10  # type: ignore[attr-defined]
    assert len(town.watch.seen) > 30  # type: ignore[attr-defined]


def test_rules_hand_the_secret_on_without_keeping_it(town: Town) -> None:
    def outcomes() -> Any:
        found = town.executions(action_ref="canary.open")
        by_rule = {run["rule_ref"]: run["status"] for run in found}
        return by_rule if len(by_rule) >= 6 and set(by_rule.values()) <= set(OVER) else None

    assert set(wait(outcomes, "what the rules ran").values()) == {"completed"}
    told = town.must("GET", "/api/v1/executions?rule_ref=canary.tells")["items"]
    assert {run["status"] for run in told} == {"completed"}


def test_the_secret_is_in_no_table(town: Town) -> None:
    found = canary.in_database(town.database)  # type: ignore[attr-defined]
    assert {name: spots for name, data in found.items() if (spots := canary.spots(data))} == {}


def test_the_secret_is_in_no_file(town: Town) -> None:
    found = canary.on_disk(town.folder)
    assert len(found) > 20
    assert {name: spots for name, data in found.items() if (spots := canary.spots(data))} == {}


def test_the_secret_is_in_no_answer(town: Town) -> None:
    assert len(town.answers) > 300
    assert {name: spots for name, data in town.answers if (spots := canary.spots(data))} == {}


def test_the_secret_is_in_no_log(town: Town) -> None:
    assert len(town.log) > 10
    assert canary.spots(b"".join(town.log)) == []


def test_the_secret_is_in_no_command_line_and_no_environment(town: Town) -> None:
    assert town.watch.found == []  # type: ignore[attr-defined]


def test_an_error_of_ours_is_mailed_to_nobody(mailoutbox: list[Any]) -> None:
    """Django mails errors, with the request, to ADMINS: nobody is among them, and none of our settings adds anybody."""
    logging.getLogger("django.request").error("Broken by %s", SECRET, exc_info=ValueError(SECRET))
    assert mailoutbox == []
    sources = [path for folder in ("apps", "attune") for path in (ROOT / folder).rglob("*.py")]
    mails = re.compile(r"core\.mail|core import mail|smtplib|mail_admins|\b(ADMINS|MANAGERS|EMAIL_HOST)\b")
    assert [str(path) for path in sources if mails.search(path.read_text())] == []


@pytest.mark.server_only
def test_the_secret_is_not_in_redis(town: Town) -> None:
    found = canary.in_redis(os.environ["REDIS_URL"])
    assert {name: spots for name, data in found.items() if (spots := canary.spots(data))} == {}


def test_the_canary_is_found_where_it_is() -> None:
    """The search itself can fail to find: so it is tried on every spelling."""
    import base64

    for text in (SECRET, IN_ADDRESS, json.dumps(SECRET), quote(PEM), SECRET.encode().hex(), SECRET.upper()):
        assert canary.spots(f"before {text} after".encode())
    for before in ("", "a", "ab", "abc"):
        assert canary.spots(base64.b64encode(f"{before}{SECRET}".encode()))
    assert not canary.spots(b"nothing to see")
