"""What browsers are told with every answer, and what a page of another origin can do with this server: nothing."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading

import pytest
from django.test import Client

from apps.executions.models import Execution, Status
from apps.packs import keys, services
from apps.packs.models import Action, Pack
from apps.rules.models import Event, Pause
from attune import headers

pytestmark = [pytest.mark.embedded_only, pytest.mark.django_db(transaction=True)]

POLICY = "Content-Security-Policy"


# Headers -------------------------------------------------------------------------------------------------------------
def test_no_cache_keeps_a_token_or_a_secret(people, sign_in):
    people("admin")
    keys.write(value="hidden", actor="test", local_ref="k")
    login = Client().post("/auth/login", {"login": "admin", "password": "admin-Password-1"}, "application/json")
    assert login.status_code == 200 and login["Cache-Control"] == "no-store"
    read = sign_in().get("/api/v1/keys/system.k")
    assert "hidden" in read.content.decode() and read["Cache-Control"] == "no-store"
    assert "no-store" in sign_in().get("/admin/")["Cache-Control"]
    assert "no-store" not in Client().get("/static/attune/attune.js")["Cache-Control"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/v1/packs", 200),
        ("get", "/api/v1/nowhere", 404),
        ("post", "/api/v1/events", 415),
        ("post", "/api/v1/webhooks/wh_unknown", 404),
        ("get", "/health/live", 200),
        ("get", "/api-spec/openapi.json", 200),
        ("get", "/metrics", 200),
        ("get", "/static/attune/attune.js", 200),
    ],
)
def test_what_is_no_page_may_load_nothing(sign_in, method, path, status):
    answer = getattr(sign_in(), method)(path)
    assert answer.status_code == status
    assert answer[POLICY] == ("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    assert_common(answer)


@pytest.mark.parametrize("path", ["/", "/admin/", "/docs", "/admin/login/", "/admin/nowhere/", "/nowhere"])
def test_a_page_runs_no_script_that_stands_in_it(core, sign_in, path):
    answer = Client().get(path) if "login" in path else sign_in().get(path)
    policy = dict(part.split(" ", 1) for part in answer[POLICY].split("; "))
    assert policy.pop("style-src-attr") == "'unsafe-inline'"
    assert policy.pop("img-src") == "'self' data:"
    for name in ("script-src", "style-src", "connect-src", "font-src", "form-action"):
        assert policy.pop(name) == "'self'"
    for name in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        assert policy.pop(name) == "'none'"
    assert not policy
    assert "camera=()" in answer["Permissions-Policy"]
    assert_common(answer)
    text = answer.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\son[a-z]+\s*=|javascript:", text)


def assert_common(answer):
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.get("X-Frame-Options", "DENY") == "DENY"  # static files have none, but the policy
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]


def test_an_answer_before_any_middleware_has_them_too():
    assert headers.ALONE[POLICY] == headers.NOTHING
    assert headers.ALONE["X-Content-Type-Options"] == "nosniff"


def test_nobody_is_told_that_another_origin_may_read(sign_in):
    for origin in ("https://evil.example", "null", "http://testserver.evil.example"):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        for path in ("/api/v1/packs", "/api/v1/executions/stream", "/admin/", "/auth/login", "/health"):
            answer = sign_in().options(path, headers=asked)
            assert not [name for name in answer.headers if name.startswith("Access-Control-")]


def test_cookies_are_kept_from_scripts_and_from_other_sites(people):
    people("admin")
    client = Client()
    client.get("/admin/login/")
    client.post("/admin/login/", {"username": "admin", "password": "admin-Password-1"})
    session, csrf = client.cookies["sessionid"], client.cookies["csrftoken"]
    assert session["httponly"]
    assert csrf["httponly"]
    assert session["samesite"] in ("Lax", "Strict")
    assert csrf["samesite"] == "Strict"


def test_logs_are_files_to_keep_not_pages(core, sign_in):
    execution = Execution.objects.create(action_ref="core.echo", pack_ref="core", status=Status.COMPLETED, stdout="<b>")
    client = sign_in()
    for path in (
        f"/admin/executions/execution/{execution.pk}/log/stdout/",
        f"/api/v1/executions/{execution.pk}/logs/stdout",
        "/api/v1/sensors/core.timer_sensor/logs/stderr",
    ):
        answer = client.get(path)
        assert answer["Content-Type"].startswith("text/plain")
        assert answer["Content-Disposition"].startswith("attachment; filename=")
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_form_without_the_pages_token_changes_nothing_and_says_so(core, people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people("admin"))
    answer = client.post("/admin/rules/rule/pause/", {"reason": "evil"})
    assert answer.status_code == 403
    assert "Nothing was changed" in answer.content.decode()
    assert answer[POLICY] == headers.PAGE
    assert not Pause.objects.exists()


# From another origin -------------------------------------------------------------------------------------------------
class _Pages(http.server.BaseHTTPRequestHandler):
    pages: dict[str, str] = {}

    def do_GET(self):
        found = self.pages.get(self.path)
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write((found or "").encode())

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving(**pages):
    """A site of somebody else. Its cookies are ours, being on the same host: so they cannot be what protects us."""
    handler = type("Pages", (_Pages,), {"pages": {f"/{name}": text for name, text in pages.items()}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def here(live_server):
    return live_server.url.replace("localhost", "127.0.0.1")


@pytest.fixture
def visitor(browser, here, people, core):
    """Somebody who is signed in as an administrator, and is then led to another site."""
    people("admin")
    client = Client()
    client.force_login(people("admin"))
    context = browser.new_context()
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": here}])
    page = context.new_page()
    page.goto(f"{here}/admin/")
    page.wait_for_selector("#home")  # the session works
    yield page
    context.close()


TRY = """async ([url, options]) => {
    try {
        const answer = await fetch(url, {credentials: "include", ...options});
        return answer.type + " " + answer.status;
    } catch (error) {
        return "refused";
    }
}"""


def test_another_origin_changes_nothing_with_the_visitors_session(visitor, here):
    pack = services.save_adhoc_pack(ref="mine", label="Mine", description="", actor="test")
    echo = Action.objects.get(ref="core.echo")
    sent = set()
    visitor.on("request", lambda asked: asked.method == "POST" and sent.add(asked.url))
    unsafe = {
        f"{here}/admin/packs/pack/{pack.pk}/do/delete_adhoc/": "a=b",
        f"{here}/admin/packs/action/{echo.pk}/do/disable/": "a=b",
        f"{here}/admin/rules/rule/pause/": "reason=evil",
        f"{here}/api/v1/packs": '{"ref": "evil", "label": "Evil"}',
        f"{here}/api/v1/events": '{"trigger_ref": "core.alert", "payload": {}}',
        f"{here}/api/v1/executions/execute": '{"action_ref": "core.echo", "parameters": {}}',
    }
    plain = {"Content-Type": "application/x-www-form-urlencoded"}
    with serving(evil="<h1>win</h1>") as there:
        visitor.goto(f"{there}/evil")
        for url, body in unsafe.items():
            for options in (
                {"method": "POST", "mode": "no-cors", "body": body},
                {"method": "POST", "mode": "no-cors", "body": body, "headers": plain},
                {"method": "POST", "body": body, "headers": {"Content-Type": "application/json"}},
                {"method": "DELETE"},
                {"mode": "no-cors"},
                {},
            ):
                assert visitor.evaluate(TRY, [url, options]) == "refused", (url, options)
    assert sent == set(unsafe)
    assert Pack.objects.filter(ref="mine").exists()
    assert not Pack.objects.filter(ref="evil").exists()
    assert Action.objects.get(ref="core.echo").enabled
    assert not Pause.objects.exists()
    assert not Event.objects.exists()
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://testserver.evil.example", "http://testserver:81"]
)
@pytest.mark.parametrize("path", ["/admin/rules/rule/pause/", "/api/v1/packs", "/api/v1/events"])
def test_with_a_session_an_unsafe_request_has_to_be_from_this_origin(core, people, path, origin):
    """Even with a token that is right, which another site would have to steal first."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(people("admin"))
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', client.get("/admin/rules/rule/").content.decode())[1]
    sent = {"content_type": "application/json", "headers": {"Origin": origin, "X-CSRFToken": token}}
    assert client.post(path, {"ref": "evil", "label": "Evil"}, **sent).status_code == 403
    assert client.post(path, {"ref": "evil"}, content_type="application/json").status_code == 403
    own = {"content_type": "application/json", "headers": {"Origin": "http://testserver", "X-CSRFToken": token}}
    assert client.post(path, {"ref": "evil"}, **own).status_code != 403


FORM = """<form method=post action="{url}"><input name=reason value=evil></form>
<script>document.forms[0].submit()</script>"""


def test_a_form_of_another_origin_is_refused_and_so_is_one_of_no_origin(visitor, here):
    form = FORM.format(url=f"{here}/admin/rules/rule/pause/")
    boxed = f"""<iframe sandbox="allow-scripts allow-forms allow-top-navigation" srcdoc='{form}'></iframe>"""
    origins = []
    visitor.on("request", lambda asked: asked.method == "POST" and origins.append(asked.header_value("origin")))
    with serving(form=form, boxed=boxed.replace("<form ", "<form target=_top ")) as there:
        for name, origin in (("form", there), ("boxed", "null")):
            visitor.goto(f"{there}/{name}")
            visitor.wait_for_selector("text=Nothing was changed")
            assert origins.pop() == origin
    assert not Pause.objects.exists()


def test_nobody_can_be_signed_in_by_another_origin(browser, here, people):
    people("admin")
    fields = "<input name=username value=admin><input name=password value=admin-Password-1>"
    form = FORM.format(url=f"{here}/admin/login/").replace("<input name=reason value=evil>", fields)
    context = browser.new_context()
    page = context.new_page()
    with serving(form=form) as there:
        page.goto(f"{there}/form")
        page.wait_for_selector("text=Nothing was changed")
    assert "sessionid" not in {cookie["name"] for cookie in context.cookies()}
    context.close()


def test_pages_are_shown_in_no_frame(visitor, here):
    paths = ("/admin/", "/docs", "/admin/login/", "/api/v1/packs")
    frames = "".join(f'<iframe src="{here}{path}"></iframe>' for path in paths)
    refused = []
    visitor.on("console", lambda said: "frame-ancestors" in said.text and refused.append(said.text))
    with serving(frames=frames) as there:
        visitor.goto(f"{there}/frames")
        for frame in visitor.frames[1:]:
            assert frame.url.startswith("chrome-error:")
            assert frame.evaluate("document.body.innerText.includes('Attune')") is False
    assert len(refused) == len(paths)


LISTEN = """(url) => new Promise((done) => {
    const source = new EventSource(url, {withCredentials: true});
    source.onmessage = (event) => { source.close(); done(event.data); };
    source.addEventListener("end", (event) => { source.close(); done(event.data); });
    source.onerror = () => { source.close(); done("refused"); };
})"""


def test_live_streams_are_read_by_the_own_pages_alone(visitor, here):
    execution = Execution.objects.create(
        action_ref="core.echo", pack_ref="core", status=Status.COMPLETED, stdout="a secret of ours"
    )
    url = f"{here}/api/v1/executions/{execution.pk}/logs/stdout/stream"
    assert "a secret of ours" in visitor.evaluate(LISTEN, url)
    with serving(evil="<h1>win</h1>") as there:
        visitor.goto(f"{there}/evil")
        assert visitor.evaluate(LISTEN, url) == "refused"
        assert visitor.evaluate(TRY, [url, {}]) == "refused"
