"""core.http_request against a real web server: what it sends, what it gives back, and what it refuses."""

import base64
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from tests.content.conftest import CORE, RunAction, Website

SCRIPT = CORE / "actions" / "http_request.sh"


def answer_of(outcome: subprocess.CompletedProcess[str]) -> dict:
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr == ""
    return json.loads(outcome.stdout)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_every_method_arrives_and_is_answered(run_action: RunAction, website: Website, method: str) -> None:
    answer = answer_of(run_action("http_request", {"url": f"{website.url}/things", "method": method}))
    (request,) = website.requests
    assert (request["method"], request["path"], request["body"]) == (method, "/things", b"")
    assert (answer["status_code"], answer["success"], answer["redirects"]) == (200, True, 0)
    assert answer["url"] == f"{website.url}/things"
    assert answer["headers"]["content-type"] == "application/json"
    assert (answer["body"], answer["body_encoding"]) == (
        (None, "empty") if method == "HEAD" else ({"ok": True}, "json")
    )
    assert isinstance(answer["elapsed_ms"], int)


@pytest.mark.parametrize(
    ("parameters", "content_type", "body"),
    [
        ({"body": {"k": [1, None, 'ü\n"']}}, "application/json", '{"k":[1,null,"ü\\n\\""]}'),
        ({"body": [1, 2]}, "application/json", "[1,2]"),
        ({"body": False}, "application/json", "false"),
        ({"body": 0}, "application/json", "0"),
        ({"json_body": {"a": 1}}, "application/json", '{"a":1}'),
        ({"body": "@/etc/passwd"}, "text/plain; charset=utf-8", "@/etc/passwd"),
        ({"body": 'line 1\r\nline "2" \\ 😀\n'}, "text/plain; charset=utf-8", 'line 1\r\nline "2" \\ 😀\n'),
        ({"body": "<a/>", "headers": {"content-type": "text/xml"}}, "text/xml", "<a/>"),
        (
            {"body": {"a": 1}, "headers": {"Content-Type": "application/vnd.x+json"}},
            "application/vnd.x+json",
            '{"a":1}',
        ),
        (
            {"form": {"a b": "x&y=z", "list": [1, True, "é"], "none": None}},
            "application/x-www-form-urlencoded",
            "a%20b=x%26y%3Dz&list=1&list=true&list=%C3%A9",
        ),
    ],
)
def test_bodies_arrive_to_the_byte(
    run_action: RunAction, website: Website, parameters: dict, content_type: str, body: str
) -> None:
    answer_of(run_action("http_request", {"url": website.url, "method": "POST", **parameters}))
    (request,) = website.requests
    assert request["headers"]["Content-Type"] == content_type
    assert request["body"] == body.encode()


def test_a_large_body_travels_both_ways(run_action: RunAction, website: Website) -> None:
    text = "0123456789abcdéf" * 150_000
    website.answers["/mirror"] = lambda handler: website.send(
        handler, 200, website.requests[-1]["body"], {"Content-Type": "text/plain"}
    )
    answer = answer_of(run_action("http_request", {"url": f"{website.url}/mirror", "method": "PUT", "body": text}))
    assert website.requests[0]["body"] == text.encode()
    assert answer["body"] == text


def test_query_parameters_are_encoded_and_added(run_action: RunAction, website: Website) -> None:
    query = {"q": "a&b=c d", "tag": ["x", "ü"], "n": 3, "yes": True, "none": None}
    answer = answer_of(run_action("http_request", {"url": f"{website.url}/p q/é?old=1#part", "query": query}))
    expected = "/p%20q/%C3%A9?old=1&q=a%26b%3Dc%20d&tag=x&tag=%C3%BC&n=3&yes=true"
    assert website.requests[0]["path"] == expected
    assert answer["url"] == website.url + expected


def test_header_values_arrive_to_the_letter(run_action: RunAction, website: Website) -> None:
    headers = {"X-Quote": 'a "b" \\ c', "X-Empty": "", "X-Number": 5, "X-None": None, "User-Agent": "me", "X-At": "@/x"}
    answer_of(run_action("http_request", {"url": website.url, "headers": headers}))
    sent = website.requests[0]["headers"]
    assert [sent.get(name) for name in headers] == ['a "b" \\ c', "", "5", None, "me", "@/x"]


@pytest.mark.parametrize(
    ("parameters", "header", "value"),
    [
        (
            {"auth_type": "basic", "username": "ada", "password": 'p:"\\\n ü'},
            "Authorization",
            "Basic " + base64.b64encode('ada:p:"\\\n ü'.encode()).decode(),
        ),
        ({"auth_type": "bearer", "token": "t0k.en-"}, "Authorization", "Bearer t0k.en-"),
        ({"auth_type": "api_key", "api_key_value": "k1"}, "X-API-Key", "k1"),
        ({"auth_type": "api_key", "api_key_name": "X-Mine", "api_key_value": "k2"}, "X-Mine", "k2"),
        ({"auth_type": "none", "token": "", "password": None}, "Authorization", None),
    ],
)
def test_every_way_to_log_in(
    run_action: RunAction, website: Website, parameters: dict, header: str, value: str | None
) -> None:
    answer_of(run_action("http_request", {"url": website.url, **parameters}))
    assert website.requests[0]["headers"].get(header) == value


def test_an_api_key_in_the_query_is_sent_but_not_shown(run_action: RunAction, website: Website) -> None:
    secret = {"auth_type": "api_key", "api_key_in": "query", "api_key_name": "key", "api_key_value": "c&n/ary"}
    outcome = run_action("http_request", {"url": f"{website.url}/?a=1", **secret})
    assert website.requests[0]["path"] == "/?a=1&key=c%26n%2Fary"
    assert answer_of(outcome)["url"] == f"{website.url}/?a=1&key=********"
    assert "ary" not in outcome.stdout


def test_credentials_in_the_url_are_sent_but_not_shown(run_action: RunAction, website: Website) -> None:
    answer = answer_of(run_action("http_request", {"url": f"http://ada:canary@127.0.0.1:{website.port}/x"}))
    assert website.requests[0]["headers"]["Authorization"] == "Basic " + base64.b64encode(b"ada:canary").decode()
    assert answer["url"] == f"{website.url}/x"


LOGINS = [
    {"auth_type": "bearer", "token": "canary"},
    {"auth_type": "basic", "username": "ada", "password": "canary"},
    {"auth_type": "api_key", "api_key_value": "canary"},
    {"headers": {"Authorization": "canary", "Cookie": "canary", "X-Token": "canary"}},
]


@pytest.mark.parametrize("login", LOGINS)
def test_another_host_gets_no_credentials_by_redirect(
    run_action: RunAction, website: Website, other_website: Website, login: dict
) -> None:
    website.on("/start", 302, Location=f"{other_website.url}/end")
    headers = {"Accept": "text/csv", **login.get("headers", {})}
    answer = answer_of(run_action("http_request", {"url": f"{website.url}/start", **login, "headers": headers}))
    assert answer["redirects"] == 1
    assert answer["url"] == f"{other_website.url}/end"
    (arrived,) = other_website.requests
    text = str(arrived["headers"])
    assert "canary" not in text
    assert base64.b64encode(b"ada:canary").decode() not in text
    assert arrived["headers"]["Accept"] == "text/csv"


@pytest.mark.parametrize("login", LOGINS)
def test_the_same_host_keeps_the_credentials_on_a_redirect(
    run_action: RunAction, website: Website, login: dict
) -> None:
    website.on("/start", 302, Location="/end")
    answer_of(run_action("http_request", {"url": f"{website.url}/start", **login}))
    first, second = (request["headers"] for request in website.requests)
    for name in ("Authorization", "Cookie", "X-Token", "X-API-Key"):
        assert first.get(name) == second.get(name)


@pytest.mark.parametrize(
    ("method", "status", "becomes"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 302, "PUT"),
        ("DELETE", 303, "GET"),
        ("PATCH", 308, "PATCH"),
        ("HEAD", 303, "HEAD"),
    ],
)
def test_a_redirect_changes_the_method_as_the_standard_says(
    run_action: RunAction, website: Website, method: str, status: int, becomes: str
) -> None:
    website.on("/start", status, Location="end")
    body = {} if method == "HEAD" else {"body": {"a": 1}}
    answer_of(run_action("http_request", {"url": f"{website.url}/start", "method": method, **body}))
    second = website.requests[1]
    assert (second["method"], second["path"]) == (becomes, "/end")
    kept = becomes == method and method != "HEAD"
    assert second["body"] == (b'{"a":1}' if kept else b"")
    assert second["headers"].get("Content-Type") == ("application/json" if kept else None)


def test_redirects_can_be_left_alone(run_action: RunAction, website: Website) -> None:
    website.on("/start", 302, Location="/end")
    answer = answer_of(run_action("http_request", {"url": f"{website.url}/start", "follow_redirects": False}))
    assert (answer["status_code"], answer["success"], answer["headers"]["location"]) == (302, False, "/end")
    assert len(website.requests) == 1


def test_a_ring_of_redirects_ends(run_action: RunAction, website: Website) -> None:
    website.on("/ring", 302, Location="/ring")
    outcome = run_action("http_request", {"url": f"{website.url}/ring", "max_redirects": 3})
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("http_request: gave up after 3 redirects")
    assert len(website.requests) == 4


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:1/_x"])
def test_a_redirect_leads_to_nothing_but_http(run_action: RunAction, website: Website, location: str) -> None:
    website.on("/start", 302, Location=location)
    outcome = run_action("http_request", {"url": f"{website.url}/start"})
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "redirects to something that is not http or https" in outcome.stderr


@pytest.mark.parametrize(
    ("content_type", "raw", "body", "encoding"),
    [
        ("application/json; charset=utf-8", b' {"a": [1.5, "\\u00e9"]}\n', {"a": [1.5, "é"]}, "json"),
        ("application/problem+json", b"null", None, "json"),
        ("application/json", b"{broken", "{broken", "text"),
        ("application/octet-stream", b'[1, {"x": null}]', [1, {"x": None}], "json"),
        ("text/plain", b"12", "12", "text"),
        ("text/html", b"[1]", "[1]", "text"),
        ("text/html; charset=ISO-8859-1", b"caf\xe9", "café", "text"),
        ('text/plain; charset="utf-8"', "grün 😀\n".encode(), "grün 😀\n", "text"),
        ("text/plain", b"a\x00b", "YQBi", "base64"),
        ("image/png", b"\x89PNG\r\n\x1a\n\xff", "iVBORw0KGgr/", "base64"),
        ("text/plain", b"", None, "empty"),
    ],
)
def test_an_answer_is_read_for_what_it_is(
    run_action: RunAction, website: Website, content_type: str, raw: bytes, body: object, encoding: str
) -> None:
    website.on("/", 200, raw, Content_Type=content_type)
    answer = answer_of(run_action("http_request", {"url": website.url + "/"}))
    assert (answer["body"], answer["body_encoding"]) == (body, encoding)


def test_numbers_too_long_for_parsing_are_kept_as_text(run_action: RunAction, website: Website) -> None:
    website.on("/", 200, b'{"id": 1234567890123456789}', Content_Type="application/json")
    answer = answer_of(run_action("http_request", {"url": website.url + "/"}))
    assert answer["body_text"] == '{"id": 1234567890123456789}'


def test_repeated_headers_are_all_kept(run_action: RunAction, website: Website) -> None:
    def reply(handler) -> None:
        handler.send_response(200)
        for name, value in [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/"), ("X-Many", "1"), ("x-many", "2: 3")]:
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    website.answers["/"] = reply
    headers = answer_of(run_action("http_request", {"url": website.url + "/"}))["headers"]
    assert headers["set-cookie"] == ["a=1", "b=2; Path=/"]
    assert headers["x-many"] == "1, 2: 3"


def test_an_error_status_is_an_answer(run_action: RunAction, website: Website) -> None:
    website.on("/missing", 404, b'{"error": "gone"}', Content_Type="application/json")
    answer = answer_of(run_action("http_request", {"url": f"{website.url}/missing"}))
    assert (answer["status_code"], answer["success"], answer["body"]) == (404, False, {"error": "gone"})


def test_an_error_status_fails_the_execution_if_that_is_wanted_and_keeps_the_answer(
    run_action: RunAction, website: Website
) -> None:
    website.on("/broken", 500, b"oops", Content_Type="text/plain")
    outcome = run_action("http_request", {"url": f"{website.url}/broken", "fail_on_error": True})
    assert outcome.returncode == 1
    assert json.loads(outcome.stdout)["body"] == "oops"
    assert outcome.stderr == f"http_request: 127.0.0.1:{website.port} answered with status 500\n"


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({}, "url is required"),
        ({"url": 5}, "url is required"),
        ({"url": "file:///etc/passwd"}, "url must begin with http:// or https://"),
        ({"url": "-o/tmp/x http://x"}, "url must begin with"),
        ({"url": "http://"}, "url must begin with"),
        ({"url": "http://x/\nproxy = y"}, "url holds a line break"),
        ({"url": "http://a b/"}, "the host in url holds a space"),
        ({"url": "http://x", "method": "BREW"}, 'method "BREW" is not known'),
        ({"url": "http://x", "method": "GET\nurl=y"}, "is not known"),
        ({"url": "http://x", "headers": {"A": "b\r\nC: d"}}, "header A holds a line break"),
        ({"url": "http://x", "headers": {"A: b": "c"}}, '"A: b" is not a header name'),
        ({"url": "http://x", "headers": {"@file": "c"}}, '"@file" is not a header name'),
        ({"url": "http://x", "headers": {"A": [1]}}, "header A must be a text"),
        ({"url": "http://x", "headers": "A: b"}, "headers must be an object"),
        ({"url": "http://x", "query": "a=b"}, "query must be an object"),
        ({"url": "http://x", "query": {"a": {"b": 1}}}, "query.a must be a text"),
        ({"url": "http://x", "form": {"a": {"b": 1}}}, "form.a must be a text"),
        ({"url": "http://x", "body": "a", "form": {}}, "only one of body and form can be sent"),
        ({"url": "http://x", "method": "HEAD", "body": "a"}, "HEAD cannot carry a body"),
        ({"url": "http://x", "auth_type": "digest"}, 'auth_type "digest" is not known'),
        ({"url": "http://x", "auth_type": "bearer"}, "auth_type bearer needs token"),
        ({"url": "http://x", "auth_type": "bearer", "token": "a\nB: c"}, "header Authorization holds a line break"),
        ({"url": "http://x", "auth_type": "api_key"}, "auth_type api_key needs api_key_value"),
        ({"url": "http://x", "auth_type": "basic", "username": "a:b"}, "username must not hold a colon"),
        ({"url": "http://x", "token": "t"}, "credentials are given but auth_type is none"),
        (
            {"url": "http://x", "auth_type": "bearer", "token": "t", "headers": {"authorization": "u"}},
            "header Authorization is given twice",
        ),
        ({"url": "http://x", "timeout": 0}, "timeout must be a number of seconds above 0"),
        ([], "the parameters must be one JSON object"),
        ("", "the parameters are missing"),
        ("{", "the parameters cannot be read"),
    ],
)
def test_bad_parameters_are_refused_with_a_sentence(
    run_action: RunAction, tmp_path: Path, parameters: object, complaint: str
) -> None:
    outcome = run_action("http_request", parameters)
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("http_request: ")
    assert complaint in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_nobody_listening_is_said_plainly(run_action: RunAction) -> None:
    outcome = run_action("http_request", {"url": "http://127.0.0.1:1/secret-path"})
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr == "http_request: could not connect to 127.0.0.1:1 (curl 7)\n"


def test_a_host_that_does_not_exist_is_said_plainly(run_action: RunAction) -> None:
    outcome = run_action("http_request", {"url": "http://nowhere.invalid/"})
    assert outcome.stderr == "http_request: could not find the host nowhere.invalid:80 (curl 6)\n"


def test_a_host_in_capitals_with_its_usual_port_is_the_same_host(run_action: RunAction, website: Website) -> None:
    website.on("/start", 302, Location=f"http://LOCALHOST:{website.port}/end")
    login = {"auth_type": "bearer", "token": "t"}
    answer_of(run_action("http_request", {"url": f"http://localhost:{website.port}/start", **login}))
    assert website.requests[1]["headers"]["Authorization"] == "Bearer t"


def test_a_slow_server_meets_the_timeout(run_action: RunAction, website: Website) -> None:
    release = threading.Event()
    website.answers["/slow"] = lambda _: release.wait(30)
    outcome = run_action("http_request", {"url": f"{website.url}/slow", "timeout": 0.5})
    release.set()
    assert outcome.returncode == 1
    assert "no answer from 127.0.0.1:" in outcome.stderr
    assert "within the timeout (curl 28)" in outcome.stderr


def test_a_connection_cut_short_is_said_plainly(run_action: RunAction, website: Website) -> None:
    website.answers["/cut"] = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    outcome = run_action("http_request", {"url": f"{website.url}/cut"})
    assert outcome.returncode == 1
    assert "closed the connection without a complete answer" in outcome.stderr


@pytest.mark.parametrize("stated", [True, False])
def test_an_answer_that_is_too_large_is_refused(run_action: RunAction, website: Website, stated: bool) -> None:
    def reply(handler) -> None:
        handler.send_response(200)
        if stated:
            handler.send_header("Content-Length", str(64 * 1024 * 1024))
        else:
            handler.send_header("Connection", "close")
        handler.end_headers()
        try:
            for _ in range(1024):
                handler.wfile.write(b"x" * 65536)
        except OSError:
            handler.close_connection = True

    website.answers["/huge"] = reply
    outcome = run_action("http_request", {"url": f"{website.url}/huge"})
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "is larger than 5242880 bytes" in outcome.stderr


def test_secrets_and_parameters_are_on_no_command_line_and_in_no_environment(
    run_action: RunAction, website: Website, tmp_path: Path
) -> None:
    marker = "CANARY7391"
    seen: list[bytes] = []
    modes: list[int] = []

    def reply(handler) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    seen.append((process / name).read_bytes())
                except OSError:
                    continue
        modes.extend(path.stat().st_mode & 0o077 for path in tmp_path.rglob("*"))
        website.send(handler, 302 if handler.path.startswith("/a") else 200, b"", {"Location": f"/b?{marker}"})

    website.answers["/a"] = website.answers["/b"] = reply
    outcome = run_action(
        "http_request",
        {
            "url": f"{website.url}/a?{marker}",
            "method": "PUT",
            "headers": {"X-Mine": marker},
            "query": {"q": marker},
            "body": marker,
            "auth_type": "bearer",
            "token": marker,
        },
    )
    assert outcome.returncode == 0, outcome.stderr
    assert len(website.requests) == 2
    assert any(b"curl" in text for text in seen)
    assert not any(marker.encode() in text for text in seen)
    assert modes
    assert set(modes) == {0}
    assert list(tmp_path.iterdir()) == []


def test_told_to_end_it_ends_at_once_and_leaves_nothing(website: Website, tmp_path: Path) -> None:
    arrived, release = threading.Event(), threading.Event()

    def reply(_: object) -> None:
        arrived.set()
        release.wait(30)

    website.answers["/slow"] = reply
    with subprocess.Popen(
        ["bash", str(SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
    ) as process:
        process.stdin.write(json.dumps({"url": f"{website.url}/slow", "timeout": 300}))
        process.stdin.close()
        assert arrived.wait(30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 143
    release.set()
    assert list(tmp_path.iterdir()) == []


def test_many_at_a_time_do_not_disturb_each_other(run_action: RunAction, website: Website) -> None:
    outcomes: dict[int, dict] = {}

    def call(number: int) -> None:
        outcomes[number] = answer_of(run_action("http_request", {"url": f"{website.url}/{number}"}))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: answer["url"] for number, answer in outcomes.items()} == {n: f"{website.url}/{n}" for n in range(6)}


def test_a_certificate_nobody_vouches_for_is_refused_unless_told_otherwise(
    run_action: RunAction, website: Website, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _serve_tls(website, tmp_path_factory.mktemp("tls"))
    url = f"https://127.0.0.1:{website.port}/"
    refused = run_action("http_request", {"url": url})
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"the certificate of 127.0.0.1:{website.port} cannot be verified (curl 60)" in refused.stderr
    assert website.requests == []
    assert answer_of(run_action("http_request", {"url": url, "verify_ssl": False}))["success"] is True


def _serve_tls(website: Website, folder: Path) -> None:
    """Turn the website's port into TLS with a certificate that it signed itself."""
    import datetime
    import ipaddress
    import ssl

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    website.server.socket = context.wrap_socket(website.server.socket, server_side=True)
