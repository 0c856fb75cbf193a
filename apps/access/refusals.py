"""Who is signed in and asks for what they may not: each refusal is in the audit log, a flood of them in few lines."""

from __future__ import annotations

import logging

from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from apps.access import audit
from apps.access.origin import client_address
from apps.access.principals import Principal
from attune.lib.floods import Flood

logger = logging.getLogger(__name__)

ACTION = "access.denied"
_flood = Flood(5)  # a second, of one who asks, in each process


class NoteRefusals(MiddlewareMixin):
    """The middleware: every 403 of somebody we know, of the API and the admin alike."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.status_code == 403:
            try:
                _note(request)
            except DatabaseError:
                logger.exception("A refusal could not be written to the audit log.")
        return response


def _note(request: HttpRequest) -> None:
    actor = getattr(request, "auth", None) or getattr(request, "user", None)  # the API leaves its principal here
    if not isinstance(actor, Principal | AbstractBaseUser):
        return
    left_out = _flood.left_out(audit.actor_name(actor))
    if left_out is None:
        return
    audit.record(
        actor,
        ACTION,
        request.path.replace("\0", ""),
        after={"more_like_it": left_out} if left_out else {},
        origin=client_address(request),
        outcome=audit.Outcome.DENIED,
        http_status=403,
    )
