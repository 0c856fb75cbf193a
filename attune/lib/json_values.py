"""JSON values that any database can keep. Pure."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(value: Any) -> Any:
    """The value with what PostgreSQL refuses replaced: NUL and lone surrogates in texts, numbers beyond JSON's.

    Most values need nothing, and come back as they are.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        if "\\u0000" not in text and not _NOT_STORABLE.search(text):
            return value
    except ValueError:
        pass
    return _clean(value)


def storable_text(text: str) -> str:
    """A text without NUL and lone surrogates."""
    return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {storable_text(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
