"""Says the secret it was given in the way it was asked for."""

import base64
import html
import json
import os
import sys
import time
import urllib.parse

if "ATTUNE_PARAMETER_FILE" in os.environ:
    with open(os.environ["ATTUNE_PARAMETER_FILE"]) as file:
        given = json.load(file)
else:
    given = json.loads(sys.stdin.readline())
assert sys.stdin.readline().strip() == "---ATTUNE_PARAMS_END---"
own = json.loads(sys.stdin.readline())["own"]
secret, way = given["p"], given["way"]
assert own["token"] == secret
raw = secret.encode()


def pieces(text, size):
    for at in range(0, len(text), size):
        os.write(1, text[at : at + size].encode())
        time.sleep(0.002)


def base64_of(before, after=""):
    return base64.b64encode(f"{before}{secret}{after}".encode()).decode()


def fail():
    raise RuntimeError(f"cannot log in with {secret!r}")


def key_error():
    return {}[secret]


WAYS = {
    "plain": lambda: print("secret:", secret),
    "stderr": lambda: print("secret:", secret, file=sys.stderr),
    "both": lambda: (print(secret), print(secret, file=sys.stderr)),
    "cut": lambda: pieces(f"it is {secret} and {secret}{secret}!", 3),
    "large": lambda: (print("x" * 65530 + secret), print("y" * 200_000, secret)),
    "base64": lambda: print(base64_of("")),
    "basic auth": lambda: print("Authorization: Basic", base64_of("me:")),
    "base64 aligned": lambda: print(base64_of("a", "z"), base64_of("ab", "z"), base64_of("abc", "\n")),
    "base64 of lines": lambda: print(base64.encodebytes(raw * 5).decode()),
    "base64 for addresses": lambda: print(base64.urlsafe_b64encode(raw).decode()),
    "quoted": lambda: print(urllib.parse.quote(secret), urllib.parse.quote(secret, safe="")),
    "form": lambda: print(urllib.parse.urlencode({"password": secret})),
    "json": lambda: print(json.dumps({"a": secret})),
    "json in json": lambda: print(json.dumps({"log": json.dumps({"a": secret})})),
    "json as it is": lambda: print(json.dumps({"a": [secret, {secret: 1}]}, ensure_ascii=False)),
    "hex": lambda: print(raw.hex(), raw.hex().upper()),
    "html": lambda: print(html.escape(secret)),
    "python": lambda: print(repr(secret), [secret], raw),
    "pem": lambda: print(own["pem"]),
    "a line of a pem": lambda: print(own["pem"].splitlines()[1]),
    "traceback": fail,
    "key error": key_error,
    "exit": lambda: sys.exit(f"wrong password {secret}"),
    "error as json": lambda: (print(json.dumps({"error": f"refused: {secret}"})), sys.exit(1)),
    "lines": lambda: print(json.dumps({"n": secret}) + "\n" + json.dumps({"n": [secret]})),
    "yaml": lambda: print(f"a: {json.dumps(secret)}"),
    "not json": lambda: print("{" + secret),
    "sleep": lambda: (print(secret, flush=True), time.sleep(60)),
    "sleep on stderr": lambda: (print(secret, file=sys.stderr, flush=True), time.sleep(60)),
}
WAYS[way]()
