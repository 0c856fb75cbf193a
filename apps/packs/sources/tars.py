"""Read a tar archive member by member: plain files and folders, in the formats that tar and git write today.

Our own reader, since the library's has been led outside by links and kept busy by headers. It keeps no more than a
header of 64 KiB in memory, and refuses whatever it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO

from apps.packs.sources.placing import Tree
from attune.lib.errors import AttuneError

BLOCK = 512
_LONGEST = 64 << 10  # bytes of a header that extends another
_CHUNK = 256 << 10
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
}


def is_header(block: bytes) -> bool:
    """Whether this is the header of a member, by its checksum."""
    if len(block) < BLOCK or not block[148:156].strip(b" \0"):
        return False
    given = _octal(block[148:156])
    rest = block[:148] + b" " * 8 + block[156:BLOCK]
    return given in (sum(rest), sum(byte - 256 if byte > 127 else byte for byte in rest))


def unpack(stream: IO[bytes], tree: Tree, *, most: int, refusal: Callable[[str], AttuneError]) -> None:
    """Put all members into the tree; `most` is how many bytes the whole archive may have when decompressed."""
    reader = _Reader(stream, most, refusal)
    extended: dict[str, str] = {}
    while (block := reader.block()).strip(b"\0"):
        if not is_header(block):
            raise refusal("it is damaged: a header does not meet its checksum; download or make it anew")
        kind, size = block[156:157], _number(block[124:136])
        if kind in (b"x", b"g", b"L"):
            found = _extension(kind, reader.whole(size, _LONGEST), refusal)
            extended = extended if kind == b"g" else {**extended, **found}
            continue
        name = extended.get("path") or _text(_name(block), refusal)
        if extended.get("size", "").isdecimal():
            size = int(extended["size"])
        extended = {}
        if size < 0:
            raise refusal(f"{name!r} has no size; make the archive anew")
        if kind == b"5" and size == 0:
            tree.folder(name)
        elif kind in (b"0", b"\0", b"7"):
            tree.file(name, reader.content(size), executable=bool(_number(block[100:108]) & 0o111))
        else:
            what = _REFUSED.get(kind, f"a member of the kind {kind!r}")
            raise refusal(f"{name!r} is {what}; a pack holds plain files and folders only")
    reader.drain()


class _Reader:
    """The decompressed bytes, counted, in blocks; what ends too early or goes on too long is refused."""

    def __init__(self, stream: IO[bytes], most: int, refusal: Callable[[str], AttuneError]) -> None:
        self._stream, self._left, self._refusal = stream, most, refusal

    def block(self) -> bytes:
        return self._take(BLOCK)

    def whole(self, size: int, most: int) -> bytes:
        """Content that is kept in memory."""
        if not 0 <= size <= most:
            raise self._refusal("a header is longer than any name needs; make the archive anew")
        return b"".join(self.content(size))

    def content(self, size: int) -> Iterator[bytes]:
        """The content of a member, and over the rest of its last block."""
        padding = -size % BLOCK
        while size > 0:
            chunk = self._take(min(size, _CHUNK))
            size -= len(chunk)
            yield chunk
        if padding:
            self._take(padding)

    def drain(self) -> None:
        """Read what follows the end mark, so that a decompressor verifies what it read."""
        while chunk := self._stream.read(_CHUNK):
            self._count(len(chunk))

    def _take(self, size: int) -> bytes:
        self._count(size)
        data = self._stream.read(size)
        while len(data) < size:
            more = self._stream.read(size - len(data))
            if not more:
                raise self._refusal("it is cut off; download or make it anew")
            data += more
        return data

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self._refusal("it grows beyond what a pack may hold when it is unpacked")


def _extension(kind: bytes, content: bytes, refusal: Callable[[str], AttuneError]) -> dict[str, str]:
    """What a header says about the member that follows it: GNU's long name, or POSIX's fields."""
    if kind == b"L":
        return {"path": _text(content.rstrip(b"\0"), refusal)}
    fields: dict[str, str] = {}
    while content.strip(b"\0"):
        digits, blank, _ = content.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        record = content[len(digits) + 1 : length]
        if not blank or not record.endswith(b"\n") or b"=" not in record:
            raise refusal("it is damaged: a header cannot be read; download or make it anew")
        key, _, value = record[:-1].partition(b"=")
        content = content[length:]
        if key.startswith(b"GNU.sparse."):
            raise refusal("it holds a sparse file; make the archive without --sparse")
        if key in (b"path", b"size"):
            fields[key.decode()] = _text(value, refusal)
    if kind == b"g" and fields:
        raise refusal("it gives all its members one name or size; make the archive anew")
    return fields


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _text(name: bytes, refusal: Callable[[str], AttuneError]) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise refusal(f"the name {name[:100]!r} is not UTF-8; rename the file") from None


def _number(field: bytes) -> int:
    """A number of a header, in octal digits or, for large ones, in bytes; -1 for what is none."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    return _octal(field) if field.strip(b" \0") else 0


def _octal(field: bytes) -> int:
    digits = field.partition(b"\0")[0].strip()
    return int(digits, 8) if digits and not digits.strip(b"01234567") else -1
