"""Signatures of webhooks: the senders' own published examples, and every way of being wrong."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from apps.sensors import signatures
from apps.sensors.errors import SignatureRefused

# GitHub's own example, in "Validating webhook deliveries".
GITHUB_SECRET = b"It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB_PROOF = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

# Slack's own example, in "Verifying requests from Slack".
SLACK_SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"
SLACK_TIME = 1531420618
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
    b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
    b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
    b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_PROOF = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"

# Made with `openssl dgst -sha256 -hmac`.
BODY = b'{"id":"evt_1","type":"payment_intent.succeeded"}'
STRIPE_SECRET, STRIPE_TIME = b"whsec_test_secret", 1700000000
STRIPE_PROOF = "22d8dc182f5c588077683bd378368e29765bfe5df2560112b4f28fef120f0e31"
ATTUNE_SECRET = b"attune-secret"
ATTUNE_PROOF = "97c5da5a8c33f916dbb986f7a708b17c53d5e11511acf3ecc9f10c2d173338cc"


def slack(proof: str = SLACK_PROOF, time: str = str(SLACK_TIME)) -> dict[str, str]:
    return {"x-slack-signature": proof, "x-slack-request-timestamp": time}


GOOD = [
    ("github", GITHUB_SECRET, {"x-hub-signature-256": f"sha256={GITHUB_PROOF}"}, GITHUB_BODY, 0.0),
    ("github", GITHUB_SECRET, {"x-hub-signature-256": f"sha256={GITHUB_PROOF.upper()}"}, GITHUB_BODY, 0.0),
    ("generic", GITHUB_SECRET, {"x-hub-signature-256": GITHUB_PROOF}, GITHUB_BODY, 0.0),
    ("attune", ATTUNE_SECRET, {"x-webhook-signature": f"sha256={ATTUNE_PROOF}"}, BODY, 0.0),
    ("attune", ATTUNE_SECRET, {"x-webhook-signature": f" {ATTUNE_PROOF} "}, BODY, 0.0),
    ("stripe", STRIPE_SECRET, {"stripe-signature": f"t={STRIPE_TIME},v1={STRIPE_PROOF}"}, BODY, STRIPE_TIME),
    (
        "stripe",
        STRIPE_SECRET,
        {"stripe-signature": f"t={STRIPE_TIME}, v1={STRIPE_PROOF}, v0=x"},
        BODY,
        STRIPE_TIME + 300,
    ),
    (
        "stripe",
        STRIPE_SECRET,
        {"stripe-signature": f"t={STRIPE_TIME},v1={'0' * 64},v1={STRIPE_PROOF}"},
        BODY,
        STRIPE_TIME - 300,
    ),
    ("slack", SLACK_SECRET, slack(), SLACK_BODY, SLACK_TIME),
    ("slack", SLACK_SECRET, slack(), SLACK_BODY, SLACK_TIME + 299.0),
]


@pytest.mark.parametrize(("scheme", "secret", "headers", "body", "now"), GOOD)
def test_a_signature_that_fits_is_taken(
    scheme: str, secret: bytes, headers: dict[str, str], body: bytes, now: float
) -> None:
    signatures.check(scheme, secret=secret, headers=headers, body=body, now=now)


@pytest.mark.parametrize(("scheme", "secret", "headers", "body", "now"), GOOD)
def test_one_byte_off_is_refused(scheme: str, secret: bytes, headers: dict[str, str], body: bytes, now: float) -> None:
    for wrong in ({"body": body + b" "}, {"body": body[:-1]}, {"secret": secret + b"x"}, {"secret": b""}):
        with pytest.raises(SignatureRefused):
            signatures.check(scheme, **({"secret": secret, "body": body} | wrong), headers=headers, now=now)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scheme", "headers", "hint"),
    [
        ("github", {}, "missing"),
        ("github", {"x-hub-signature-256": ""}, "missing"),
        ("github", {"x-hub-signature-256": GITHUB_PROOF}, "sha256="),
        ("github", {"x-hub-signature-256": f"sha1={GITHUB_PROOF}"}, "sha256="),
        ("github", {"x-hub-signature-256": "sha256="}, "does not fit"),
        ("github", {"x-hub-signature-256": "sha256=" + "١" * 64}, "does not fit"),
        ("github", {"x-hub-signature-256": "sha256=" + "a" * 5000}, "too long"),
        ("stripe", {"stripe-signature": f"v1={STRIPE_PROOF}"}, "t=<seconds>"),
        ("stripe", {"stripe-signature": f"t={STRIPE_TIME}"}, "t=<seconds>"),
        ("stripe", {"stripe-signature": f"t=1,t={STRIPE_TIME},v1={STRIPE_PROOF}"}, "t=<seconds>"),
        ("stripe", {"stripe-signature": f"t=now,v1={STRIPE_PROOF}"}, "not a number"),
        ("stripe", {"stripe-signature": f"t=١٧٠٠٠٠٠٠٠٠,v1={STRIPE_PROOF}"}, "not a number"),
        ("stripe", {"stripe-signature": f"t={STRIPE_TIME},v0={STRIPE_PROOF}"}, "t=<seconds>"),
        ("stripe", {"stripe-signature": f"t={STRIPE_TIME - 1},v1={STRIPE_PROOF}"}, "does not fit"),
        ("slack", {"x-slack-signature": SLACK_PROOF}, "missing"),
        ("slack", slack(proof="v1=abc", time=str(STRIPE_TIME)), "v0="),
        ("slack", slack(time=""), "missing"),
        ("slack", slack(time="-5"), "not a number"),
        ("attune", {"x-webhook-signature": "md5=abc"}, "sha256="),
        ("nonsense", {}, "unknown"),
    ],
)
def test_a_signature_of_the_wrong_form_is_told_so(scheme: str, headers: dict[str, str], hint: str) -> None:
    with pytest.raises(SignatureRefused, match=hint) as refused:
        signatures.check(scheme, secret=STRIPE_SECRET, headers=headers, body=BODY, now=STRIPE_TIME)
    assert STRIPE_PROOF not in refused.value.message


@pytest.mark.parametrize("seconds", [-301, 301, 86400])
@pytest.mark.parametrize(
    ("scheme", "secret", "headers", "body", "signed_at"),
    [
        ("stripe", STRIPE_SECRET, {"stripe-signature": f"t={STRIPE_TIME},v1={STRIPE_PROOF}"}, BODY, STRIPE_TIME),
        ("slack", SLACK_SECRET, slack(), SLACK_BODY, SLACK_TIME),
    ],
)
def test_a_replay_outside_the_tolerance_is_refused(
    scheme: str, secret: bytes, headers: dict[str, str], body: bytes, signed_at: int, seconds: int
) -> None:
    with pytest.raises(SignatureRefused, match="300 seconds away"):
        signatures.check(scheme, secret=secret, headers=headers, body=body, now=signed_at + seconds)
    signatures.check(scheme, secret=secret, headers=headers, body=body, now=signed_at + seconds, tolerance=100_000)


def test_the_generic_scheme_reads_the_header_it_is_told_to() -> None:
    headers = {"x-acme-proof": GITHUB_PROOF}
    signatures.check("generic", secret=GITHUB_SECRET, headers=headers, body=GITHUB_BODY, now=0, header="X-Acme-Proof")


def test_our_signature_is_plain_hmac_over_the_parts() -> None:
    assert signatures.signature(b"k", b"a", b"b") == hmac.new(b"k", b"ab", hashlib.sha256).hexdigest()
