"""Searching lists of millions of rows: by number, by the refs that there are, by a few whole words.

What a word may mean is looked up first; then each meaning costs one walk down an index.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Max, Model, QuerySet

from attune.lib.long_tables import different

MOST_REFS = 50  # refs that one word may stand for
LATEST = 100_000  # rows among which columns without an index are searched


def refs_like(model: type[Model], column: str, word: str) -> list[str]:
    """The refs in this column that hold the word, whatever its case."""
    return [ref for ref in different(model, column) if word.lower() in ref.lower()][:MOST_REFS]


def search(
    rows: QuerySet[Any], text: str, *, refs: tuple[str, ...], words: tuple[str, ...], late: tuple[str, ...], most: int
) -> QuerySet[Any]:
    """The latest of the rows, `most` at most, that meet each word of the text.

    `refs`: columns of refs that an index begins with; `words`: columns that hold the word whole and have an index;
    `late`: those that have none, and are looked at in the latest rows only.
    """
    for word in text.split():
        ways: list[dict[str, Any]] = [{column: ref} for column in refs for ref in refs_like(rows.model, column, word)]
        ways += [{column: word} for column in words]
        if word.isdecimal() and len(word) < 19:
            ways.append({"pk": int(word)})
        if late:
            newest = rows.model._base_manager.aggregate(Max("pk"))["pk__max"] or 0
            ways += [{column: word, "pk__gt": newest - LATEST} for column in late]
        found: set[int] = set()
        for way in ways:
            filled = [column for column in way if column in (*refs, *words)]
            met = rows.filter(**way).exclude(**dict.fromkeys(filled, ""))  # as partial indexes say
            found.update(met.order_by("-pk").values_list("pk", flat=True)[:most])
        rows = rows.filter(pk__in=sorted(found, reverse=True)[:most])
    return rows
