"""HTTP/1.1 messages on asyncio streams, as much as an echo server and its client need."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeAlias

Headers: TypeAlias = tuple[tuple[str, str], ...]

# A StreamReader with this limit refuses longer heads and lines.
MAX_HEAD_BYTES = 128 * 1024
_BLOCK_BYTES = 64 * 1024


class HttpError(Exception):
    """The other side sent what is no HTTP/1.1 message, or stopped in the middle of one."""


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before the body: the three parts of the first line, and the header fields."""

    start: tuple[str, str, str]
    headers: Headers

    def values(self, name: str) -> list[str]:
        """Every value of a header; the name is compared without regard to case."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return any(value.lower().endswith("chunked") for value in self.values("transfer-encoding"))

    @property
    def content_length(self) -> int | None:
        """The length of the body in bytes, None if no header says it.

        Raises:
            HttpError: The header is no number, or several disagree.
        """
        lengths = set(self.values("content-length"))
        if not lengths:
            return None
        (length, *others) = lengths
        if others or not (length.isascii() and length.isdigit()):
            raise HttpError(f"content-length is {sorted(lengths)}")
        return int(length)

    @property
    def closes(self) -> bool:
        """Whether the connection ends after this message."""
        return any("close" in value.lower() for value in self.values("connection"))


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Reads up to the empty line.

    Returns:
        The head, or None if the connection ended before its first byte.

    Raises:
        HttpError: The bytes are no head, are too many, or end too early.
    """
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise HttpError("the connection ended inside a head") from error
    except asyncio.LimitOverrunError as error:
        raise HttpError(f"a head of more than {MAX_HEAD_BYTES} bytes") from error
    first, *fields = block.decode("latin-1").split("\r\n")[:-2]
    start = first.split(" ", 2)
    if len(start) != 3:
        raise HttpError(f"the first line is {first[:80]!r}")
    return Head((start[0], start[1], start[2]), tuple(_field(line) for line in fields))


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise HttpError(f"the header line {line[:80]!r}")
    return name, value.strip(" \t")


async def read_body(
    reader: asyncio.StreamReader, head: Head, *, until_close: bool = False
) -> AsyncIterator[bytes]:
    """Reads a body in blocks.

    Args:
        reader: Where the head came from.
        head: Says how the body is framed.
        until_close: Whether a head without framing means "until the end of the connection", as
            in a response, and not "no body".

    Yields:
        Blocks of the body, none empty.

    Raises:
        HttpError: The framing is wrong or the connection ended too early.
    """
    try:
        if head.chunked:
            async for block in _read_chunks(reader):
                yield block
        elif (length := head.content_length) is not None:
            async for block in _read_exactly(reader, length):
                yield block
        elif until_close:
            while block := await reader.read(_BLOCK_BYTES):
                yield block
    except asyncio.IncompleteReadError as error:
        raise HttpError("the connection ended inside a body") from error
    except asyncio.LimitOverrunError as error:
        raise HttpError("a line of a chunked body is too long") from error


async def _read_exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    while length:
        block = await reader.readexactly(min(length, _BLOCK_BYTES))
        length -= len(block)
        yield block


async def _read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        try:
            length = int(line.split(b";")[0], 16)
        except ValueError as error:
            raise HttpError(f"the chunk length {line[:40]!r}") from error
        if length == 0:
            break
        async for block in _read_exactly(reader, length):
            yield block
        await reader.readuntil(b"\r\n")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
