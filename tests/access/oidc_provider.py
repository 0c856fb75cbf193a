"""A real OpenID provider as a process of its own: django-oauth-toolkit, which signs tokens and insists on PKCE.

`python -m tests.access.oidc_provider FOLDER PORT` answers at http://127.0.0.1:PORT/o. Whoever calls /login/?as=NAME is
that person. `POST /switch` says what is in tokens, and makes the provider lie in the ways that tests are about.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
from pathlib import Path
from typing import Any

CLIENT_ID, CLIENT_SECRET = "attune", "the-secret-of-attune"
STATE: dict[str, Any] = {}


def configure(folder: Path, port: int) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from django.conf import settings

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "oauth2_provider"]
    settings.configure(
        SECRET_KEY="the provider's",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="tests.access.oidc_provider",
        INSTALLED_APPS=apps,
        MIGRATION_MODULES={name.rpartition(".")[2]: None for name in apps},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "provider.sqlite3"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SESSION_COOKIE_NAME="provider_session",
        LOGIN_URL="/login/",
        USE_TZ=True,
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # of client secrets
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "tests.access.oidc_provider.lie",
        ],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": key.decode(),
            "OIDC_ISS_ENDPOINT": f"http://127.0.0.1:{port}/o",
            "OAUTH2_VALIDATOR_CLASS": "tests.access.oidc_provider.Claims",
            "SCOPES": dict.fromkeys(("openid", "profile", "email"), "what one needs"),
            "PKCE_REQUIRED": True,
        },
    )


def prepare(redirect_uris: str) -> None:
    from oauth2_provider.models import Application

    Application.objects.update_or_create(
        client_id=CLIENT_ID,
        defaults={
            "client_secret": CLIENT_SECRET,
            "client_type": Application.CLIENT_CONFIDENTIAL,
            "authorization_grant_type": Application.GRANT_AUTHORIZATION_CODE,
            "redirect_uris": redirect_uris,
            "algorithm": Application.RS256_ALGORITHM,
            "skip_authorization": True,
        },
    )


def switch(request: Any) -> Any:
    """What the provider says and how it lies from now on, replacing what was said before."""
    from django.http import HttpResponse

    STATE.clear()
    STATE.update(json.loads(request.body))
    prepare(STATE["redirect_uris"])
    return HttpResponse("switched")


def login(request: Any) -> Any:
    """No password: this provider believes everybody."""
    from django.contrib import auth
    from django.http import HttpResponse, HttpResponseRedirect

    name, to = request.GET.get("as"), request.GET.get("next", "")
    if not name:
        fields = f'<input name="as" autofocus><input type="hidden" name="next" value="{to}"><button>Go on</button>'
        return HttpResponse(f"<h1>Who are you?</h1><form>{fields}</form>")
    user, _ = auth.get_user_model().objects.get_or_create(username=name)
    auth.login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponseRedirect(to) if to else HttpResponse("signed in")


def lie(get_response: Any) -> Any:
    """The middleware: changes what the toolkit answers, where it was switched to do so."""

    def answer(request: Any) -> Any:
        STATE.setdefault("asked", []).append(request.path)
        if request.path in STATE.get("down", []):
            from django.http import HttpResponse

            return HttpResponse("out of order", status=500)
        response = get_response(request)
        if request.path == "/o/token/" and response.status_code == 200 and "forge" in STATE:
            body = json.loads(response.content)
            body["id_token"] = forge(body["id_token"], **STATE["forge"])
            response.content = json.dumps({name: value for name, value in body.items() if value is not None})
        if request.path == "/o/.well-known/openid-configuration":
            response.content = json.dumps(json.loads(response.content) | STATE.get("metadata", {}))
        if request.path == "/o/userinfo/" and "userinfo" in STATE:
            response.content = json.dumps(json.loads(response.content) | STATE["userinfo"])
        return response

    return answer


def forge(text: str, *, claims: dict[str, Any] | None = None, by: str = "", later: int = 0) -> str | None:
    """The ID token with other claims and times, signed as `by` says: rightly if it says nothing."""
    from django.conf import settings
    from jwcrypto import jwk, jwt

    header, body, signature = text.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    said |= {name: said[name] + later for name in ("exp", "iat")}
    said = {name: value for name, value in (said | (claims or {})).items() if value is not None}
    key = jwk.JWK.from_pem(settings.OAUTH2_PROVIDER["OIDC_RSA_PRIVATE_KEY"].encode())
    kid = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    if by == "nobody":
        return None
    if by == "none":
        return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(said)}."
    if by == "public key":  # as a shared secret, which a careless client would check it with
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{_part(said)}"
        mac = hmac.new(key.export_to_pem(), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    if by == "client secret":
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(said)}"
        mac = hmac.new(CLIENT_SECRET.encode(), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    if by == "another key":
        key = jwk.JWK.generate(kty="RSA", size=2048)
    if by == "key in the token":
        key = jwk.JWK.generate(kty="EC", crv="P-256")
        token = jwt.JWT({"alg": "ES256", "kid": kid, "jwk": json.loads(key.export_public())}, said)
        token.make_signed_token(key)
        return token.serialize()
    if by == "the signature before":
        return f"{header}.{_part(said)}.{signature}"
    token = jwt.JWT({"alg": "RS256", "kid": "unknown" if by == "unknown key" else kid}, said)
    token.make_signed_token(key)
    return token.serialize()


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def serve(folder: Path, port: int) -> None:
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    configure(folder, port)
    import django

    django.setup()
    from django.core.management import call_command
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from django.http import JsonResponse
    from django.urls import include, path
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class Claims(OAuth2Validator):
        oidc_claim_scope = None

        def get_additional_claims(self, request: Any) -> dict[str, Any]:
            name = request.user.username
            known = {"preferred_username": name, "name": name.title(), "email": f"{name}@example.org"}
            said = {"sub": f"id-of-{name}", **known, "email_verified": True} | STATE.get("claims", {})
            return {name: value for name, value in said.items() if value is not None}

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    here = sys.modules[__name__]
    here.Claims = Claims  # type: ignore[attr-defined]
    here.urlpatterns = [  # type: ignore[attr-defined]
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path("login/", login),
        path("switch", switch),
        path("asked", lambda request: JsonResponse(STATE.get("asked", []), safe=False)),
    ]
    call_command("migrate", run_syncdb=True, verbosity=0)
    server = ThreadedWSGIServer(("127.0.0.1", port), Quiet)
    server.set_app(get_wsgi_application())
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.modules["tests.access.oidc_provider"] = sys.modules[__name__]
    serve(Path(sys.argv[1]), int(sys.argv[2]))
