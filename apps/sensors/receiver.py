"""POST /api/v1/webhooks/<key>: the door for other people's deliveries. A plain view, since each step costs.

The cheap refusals come first, the signature is checked on the raw bytes before anything is parsed, and what is let in
is committed, with its line in the log, before it is answered.
"""

from __future__ import annotations

import json
import logging
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from apps.access.origin import client_address
from apps.packs import lookup, sealing
from apps.packs.models import Trigger
from apps.rules.errors import Overloaded, TriggerChanged
from apps.rules.services import check_pressure, emit_event
from apps.sensors import deliveries, signatures, webhooks
from apps.sensors.errors import BodyTooLarge, RateExceeded, WebhookDisabled, WebhookUnknown
from apps.sensors.models import WebhookDelivery
from apps.sensors.webhooks import Options
from attune.lib import tallies
from attune.lib.api import declared_length, is_cut_off
from attune.lib.errors import AttuneError, InvalidInput

logger = logging.getLogger(__name__)

KEY = re.compile(r"wh_[0-9a-f]{32}\Z")
RATE_WINDOW = timedelta(minutes=1)
TRY_AGAIN = 5  # seconds, when the database does not answer


class Knock:
    """One delivery on its way in: what is known of it so far, for the log."""

    def __init__(self, request: HttpRequest) -> None:
        self.received_at = timezone.now()
        self.address = client_address(request)
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.trigger_ref = ""
        self.size = 0
        self.delivery_id = ""
        self.body: bytes | None = None

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "trigger_ref": self.trigger_ref,
            "address": self.address[:60],
            "size": self.size,
            "delivery_id": self.delivery_id[:300],
        }


@csrf_exempt
def receive_webhook(request: HttpRequest, key: str) -> HttpResponse:
    """Let a delivery in, or say why not: 202, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503."""
    if request.method != "POST":
        refused = _answer(405, {"error": "method_not_allowed", "message": "A webhook takes POST only."})
        refused["Allow"] = "POST"
        return refused
    knock = Knock(request)
    try:
        return _let_in(request, key, knock)
    except AttuneError as error:
        return _refuse(knock, error)
    except DatabaseError:
        logger.exception("A webhook delivery could not be kept.")
        away = _answer(503, {"error": "unavailable", "message": "The database does not answer; send this again soon."})
        away["Retry-After"] = str(TRY_AGAIN)
        return away


def _let_in(request: HttpRequest, key: str, knock: Knock) -> HttpResponse:
    """First by what is remembered of the webhook, which costs no look at it; then, if it may have changed, as it is."""
    remembered = lookup.remembered_trigger_of_webhook(key)
    fault: AttuneError | None = None
    if remembered is not None:
        try:
            return _admit(request, key, remembered, knock)
        except Overloaded:
            raise
        except AttuneError as error:
            fault = error
    there = lookup.trigger_of_webhook(key) if KEY.match(key) else None
    if there is None:
        raise WebhookUnknown("There is no webhook with this key; it may have been changed or switched off.")
    if fault is not None and there == remembered and not isinstance(fault, TriggerChanged):
        raise fault
    return _admit(request, key, there, knock)


def _admit(request: HttpRequest, key: str, seen: lookup.Seen, knock: Knock) -> HttpResponse:
    trigger = seen.trigger
    knock.trigger_ref = trigger.ref
    for thing, name in ((trigger, f"Trigger {trigger.ref}"), (trigger.pack, f"Pack {trigger.pack.ref}")):
        if not thing.enabled:
            raise WebhookDisabled(f"{name} is disabled; enable it to let its webhook in.")
    options = Options.of(
        trigger.webhook_config or {}, has_secret=bool(trigger.webhook_secret), max_bytes=settings.ATTUNE_PAYLOAD_LIMIT
    )
    webhooks.check_network(knock.address, options.networks)
    check_pressure()
    body = _body(request, options.max_bytes, knock)
    _check_rate(trigger.ref, options.rate_limit)
    mark = ""
    if options.scheme:
        mark = signatures.check(
            options.scheme,
            secret=_secret_of(trigger),
            headers=knock.headers,
            body=body,
            now=time.time(),
            header=options.header,
            tolerance=options.tolerance,
        )
    kind = webhooks.check_kind(request.META.get("CONTENT_TYPE") or "", knock.headers.get("content-encoding", ""))
    payload = webhooks.read_body(body, kind)
    knock.delivery_id = webhooks.delivery_id(options, knock.headers, payload, mark)
    emitted = emit_event(
        trigger,
        payload=payload,
        source="webhook",
        dedup_key=knock.delivery_id,
        config={"headers": webhooks.kept_headers(knock.headers)},
        beside=[deliveries.of_event(knock.columns)],
        stamp=seen.stamp,
    )
    message = "Event accepted."
    if not emitted.created:
        if lookup.trigger_of_webhook(key) != seen:
            raise TriggerChanged(f"The webhook of {trigger.ref} was changed at this moment; send this again.")
        message = "This delivery was received before; nothing new happens."
        deliveries.note_known(**knock.columns, reason=message, event_id=emitted.event.pk)
    fields = {
        "event_id": emitted.event.pk,
        "trigger_ref": trigger.ref,
        "received_at": _moment(knock.received_at),
        "message": message,
    }
    return _answer(202, {"data": fields, **fields})


def _secret_of(trigger: Trigger) -> bytes:
    if not trigger.webhook_secret:
        return b""
    return str(sealing.unseal(trigger.webhook_secret, about=sealing.webhook(trigger.ref))).encode()


def _body(request: HttpRequest, most: int, knock: Knock) -> bytes:
    """The raw body, never reading more than one byte too many."""
    declared = declared_length(request.META)
    if declared > most:
        knock.size = min(declared, 2**31 - 1)
        raise BodyTooLarge(f"The body has {declared} bytes; this webhook takes {most}.")
    if knock.body is None:
        knock.body = request.read(most + 1)
    body = knock.body
    knock.size = len(body)
    if len(body) > most:
        raise BodyTooLarge(f"The body has more than the {most} bytes that this webhook takes.")
    if is_cut_off(body, request.META):
        raise InvalidInput("The body broke off before its end; send it again.")
    return body


def _check_rate(trigger_ref: str, most: int) -> None:
    """No more deliveries within a minute than the webhook takes, whichever process let them in.

    The `most`-th newest delivery that was let in tells: if it is younger than a minute, this one has to wait for it.
    """
    if not most:
        return
    accepted = WebhookDelivery.objects.filter(trigger_ref=trigger_ref, status=202).order_by("-id")
    oldest = list(accepted.values_list("received_at", flat=True)[most - 1 : most])
    if oldest and (left := (oldest[0] + RATE_WINDOW - timezone.now()).total_seconds()) > 0:
        seconds = int(left) + 1
        raise RateExceeded(
            f"This webhook takes {most} deliveries a minute; send this again in {seconds} s.", retry_after=seconds
        )


def _refuse(knock: Knock, error: AttuneError) -> HttpResponse:
    try:
        if not (isinstance(error, Overloaded) and error.reason == "disk"):  # a row would only take more of it
            deliveries.note_refused(status=error.status_code, reason=error.message, **knock.columns)
    except DatabaseError:
        logger.exception("A refused webhook delivery could not be logged.")
    body = {"error": error.code, "message": error.message} | ({"details": error.details} if error.details else {})
    refused = _answer(error.status_code, body)
    if isinstance(error, RateExceeded | Overloaded):
        refused["Retry-After"] = str(error.retry_after)
    return refused


def _answer(status: int, body: dict[str, Any]) -> HttpResponse:
    tallies.count("webhook_deliveries", str(status))
    return HttpResponse(json.dumps(body), status=status, content_type="application/json")


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
