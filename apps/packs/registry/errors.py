"""What can go wrong with a registry."""

from __future__ import annotations

from apps.packs.errors import PackNotFound
from attune.lib.errors import Conflict, InvalidInput


class IndexUnreadable(InvalidInput):
    """An index that is none, or that could not be had."""

    code = "index_unreadable"


class IndexExists(Conflict):
    """There is an index with that address already."""

    code = "index_exists"


class NotInAnyIndex(PackNotFound):
    """No index has a pack of that name, or none a version that was asked for."""

    code = "not_in_any_index"


class AlreadyPublished(Conflict):
    """A version of a pack was published with other files before."""

    code = "already_published"
