"""Live streams (server-sent events): the output of a running execution, the changes of executions, an installation.

They run on the event loop, each a coroutine; files and rows are read by a few threads of their own, so that hundreds
of watchers cost neither a thread nor a database connection each.
"""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import close_old_connections
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse

from apps.access.authentication import principal_from
from apps.access.origin import client_address
from apps.access.principals import Principal, Role, principal_for
from apps.access.reach import narrow
from apps.access.rights import Needs, open_to
from apps.executions import logs
from apps.executions.models import FINAL, Execution
from apps.executions.serializers.executions import ExecutionSummary
from apps.executions.views.executions import execution_for, readable, summaries
from apps.packs.models import Installation
from apps.packs.serializers.installing import InstallationDetail
from attune.lib.api import SIGN_IN, answer_error, problem

LOOK_AT_FILE = 0.15  # seconds
LOOK_AT_ROWS = 1.0
LOOK_AT_INSTALL = 0.4
LOOK_AT_CALLER = 10.0
HEARTBEAT = 15.0
CHUNK = 256 * 1024
WATCHED = 500  # open executions whose changes one stream follows

_readers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="streams")


async def _read(function: Callable[..., Any], *args: Any) -> Any:
    def work() -> Any:
        close_old_connections()
        return function(*args)

    return await asyncio.get_running_loop().run_in_executor(_readers, work)


def stream(needs: Needs) -> Callable[..., Callable[..., Any]]:
    """Let the coroutine below make a stream for whoever is let in; answer errors as JSON, as every view does."""

    def decorate(
        opened: Callable[..., Awaitable[AsyncIterator[str]]],
    ) -> Callable[..., Any]:
        async def view(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if request.method != "GET":
                return JsonResponse(problem(405, f"{request.method} is not allowed here."), status=405)
            principal = await _read(_principal, request)
            if principal is None:
                body = problem(401, SIGN_IN)
                return JsonResponse(body, status=401, headers={"WWW-Authenticate": 'Bearer realm="attune"'})
            if not needs.met_by(principal):
                return JsonResponse(problem(403, f"{principal.name} may not read this stream."), status=403)
            try:
                lines = await opened(request, Caller(request, principal, needs), **kwargs)
            except Exception as error:
                answered = answer_error(error, {"request": request})
                return JsonResponse(answered.data, status=answered.status_code)
            headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
            return StreamingHttpResponse(lines, content_type="text/event-stream", headers=headers)

        view.needs = {"GET": needs}  # type: ignore[attr-defined]
        return view

    return decorate


class Caller:
    """Who opened a stream. They are asked for again while it is open, so that it ends with their token or session."""

    def __init__(self, request: HttpRequest, principal: Principal, needs: Needs) -> None:
        self.request, self.principal, self.needs = request, principal, needs
        self.asked, self.gone = asyncio.get_running_loop().time(), False

    async def still(self) -> Principal | None:
        """Who they are now; None once they may not read on. Of a running program that is asked at every look."""
        now = asyncio.get_running_loop().time()
        if self.gone:
            return None
        if not self.principal.is_person or now - self.asked >= LOOK_AT_CALLER:
            self.asked = now
            found = await _read(_principal, self.request, True)
            self.gone = found is None or not self.needs.met_by(found)
            self.principal = found or self.principal
        return None if self.gone else self.principal


def _principal(request: HttpRequest, again: bool = False) -> Principal | None:
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        return principal_from(text.strip(), origin=client_address(request))
    user: Any = request.user
    if not user.is_authenticated:
        return None
    if again:  # the session has kept both since it was opened
        user = get_user_model().objects.filter(pk=user.pk).first()
        if user is None or not request.session.exists(request.session.session_key or ""):
            return None
    return principal_for(user, origin=client_address(request))


def _number(request: HttpRequest, name: str) -> int | None:
    """Where to go on: the browser's Last-Event-ID, else a query parameter; what is no number counts as absent."""
    text = request.META.get("HTTP_LAST_EVENT_ID") or request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _event(data: Any, *, name: str = "", number: int | None = None) -> str:
    head = (f"event: {name}\n" if name else "") + (f"id: {number}\n" if number is not None else "")
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n"


@stream(open_to(Role.VIEWER, execution=True))
async def log(request: HttpRequest, caller: Caller, pk: int, stream: str) -> AsyncIterator[str]:
    """`data: {"offset", "text"}` as the program writes, then `event: end` with its status. `?offset=` in bytes."""
    if stream not in logs.STREAMS:
        raise Http404(f"There is no log {stream}; there are {' and '.join(logs.STREAMS)}.")
    execution = await _read(execution_for, caller.principal, pk)
    return _log(caller, execution.pk, stream, _number(request, "offset") or 0)


async def _log(caller: Caller, pk: int, stream: str, offset: int) -> AsyncIterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    clock = asyncio.get_running_loop().time
    asked = -LOOK_AT_ROWS
    spoken, told, over = clock(), offset, None
    yield ": hello\n\n"
    while True:
        # The status is read before the file: a final one means that nothing is written after what is read next.
        looks = clock() - asked >= LOOK_AT_ROWS
        if looks:
            asked = clock()
            over = await _read(_final_status, caller.principal, pk)
        raw = await _read(partial(logs.read, pk, stream, offset=offset, limit=CHUNK))
        if (raw or looks) and await caller.still() is None:  # asked last: nothing is told to a token that is over
            yield _event({"status": await _read(_status, pk)}, name="end", number=offset)
            return
        text = decoder.decode(raw, final=not raw and over is not None)
        offset += len(raw)
        if text:
            end = offset - len(decoder.getstate()[0])  # without the bytes of a character that is not whole yet
            yield _event({"offset": told, "text": text}, number=end)
            told, spoken = end, clock()
        if not raw:
            if over is not None:
                yield _event({"status": over}, name="end", number=offset)
                return
            if clock() - spoken >= HEARTBEAT:
                yield ": still here\n\n"
                spoken = clock()
            await asyncio.sleep(LOOK_AT_FILE)


def _final_status(principal: Principal, pk: int) -> str | None:
    status = readable(principal).filter(pk=pk).values_list("status", flat=True).first()
    return "deleted" if status is None else status if status in FINAL else None


def _status(pk: int) -> str:
    return Execution.objects.filter(pk=pk).values_list("status", flat=True).first() or "deleted"


@stream(open_to(Role.VIEWER, execution=True))
async def executions(request: HttpRequest, caller: Caller) -> AsyncIterator[str]:
    """First the executions that are not over, then each new or changed one, as `data: {…}` with the fields of a list.

    `?execution_id=` gives one alone, and ends with it.
    """
    only = request.GET.get("execution_id", "")
    if only:
        one = await _read(execution_for, caller.principal, int(only) if only.isascii() and only.isdigit() else 0)
        return _changes(caller, only=one.pk, since=0)
    newest = await _read(lambda: readable(caller.principal).values_list("pk", flat=True).first())
    last_seen = request.META.get("HTTP_LAST_EVENT_ID", "")
    since = int(last_seen) if last_seen.isascii() and last_seen.isdigit() and len(last_seen) < 19 else newest or 0
    return _changes(caller, only=None, since=since)


async def _changes(caller: Caller, *, only: int | None, since: int) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    spoken, newest = clock(), since
    open_ids = [] if only is not None else await _read(_open_ids, caller.principal, since)
    seen: dict[int, str] = dict.fromkeys(open_ids, "")  # the open executions, and how they looked when last told of
    yield ": hello\n\n"
    while True:
        rows = await _read(_summaries, caller.principal, only, newest, list(seen))
        if await caller.still() is None:
            return
        for row in rows:
            looks = f"{row['status']} {row['updated']}"
            newest = max(newest, row["id"])
            if seen.get(row["id"]) != looks:
                yield _event(row, number=newest)
                spoken = clock()
            seen[row["id"]] = looks
            if row["status"] in FINAL:
                del seen[row["id"]]
        if only is not None and not seen:
            return
        for forgotten in list(seen)[: max(0, len(seen) - WATCHED)]:
            del seen[forgotten]
        if clock() - spoken >= HEARTBEAT:
            yield ": still here\n\n"
            spoken = clock()
        await asyncio.sleep(LOOK_AT_ROWS)


def _open_ids(principal: Principal, since: int) -> list[int]:
    rows = readable(principal).filter(pk__lte=since).exclude(status__in=FINAL)
    return list(rows.values_list("pk", flat=True)[:WATCHED])


def _summaries(principal: Principal, only: int | None, newest: int, open_ids: list[int]) -> list[dict[str, Any]]:
    wanted = Q(pk=only) if only is not None else Q(pk__gt=newest) | Q(pk__in=open_ids)
    rows = summaries(readable(principal).filter(wanted).order_by("pk"))
    return [dict(row) for row in ExecutionSummary(rows[: 2 * WATCHED], many=True).data]


@stream(open_to(Role.VIEWER))
async def installation(request: HttpRequest, caller: Caller, pk: int) -> AsyncIterator[str]:
    """`data: {"offset", "text"}` as its log grows, `event: progress` with its step, then `event: end` with all of it.

    `?offset=` is in characters of the log.
    """
    await _read(_installation, pk, caller.principal)
    return _installing(caller, pk, _number(request, "offset") or 0)


async def _installing(caller: Caller, pk: int, offset: int) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    spoken, looked = clock(), None
    yield ": hello\n\n"
    while True:
        try:
            row = await _read(_installation, pk, caller.principal)
        except Http404:  # it is gone, or no longer for them to see
            return
        if await caller.still() is None:
            return
        looks = {"step": row.step, "percent": row.percent, "status": row.status}
        text = row.log[offset:]
        if text:
            yield _event({"offset": offset, "text": text}, number=offset + len(text))
            offset += len(text)
        if looks != looked:
            yield _event(looks, name="progress")
        if row.is_final:
            yield _event(InstallationDetail(row).data, name="end")
            return
        if text or looks != looked:
            spoken, looked = clock(), looks
        elif clock() - spoken >= HEARTBEAT:
            yield ": still here\n\n"
            spoken = clock()
        await asyncio.sleep(LOOK_AT_INSTALL)


def _installation(pk: int, principal: Principal) -> Installation:
    found = narrow(principal, Installation.objects.filter(pk=pk)).first()
    if found is None:
        raise Http404(f"There is no installation {pk}.")
    return found
