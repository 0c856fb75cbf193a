"""Rows of indices: made and changed by administrators, read again when they are old, kept when they do not answer."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.access import audit
from apps.access.audit import Actor
from apps.packs.errors import KeyUnreadable
from apps.packs.models import PackIndex
from apps.packs.registry import addresses, fetching
from apps.packs.registry.documents import Index, read_index
from apps.packs.registry.errors import IndexExists
from apps.packs.sealing import INDEX, seal, unseal
from attune.lib.errors import AttuneError, InvalidInput
from attune.lib.schemas import MASK

logger = logging.getLogger(__name__)

RETRY = timedelta(seconds=30)  # until an index that did not answer is asked again
MOST_HEADERS = 20
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}\Z")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}\Z")
_OURS = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding", "if-none-match"})
_MOST_READ = 20

_read: OrderedDict[tuple[int | str, Any], Index] = OrderedDict()  # by row and stamp, as last read


# Changing ------------------------------------------------------------------------------------------------------------
@transaction.atomic
def create_index(
    *,
    url: str,
    actor: Actor,
    name: str = "",
    position: int | None = None,
    enabled: bool = True,
    headers: dict[str, Any] | None = None,
) -> PackIndex:
    """Add an index, behind the others unless a position is given. Raises InvalidInput, IndexExists."""
    address = _free_address(url)
    if position is None:
        last = PackIndex.objects.order_by("-position").values_list("position", flat=True).first()
        position = 0 if last is None else last + 1
    index = PackIndex(url=address, name=name.strip()[:200], position=position, enabled=enabled)
    index.sealed_headers = _sealed(headers or {}, {})
    index.save()
    audit.record(actor, "index.create", index.pk, after=_facts(index))
    return index


@transaction.atomic
def update_index(
    index: PackIndex,
    *,
    actor: Actor,
    url: str | None = None,
    name: str | None = None,
    position: int | None = None,
    enabled: bool | None = None,
    headers: dict[str, Any] | None = None,
) -> PackIndex:
    """Change what is given. A header shown masked and sent back so stays as it is; another address is read anew."""
    before, former = _facts(index), index.url
    if url is not None and (address := _free_address(url, index)) != index.url:
        if index.sealed_headers and headers is None and not addresses.same_origin(address, index.url):
            raise InvalidInput("Another server must not see the headers of this one; give headers with the address.")
        index.url, index.content = address, {}
    if headers is not None:
        same_server = index.url == former or addresses.same_origin(index.url, former)
        masked = MASK in headers.values() and same_server
        index.sealed_headers = _sealed(headers, headers_of(index) if masked else {})
    if headers is not None or index.url != former:
        index.etag, index.read_at, index.problem = "", None, ""
    index.name = index.name if name is None else name.strip()[:200]
    index.position = index.position if position is None else position
    index.enabled = index.enabled if enabled is None else enabled
    index.save()
    audit.record(actor, "index.update", index.pk, before=before, after=_facts(index))
    return index


@transaction.atomic
def delete_index(index: PackIndex, *, actor: Actor) -> None:
    """Remove an index; packs that came from it stay."""
    audit.record(actor, "index.delete", index.pk, before=_facts(index))
    index.delete()


def ensure_configured() -> list[PackIndex]:
    """Rows for the indices of the setting ATTUNE_PACK_INDICES that have none yet; those that were made now."""
    made = []
    for text in settings.ATTUNE_PACK_INDICES:
        try:
            address = addresses.index_address(text)
        except ValueError as fault:
            raise InvalidInput(f"ATTUNE_PACK_INDICES names {text!r}, but {fault}.") from None
        if not PackIndex.objects.filter(url=address).exists():
            made.append(create_index(url=address, actor="settings"))
    return made


# Reading -------------------------------------------------------------------------------------------------------------
def refresh(index: PackIndex, *, force: bool = False) -> PackIndex:
    """The row with what the index says now, if what it said last is old; nothing is raised.

    One that does not answer, or answers with no index, keeps what it said last, and `problem` says what is wrong. It
    must not be called in a transaction: the index may take its time. A row that is not saved is only filled in.
    """
    if not force and not _is_due(index):
        return index
    now = timezone.now()
    try:
        fetched = fetching.fetch(index.url, headers_of(index), etag=index.etag if index.read_at else "")
        if fetched.document is not None:
            read = read_index(fetched.document, where=index.url)
            index.content, index.etag, index.problem = fetched.document, fetched.etag[:300], problem_of(read)
        elif index.problem:
            index.problem = problem_of(read_index(_content(index), where=index.url))
        index.read_at = index.updated = now
    except AttuneError as error:  # unreachable, no index, or its headers cannot be decrypted
        logger.warning("Index %s could not be read: %s", index.pk, error.message)
        index.problem, index.updated = error.message, now
    _keep(index)
    return index


def read(index: PackIndex) -> Index:
    """What the index said when it was last read, as far as it can be used."""
    key = (index.pk or index.url, index.updated)
    found = _read.get(key)
    if found is None:
        found = _read[key] = read_index(_content(index) or {"packs": []}, where=index.url)
        while len(_read) > _MOST_READ:
            _read.popitem(last=False)
    return found


def headers_of(index: PackIndex) -> dict[str, str]:
    """The headers to send to the index, and to whatever of its own server it names; secret. Raises KeyUnreadable."""
    return unseal(index.sealed_headers, about=INDEX) if index.sealed_headers else {}


def headers_for(index: PackIndex, url: str) -> dict[str, str]:
    """The headers for something that the index names: its own server's see them, no other."""
    return headers_of(index) if addresses.same_origin(index.url, url) else {}


def masked_headers(index: PackIndex) -> dict[str, str]:
    """The headers as anybody may see them; none where they cannot be decrypted, which `problem` says."""
    try:
        return dict.fromkeys(headers_of(index), MASK)
    except KeyUnreadable:
        return {}


def problem_of(read: Index) -> str:
    """What is wrong with an index that could be read."""
    if not read.faults:
        return ""
    left_out = "1 pack is left out" if len(read.faults) == 1 else f"{len(read.faults)} packs are left out"
    return f"{left_out}: {'; '.join(read.faults[:10])}"


def _is_due(index: PackIndex) -> bool:
    now = timezone.now()
    if index.read_at is None or (index.problem and index.updated and index.read_at < index.updated):  # it failed
        return not index.problem or index.updated < now - RETRY
    return index.read_at < now - timedelta(seconds=settings.ATTUNE_INDEX_TTL)


def _keep(index: PackIndex) -> None:
    """Write what was read, unless somebody has given the row another address meanwhile."""
    if index.pk:
        columns = ("content", "etag", "read_at", "problem", "updated")
        there = {name: getattr(index, name) for name in columns if name in index.__dict__}
        PackIndex.objects.filter(pk=index.pk, url=index.url).update(**there)


def _content(index: PackIndex) -> dict[str, Any]:
    return index.content if isinstance(index.content, dict) else {}


def _free_address(url: str, index: PackIndex | None = None) -> str:
    try:
        address = addresses.index_address(url)
    except ValueError as fault:
        raise InvalidInput(f"{fault}.".capitalize() if fault.args[0][0].islower() else f"{fault}.") from None
    if PackIndex.objects.filter(url=address).exclude(pk=index.pk if index else None).exists():
        raise IndexExists(f"There is an index {address} already; change that one.")
    return address


def _sealed(headers: dict[str, Any], former: dict[str, str]) -> str:
    if len(headers) > MOST_HEADERS:
        raise InvalidInput(f"An index has at most {MOST_HEADERS} headers.")
    kept: dict[str, str] = {}
    for name, value in headers.items():
        if not _HEADER.match(name) or name.lower() in _OURS:
            raise InvalidInput(f"{name[:100]!r} is not a header that can be set here.")
        if value == MASK and name in former:
            value = former[name]
        if not isinstance(value, str) or value == MASK or not _HEADER_VALUE.match(value):
            raise InvalidInput(f"The header {name} must be one line of text.")
        kept[name] = value
    return seal(kept, about=INDEX) if kept else ""


def _facts(index: PackIndex) -> dict[str, Any]:
    """What the log says of an index: of its headers only the names."""
    facts = {"url": index.url, "name": index.name, "position": index.position, "enabled": index.enabled}
    return facts | {"headers": sorted(masked_headers(index))}
