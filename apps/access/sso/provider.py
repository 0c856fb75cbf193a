"""Talks to the OpenID provider: where to send somebody, and who has come back. Loaded when the first one signs on.

Authlib knows OAuth and joserfc signatures; what may be trusted is said here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx
from authlib.common.security import generate_token
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from django.utils.crypto import constant_time_compare
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from apps.access.sso.configuration import Oidc
from apps.access.sso.errors import NotAdmitted, ProviderUnavailable, SignOnFailed
from apps.access.sso.people import Arrival

# Neither `none` nor those with a shared secret, whatever the provider offers.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
LEEWAY = 60  # seconds that two clocks may differ
FRESH = 3600  # seconds that what the provider says of itself is believed
_TIMEOUT = httpx.Timeout(10, connect=5)
_LARGEST = 1024 * 1024  # bytes of an answer
_UNTRUSTED = "The answer of the sign-on provider cannot be trusted. Try again; if it stays so, tell an administrator."


@dataclass(frozen=True)
class Departure:
    """What this browser must bring back, or what is kept for it until then."""

    state: str
    nonce: str
    verifier: str
    redirect_to: str


class Provider:
    """One provider, with what it says of itself and its keys, kept for a while."""

    def __init__(self, config: Oidc) -> None:
        self.config = config
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._read_at = 0.0

    def begin(self, *, callback: str, redirect_to: str) -> tuple[str, Departure]:
        """Where to send the browser, and what to remember until it is back. Raises: ProviderUnavailable."""
        departure = Departure(generate_token(43), generate_token(43), generate_token(64), redirect_to)
        url, _ = self._client(callback).create_authorization_url(
            self._endpoint("authorization_endpoint"),
            state=departure.state,
            code_verifier=departure.verifier,
            nonce=departure.nonce,
        )
        return url, departure

    def finish(self, answer: Mapping[str, str], departure: Departure, *, callback: str) -> Arrival:
        """Who has come back. Raises: SignOnFailed, NotAdmitted, ProviderUnavailable."""
        self._check_sender(answer)
        if answer.get("error"):
            raise NotAdmitted(
                "The sign-on provider did not let you in.", reason=f"The provider says {answer['error'][:100]}."
            )
        try:
            token = self._client(callback).fetch_token(
                self._endpoint("token_endpoint"), code=answer.get("code", ""), code_verifier=departure.verifier
            )
        except OAuth2Error as error:
            raise SignOnFailed(_UNTRUSTED, reason=f"The provider refuses the code: {error.error}.") from None
        except (httpx.HTTPError, ValueError) as error:
            raise _unavailable(error) from None
        claims = self._claims(token, departure.nonce)
        return self._arrival(self._completed(claims, str(token.get("access_token", ""))))

    def _check_sender(self, answer: Mapping[str, str]) -> None:
        """Whether it is this provider that answers, where it says who it is (RFC 9207)."""
        given = answer.get("iss", "")
        says_so = self.metadata.get("authorization_response_iss_parameter_supported") is True
        if (given or says_so) and not constant_time_compare(given, self.config.issuer):
            raise SignOnFailed(_UNTRUSTED, reason=f"The answer is from {given[:200] or 'nobody'}, not from the issuer.")

    def _claims(self, token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """What the ID token says, once its signature and everything that makes it ours is checked."""
        config, text = self.config, token.get("id_token")
        if not isinstance(text, str):
            raise SignOnFailed(_UNTRUSTED, reason="The provider sent no ID token.")
        try:
            try:
                decoded = jwt.decode(text, self._key_set(), algorithms=ALGORITHMS)
            except InvalidKeyIdError:
                decoded = jwt.decode(text, self._key_set(anew=True), algorithms=ALGORITHMS)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": config.issuer},
                    "aud": {"essential": True, "value": config.client_id},
                    "sub": {"essential": True},
                },
                {"nonce": nonce, "client_id": config.client_id, "access_token": token.get("access_token")},
            )
            claims.validate(leeway=LEEWAY)
        except (JoseError, ValueError) as error:
            raise SignOnFailed(_UNTRUSTED, reason=f"The ID token is not valid: {error}") from None
        return dict(claims)

    def _completed(self, claims: dict[str, Any], access_token: str) -> dict[str, Any]:
        """With what the provider tells only when asked for it, if anything that we need is missing."""
        needed = [self.config.username_claim, self.config.groups_claim if self.config.admission.roles else "sub"]
        if all(_claim(claims, name) is not None for name in needed) or "userinfo_endpoint" not in self.metadata:
            return claims
        more = self._get(self._endpoint("userinfo_endpoint"), {"Authorization": f"Bearer {access_token}"})
        if more.get("sub") != claims["sub"]:
            raise SignOnFailed(_UNTRUSTED, reason="The user info is about somebody else than the ID token.")
        return more | claims

    def _arrival(self, claims: Mapping[str, Any]) -> Arrival:
        config = self.config
        verified = str(claims.get("email_verified")) in ("True", "true")  # some providers send it as a text
        if config.username_claim == "email" and not verified:
            raise NotAdmitted(
                "Your e-mail address is your name here, and the sign-on provider has not verified it.",
                reason=f"The e-mail address of {claims['sub']} is not verified.",
            )
        if not _text(claims["sub"]) or len(claims["sub"]) > 255:
            raise SignOnFailed(_UNTRUSTED, reason="The subject is empty, not printable, or over 255 characters.")
        return Arrival(
            provider="oidc",
            issuer=config.issuer,
            subject=claims["sub"],
            name=_text(_claim(claims, config.username_claim)),
            display_name=_text(claims.get("name")),
            email=_text(claims.get("email")) if verified else "",
            groups=_texts(_claim(claims, config.groups_claim)),
        )

    # What the provider says of itself --------------------------------------------------------------------------------
    @property
    def metadata(self) -> dict[str, Any]:
        """Raises: ProviderUnavailable."""
        if not self._metadata or time.monotonic() - self._read_at > FRESH:
            self._read_metadata()
        return self._metadata

    def _read_metadata(self) -> None:
        issuer = self.config.issuer
        found = self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise ProviderUnavailable(
                "The sign-on provider is not set up right; tell an administrator.",
                reason=f"{issuer} calls itself {str(found.get('issuer'))[:200]}; set OIDC_ISSUER to that very text.",
            )
        self._metadata, self._keys, self._read_at = found, None, time.monotonic()

    def _endpoint(self, name: str) -> str:
        """An address of the provider; no less safe than the issuer's own."""
        address = self.metadata.get(name)
        secure = self.config.issuer.startswith("https://")
        if not isinstance(address, str) or not address.startswith("https://" if secure else ("https://", "http://")):
            raise _unavailable(ValueError(f"{name} is {str(address)[:200]}"))
        return address

    def _key_set(self, *, anew: bool = False) -> KeySet:
        if self._keys is None or anew:
            keys = self._get(self._endpoint("jwks_uri")).get("keys")
            usable = [key for key in keys if _signs(key)] if isinstance(keys, list) else []
            self._keys = KeySet.import_key_set({"keys": usable})
        return self._keys

    def _get(self, address: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        try:
            answer = _http().get(address, headers=dict(headers or {}))
            answer.raise_for_status()
            found = answer.json() if len(answer.content) <= _LARGEST else None
        except (httpx.HTTPError, ValueError) as error:
            raise _unavailable(error) from None
        if not isinstance(found, dict):
            raise _unavailable(ValueError(f"{address} answers no JSON object"))
        return found

    def _client(self, callback: str) -> _Client:
        offered = self.metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        by = "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
        return _Client(
            _http(),
            client_id=self.config.client_id,
            client_secret=self.config.client_secret or None,
            token_endpoint_auth_method=by if self.config.client_secret else "none",
            scope=self.config.scopes,
            redirect_uri=callback,
            code_challenge_method="S256",
        )


class _Client(OAuth2Client):
    """Authlib's client with httpx below it."""

    def _fetch_token(
        self, url: str, body: str = "", headers: Any = None, auth: Any = None, method: str = "POST", **_: Any
    ) -> Any:
        url, headers, body = auth.prepare(method, url, dict(headers), body)
        return self.parse_response_token(self.session.post(url, content=body, headers=headers))


@lru_cache(maxsize=1)
def provider_of(config: Oidc) -> Provider:
    """The provider that the settings name; each process knows it once."""
    return Provider(config)


@lru_cache(maxsize=1)
def _http() -> httpx.Client:
    """Made once, since reading all certificates costs. Follows no redirects: a secret goes where it is meant to go."""
    return httpx.Client(timeout=_TIMEOUT, headers={"Accept": "application/json"})


def _unavailable(error: Exception) -> ProviderUnavailable:
    return ProviderUnavailable(
        "The sign-on provider does not answer as it should; try again in a while.",
        reason=f"{type(error).__name__}: {error}"[:300],
    )


def _signs(key: Any) -> bool:
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by the way to it: `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _text(value: Any) -> str:
    """A text that can be shown and kept; PostgreSQL, for one, takes no NUL."""
    return value if isinstance(value, str) and value.isprintable() else ""


def _texts(value: Any) -> frozenset[str]:
    values = value if isinstance(value, list) else [value]
    return frozenset(filter(None, map(_text, values)))
