"""What a webhook asks of those who knock, and what it makes of a body. Pure: no database, no request object."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl

from apps.sensors import signatures
from apps.sensors.errors import BodyNotAnObject, BodyUnreadable, ContentTypeRefused, NetworkRefused
from attune.lib import strictjson

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 1000  # of a form
LONGEST_DELIVERY_ID = 300
WRAPPER_NAMES = frozenset({"payload", "headers", "source_ip", "user_agent"})  # the SDK's WebhookReceiverRequest

# Headers that rules may look at as `event.config.headers`; all others (credentials, cookies, proofs) are dropped.
KEPT_HEADERS = frozenset(
    {
        "content-type", "user-agent", "x-request-id", "x-correlation-id", "traceparent", "idempotency-key",
        "x-github-event", "x-github-delivery", "x-github-hook-id",
        "x-github-hook-installation-target-type", "x-github-hook-installation-target-id",
        "x-gitlab-event", "x-gitlab-event-uuid", "x-gitlab-instance",
        "x-gitea-event", "x-gitea-event-type", "x-gitea-delivery", "x-gogs-event", "x-gogs-delivery",
        "x-event-key", "x-hook-uuid", "x-request-uuid", "x-event-type", "x-event-name",
        "x-webhook-event", "x-webhook-id", "webhook-id", "webhook-timestamp", "x-atlassian-webhook-identifier",
        "x-slack-request-timestamp", "x-slack-retry-num", "x-slack-retry-reason",
        "x-shopify-topic", "x-shopify-shop-domain", "x-shopify-webhook-id",
        "ce-id", "ce-type", "ce-source", "ce-subject", "ce-time", "ce-specversion",
        "x-amz-sns-message-type", "x-amz-sns-message-id",
    }
)  # fmt: skip
_LONGEST_KEPT = 500
# Headers that let somebody in, or prove something; they are kept nowhere as they are, whatever the options say.
CREDENTIALS = frozenset(
    {
        "authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token", "x-gitlab-token",
        "x-hub-signature", "x-hub-signature-256", "x-webhook-signature", "x-signature", "stripe-signature",
        "x-slack-signature", "webhook-signature", "x-shopify-hmac-sha256", "x-attune-signature",
    }
)  # fmt: skip
# Where senders put the id that stays the same when they send a delivery again.
DELIVERY_HEADERS = ("x-github-delivery", "webhook-id", "idempotency-key")


@dataclass(frozen=True)
class Options:
    """A trigger's `webhook_config`, with what was left out filled in."""

    scheme: str = ""
    header: str = ""
    tolerance: float = signatures.TOLERANCE
    networks: tuple[str, ...] = ()
    rate_limit: int = 0  # deliveries a minute; 0: as many as come
    max_bytes: int = 0
    dedup_header: str = ""

    @classmethod
    def of(cls, config: Mapping[str, Any], *, has_secret: bool, max_bytes: int) -> Options:
        """Read the options; a secret without a scheme means `generic`, `max_bytes` is the installation's own limit."""
        return cls(
            scheme=str(config.get("scheme") or ("generic" if has_secret else "")),
            header=str(config.get("header") or ""),
            tolerance=float(signatures.TOLERANCE if config.get("tolerance") is None else config["tolerance"]),
            networks=tuple(config.get("networks") or ()),
            rate_limit=int(config.get("rate_limit") or 0),
            max_bytes=int(config.get("max_bytes") or max_bytes),
            dedup_header=str(config.get("dedup_header") or "").lower(),
        )


def check_network(address: str, networks: tuple[str, ...]) -> None:
    """Return when the address is in one of the networks, or there are none. Raises NetworkRefused."""
    if not networks:
        return
    try:
        sender = ip_address(address)
    except ValueError:
        raise NetworkRefused("The sender's address is unknown, and this webhook takes only certain networks.") from None
    if isinstance(sender, IPv6Address) and sender.ipv4_mapped:
        sender = sender.ipv4_mapped
    if not any(sender in network for network in _parsed(networks)):
        raise NetworkRefused(f"The address {sender} is in none of the networks this webhook takes.")


@lru_cache(maxsize=256)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(network, strict=False) for network in networks)
    except ValueError as error:
        raise NetworkRefused(f"The webhook's list of networks is wrong: {error}. Correct it on the trigger.") from None


def check_kind(content_type: str, content_encoding: str = "") -> str:
    """The kind of body a content type announces: `json` or `form`. Raises ContentTypeRefused."""
    if content_encoding.strip().lower() not in ("", "identity"):
        raise ContentTypeRefused(f"Content-Encoding {content_encoding[:40]} is not read; send the body as it is.")
    kind, _, rest = content_type.partition(";")
    kind = kind.strip().lower()
    charset = rest.lower().partition("charset=")[2].partition(";")[0].strip().strip('"')
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise ContentTypeRefused(f"The charset {charset[:40]} is not read; send UTF-8.")
    if kind in ("", "application/json") or (kind.startswith("application/") and kind.endswith("+json")):
        return "json"
    if kind == FORM:
        return "form"
    raise ContentTypeRefused(f"Content-Type {kind[:100]} is not read; send application/json or {FORM}.")


def read_body(body: bytes, kind: str) -> dict[str, Any]:
    """The event's payload. An empty body is an empty payload.

    A JSON object is the payload itself, unless it is the SDK's wrapper. A form becomes an object of texts (a name given
    twice: a list); GitHub's form is the JSON in its field `payload`; what curl calls a form by default, but is a JSON
    object, is read as that. Raises BodyUnreadable (400), BodyNotAnObject (422).
    """
    if not body.strip():
        return {}
    if kind == "form" and not body.lstrip().startswith(b"{"):
        return _form(body)
    return _unwrapped(_object(body))


def delivery_id(options: Options, headers: Mapping[str, str], payload: Mapping[str, Any], mark: str = "") -> str:
    """The sender's own id of this delivery, by which a second one is known; empty when it gives none.

    `mark` is what `signatures.check` gave: it stands in where a delivery with a signed time has no id. Then no header
    is asked for one, since none is signed: whoever heard the delivery could send it again with another.
    """
    if options.dedup_header and not mark:
        found = headers.get(options.dedup_header, "")
    elif options.scheme == "stripe":
        found = _text(payload.get("id"))
    elif options.scheme == "slack":
        found = _text(payload.get("event_id"))
    else:
        found = next((headers[name] for name in DELIVERY_HEADERS if headers.get(name)), "")
    found = found.strip() or mark
    is_secret = bool(found) and options.dedup_header in CREDENTIALS
    if is_secret or len(found) > LONGEST_DELIVERY_ID or strictjson.fault_of_text(found):
        return "sha256:" + hashlib.sha256(found.encode("utf-8", "surrogatepass")).hexdigest()
    return found


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that become part of the event."""
    return {
        name: value[:_LONGEST_KEPT]
        for name, value in sorted(headers.items())
        if name in KEPT_HEADERS and value and not strictjson.fault_of_text(value)
    }


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = strictjson.read(body)
    except strictjson.BadJson as error:
        raise BodyUnreadable(f"The body {error}.") from None
    if not isinstance(value, dict):
        raise BodyNotAnObject('The body is JSON but not an object; wrap it, for example in {"items": …}.')
    return value


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    inner = value.get("payload")
    return inner if isinstance(inner, dict) and value.keys() <= WRAPPER_NAMES else value


def _form(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except UnicodeDecodeError:
        raise BodyUnreadable("The form is not UTF-8.") from None
    except ValueError:
        raise BodyUnreadable(f"The form has more than {MOST_FIELDS} fields.") from None
    if len(pairs) == 1 and pairs[0][0] == "payload" and pairs[0][1].lstrip().startswith("{"):
        return _object(pairs[0][1].encode())
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if fault := strictjson.fault_of_text(name) or strictjson.fault_of_text(value):
            raise BodyUnreadable(f"The form holds {fault}.")
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
