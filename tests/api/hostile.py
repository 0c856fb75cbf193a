"""A corpus of requests made to break something: bodies, values, queries, paths, headers, pages, bytes."""

from __future__ import annotations

from typing import Any

DEEP = 100_000

BODIES: list[bytes] = [
    b"", b" ", b"{", b"}", b"[", b"]", b"{}", b"[]", b"null", b"true", b"0", b'"text"', b"undefined", b"{'a': 1}",
    b"{\"a\": 1,}", b"{\"a\" 1}", b"{a: 1}", b"{\"a\": 1}{\"a\": 2}", b"/* c */ {}", b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00", b"\x00", b"{\x00}", b"{\"ref\": \"\xff\"}", b"\x1f\x8b\x08\x00\x00", b"PK\x03\x04",
    b"<a/>", b"ref=a&ref=b", b'{"ref": NaN}', b'{"ref": Infinity}', b'{"ref": -Infinity}', b'{"ref": 1e400}',
    b'{"ref": -1e400}', b'{"ref": "\\u0000"}', b'{"ref": "\\ud800"}', b'{"\\ud800": 1}', b'{"ref": "\\udfff\\ud800"}',
    b'{"ref": "\\x41"}', b'{"ref": ' + b"9" * 5000 + b"}", b'{"ref": 0.' + b"1" * 100_000 + b"}",
    b'{"ref": 1' + b"0" * 400 + b".0}", b'{"ref": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"a":' * DEEP + b"1" + b"}" * DEEP, b"[" * DEEP, b'{"ref": ' * 50, b'{"ref": "a", "ref": "b"}',
    b'{"ref": "' + b"a" * 5_000_000 + b'"}', b'{"' + b"k" * 1_000_000 + b'": 1}',
    b"{" + b",".join(b'"k%d": 1' % number for number in range(50_000)) + b"}",
    b"[" + b",".join([b"{}"] * 50_000) + b"]", b'{"__proto__": {"admin": true}, "constructor": {"prototype": 1}}',
    b'{"__class__": "x", "pk": 1, "id": 1}',
]  # fmt: skip

# What may stand in any field of a request that is otherwise as it should be.
VALUES: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1.5, 1e308, "", " ", "\t\n", "a" * 100_000,
    "é" * 300, "\u202e\u0000x".replace("\u0000", ""), "\U0001f600", "../../etc/passwd", "..\\..\\x", "/etc/passwd",
    "file:///etc/passwd", "%2e%2e%2f", "a\r\nX-Evil: 1", "'; DROP TABLE x; --", "1 OR 1=1", "{{ 7 * 7 }}",
    "{% include 'x' %}", "${jndi:ldap://x}", "$(id)", "`id`", "| id", "--upload-pack=id", "-oProxyCommand=id",
    "ext::sh -c id", "__class__", "core.echo ", "CORE.ECHO", "core.\u0435cho", "core..echo", ".", "..", "core/echo",
    "²", "٣", "<script>alert(1)</script>", "javascript:alert(1)", [], [[]], [None], [1, "a", {}], {}, {"": ""},
    {"$ref": "#"}, {"$ref": "file:///etc/passwd"}, {"a": {"b": {"c": {}}}}, {"__gt": 1},
    {"type": "object", "properties": 5}, {"pattern": "(a+)+$"}, {"all": [{"all": []}]},
    [{"var": "payload.a", "==": "{{ key.x }}"}], {"var": ["a", "b"], ">=": {}},
]  # fmt: skip

# A door, and a request that it takes, or nearly.
DOORS: dict[str, dict[str, Any]] = {
    "/auth/login": {"login": "admin", "password": "wrong"},
    "/auth/refresh": {"refresh_token": "x"},
    "/api/v1/packs": {"ref": "mine", "label": "Mine", "version": "1.0.0", "description": "d", "conf_schema": {}},
    "/api/v1/triggers": {
        "ref": "mine.t", "pack_ref": "mine", "label": "T", "payload_schema": {}, "parameters_schema": {},
    },
    "/api/v1/rules": {
        "ref": "mine.r", "pack_ref": "mine", "label": "R", "trigger_ref": "adhoc.knocked", "action_ref": "core.echo",
        "criteria": {}, "action_params": {}, "trigger_params": {}, "enabled": True,
    },
    "/api/v1/rules/test": {"trigger_ref": "adhoc.knocked", "criteria": {}, "payload": {}, "action_params": {}},
    "/api/v1/rules/pause": {"paused": True, "reason": "r"},
    "/api/v1/events": {
        "trigger_ref": "adhoc.knocked", "payload": {}, "trigger_instance_id": "rule_1", "dedup_key": "d",
    },
    "/api/v1/executions/execute": {
        "action_ref": "core.none", "parameters": {}, "env_vars": {}, "timeout": 5, "trace_tag": "t",
        "run_after": "now",
    },
    "/api/v1/keys": {"local_ref": "k", "name": "k", "value": 1, "owner_type": "system", "encrypted": True},
    "/api/v1/policies": {
        "ref": "mine.p", "scope": "action", "scope_ref": "core.echo", "max_concurrent": 1, "group_by": [],
    },
    "/api/v1/pack-indices": {"url": "https://index.invalid/x.json", "position": 1},
    "/api/v1/packs/dependencies": {"pack_paths": ["/none"], "skip_validation": False},
}  # fmt: skip

QUERIES: list[str] = [
    "payload__a=1", "payload__a__b__regex=.", "_connector=OR", "_connector=OR 1=1 OR", "_negated=True", "pk=1",
    "id__in=1", "user__password__startswith=a", "created_by__password=a", "webhook_secret__gt=a", "value__contains=a",
    "ordering=-value", "order_by=value", "sort=password", "search=%00", "q=%00", "q=%ff", "ref=%00",
    "ref=' OR 1=1 --", "ref__isnull=maybe", "page=-1", "page=0", "page=1e3", "page=%D9%A3",
    "page=9999999999999999999999", "page_size=0", "page_size=1000000000", "page_size=-5", "per_page=abc",
    "include_total=2", "before=-1", "before=99999999999999999999", "after=x", "status=nonsense",
    "status=running&status=failed", "status[]=x", "created_after=yesterday", "created_before=9999-99-99",
    "since=0001-01-01T00:00:00Z", "until=99999-01-01", "limit=5;DROP", "fields=password", "expand=user.password",
    "format=api", "format=../../x", "callback=alert", "&&&&", "====", "%", "a" * 8000, "a=1&" * 2000,
    "trigger_ref=" + "x" * 5000,
]  # fmt: skip
LISTS = [
    "packs", "actions", "triggers", "sensors", "rules", "events", "enforcements", "executions", "keys", "runtimes",
    "workers", "policies", "audit-events", "pack-indices", "executions/stats",
]  # fmt: skip

PATHS: list[str] = [
    "/api/v1/../../etc/passwd", "/api/v1/%2e%2e/%2e%2e/etc/passwd", "/api/v1/packs/..", "/api/v1/packs/%2e%2e",
    "/api/v1/packs/..%2f..%2fetc%2fpasswd", "/api/v1/packs/%252e%252e", "/api/v1/packs/%00",
    "/api/v1/packs/core%00.json", "/api/v1/packs/%ff%fe", "/api/v1/packs/%E2%80%AE", "/api/v1/packs/" + "a" * 5000,
    "/api/v1/packs/' OR 1=1 --", "/api/v1/packs/{{7*7}}", "/api/v1/packs/%0d%0aX-Evil:1", "/api/v1//packs",
    "//api/v1/packs", "/api/v1/packs//", "/api/v1/packs/.", "/API/V1/packs", "/api/v1/packs;a=1",
    "/api/v1/packs/core.json", "/api/v1/packs/core/config/../keys", "/api/v1/packs/core/configs", "/api/v1/keys/..",
    "/api/v1/keys/a/b/c/../../..", "/api/v1/keys/%2fetc%2fpasswd", "/api/v1/executions/-1", "/api/v1/executions/0",
    "/api/v1/executions/1.5", "/api/v1/executions/%D9%A3", "/api/v1/executions/9223372036854775808",
    "/api/v1/executions/" + "9" * 100, "/api/v1/executions/0x1", "/api/v1/executions/1/logs/..",
    "/api/v1/executions/1/logs/stdout%00", "/api/v1/executions/1/logs/%2e%2e%2fstdout", "/api/v1/events/" + "9" * 30,
    "/api/v1/events/" + "9" * 30 + "/verdicts", "/api/v1/enforcements/" + "9" * 19, "/api/v1/workers/" + "9" * 20,
    "/api/v1/audit-events/" + "9" * 20, "/api/v1/pack-indices/" + "9" * 20, "/api/v1/packs/install/" + "9" * 20,
    "/api/v1/packs/tests/" + "9" * 20, "/api/v1/executions/" + "9" * 20 + "/logs/stdout",
    "/api/v1/enforcements/" + "9" * 20 + "/executions", "/api/v1/executions/status/" + "x" * 3000,
    "/api/v1/audit-events/by-request/%0a", "/static/../attune/settings.py", "/static/%2e%2e/settings.py",
    "/static//etc/passwd", "/admin/../api/v1/packs", "/.env", "/.git/config", "/var/attune.sqlite3", "/media/x",
    "/favicon.ico", "/server-status",
]  # fmt: skip

HEADERS: list[dict[str, str]] = [
    {"X-HTTP-Method-Override": "DELETE"}, {"X-HTTP-Method": "DELETE"}, {"X-Method-Override": "PUT"},
    {"X-Original-URL": "/admin/"}, {"X-Rewrite-URL": "/admin/"}, {"X-Forwarded-Host": "evil.example"},
    {"X-Forwarded-Prefix": "/evil"}, {"X-Forwarded-Proto": "https"}, {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Server": "evil"}, {"Forwarded": "for=127.0.0.1;host=evil"}, {"Host": "evil.example"}, {"Host": ""},
    {"Host": "localhost:99999999"}, {"Host": "localhost/evil"}, {"Host": "local host"}, {"Host": "[::1"},
    {"Host": "localhost\r\nX-Evil: 1"}, {"Host": "user:pass@localhost"}, {"Host": "lоcalhost"},
    {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": "bearer x y z"},
    {"Authorization": "Bearer " + "a" * 100_000}, {"Authorization": "Basic YWRtaW46YWRtaW4="},
    {"Authorization": "\x00"}, {"Authorization": "Bearer \xff\xfe"},
    {"Authorization": "Bearer atr_execution_" + "9" * 19 + "_1_" + "0" * 64},
    {"Authorization": "Bearer atr_execution_١_1_" + "0" * 64}, {"Authorization": "Bearer att_\x00"},
    {"Cookie": "sessionid=x"}, {"Cookie": 'sessionid="abcdefgh\\000ijkl"'}, {"Cookie": "sessionid=" + "a" * 50_000},
    {"Cookie": "=;;=;,"}, {"Cookie": "sessionid=\xff\xfe\xfdabcdefgh"},
    {"Cookie": 'csrftoken="\\000"; sessionid=abcdefghij'}, {"Accept": "text/html"}, {"Accept": "*/*;q=nonsense"},
    {"Accept": "a" * 50_000}, {"Accept-Language": "\x00" * 50}, {"Accept-Encoding": "gzip;q=1e999"},
    {"Content-Type": "application/json; charset=utf-7"}, {"Content-Type": "application/json; charset=nonsense"},
    {"Content-Type": "text/plain"}, {"Content-Type": "x"}, {"Content-Type": "multipart/form-data"},
    {"Content-Type": "multipart/form-data; boundary="}, {"Content-Type": "application/xml"},
    {"Content-Type": "application/x-python-pickle"}, {"Content-Encoding": "gzip"}, {"Idempotency-Key": "a" * 5000},
    {"Idempotency-Key": "\x00"}, {"Idempotency-Key": "é\u200b"}, {"Range": "bytes=0-1,5-2"},
    {"X-Request-ID": "a\r\nX-Evil: 1"}, {"X-Request-ID": "\x00"}, {"X-Request-ID": "a" * 10_000},
    {"Last-Event-ID": "9" * 50}, {"If-Modified-Since": "nonsense"}, {"Origin": "null"},
    {"Origin": "https://evil.example"}, {"Referer": "javascript:x"}, {"Transfer-Encoding": "gzip, chunked"},
    {"Upgrade": "websocket", "Connection": "Upgrade"}, {"Expect": "nonsense"}, {"traceparent": "00-" + "0" * 500},
    {"User-Agent": "() { :; }; id"}, {"User-Agent": "\x1b[2J" * 100},
]  # fmt: skip

# Pages of the admin.
PAGES: list[str] = [
    "/admin/rules/rule/?q=%00", "/admin/rules/rule/?o=999.-1.x", "/admin/rules/rule/?p=-1",
    "/admin/rules/rule/?p=1e9", "/admin/rules/event/?payload__a=1", "/admin/rules/event/?_connector=OR",
    "/admin/auth/user/?password__startswith=a", "/admin/auth/user/?user_permissions__content_type__model=x",
    "/admin/packs/key/?value__contains=a", "/admin/search/?q=%00", "/admin/search/?q=" + "a" * 5000,
    "/admin/rules/event/?created__gte=nonsense", "/admin/rules/event/?all=", "/admin/executions/execution/%00/",
    "/admin/executions/execution/%D9%A3/", "/admin/executions/execution/" + "9" * 30 + "/",
    "/admin/executions/execution/1_2F2/", "/admin/executions/execution/..%2f1/change/",
    "/admin/rules/rule/' OR 1=1 --/", "/admin/autocomplete/?app_label=auth&model_name=user&field_name=password",
    "/admin/autocomplete/?term=%00", "/admin/r/1/1/", "/admin/r/x/%00/", "/admin/auth/user/1/password/x/",
    "/admin/packs/pack/add/?ref=%00", "/admin/executions/execution/?status__exact=nonsense",
    "/admin/executions/execution/?created=x&created=y",
]  # fmt: skip

# What may be sent on a connection; `{host}` stands for the server.
RAW: list[bytes] = [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /health\r\n\r\n",
    b"get /health HTTP/1.1\r\nHost: {host}\r\n\r\n", b"GET /health HTTP/1.1\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n",
    b"GET http://evil.example/health HTTP/1.1\r\nHost: {host}\r\n\r\n",
    b"CONNECT evil.example:80 HTTP/1.1\r\nHost: {host}\r\n\r\n",
    b"TRACE /health HTTP/1.1\r\nHost: {host}\r\nCookie: a=CANARY\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: {host}\r\nno colon here\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: {host}\r\nX-A: a\x00b\r\n\r\n", b"GET /health HTTP/1.1\nHost: {host}\n\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: {host}\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: {host}\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n",
    b"GET /health HTTP/1.1\r\nHost: {host}\r\nX-A: " + b"b" * 500_000 + b"\r\n\r\n",
    b"GET /api/v1/packs/../../../etc/passwd HTTP/1.1\r\nHost: {host}\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: {host}\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: {host}\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"*1\r\n$4\r\nPING\r\n", b"\x00" * 4096,
    b"GET /docs HTTP/1.1\r\nHost: {host}\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    b"GET /api/v1/executions/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
]  # fmt: skip
