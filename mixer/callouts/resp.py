"""RESP, the protocol of Redis, sans-I/O: where a reply ends, and what a query asks.

Nothing is decoded: modules send and read raw RESP. `hiredis` and `redis-py` cannot pass raw bytes
through (they parse replies into objects, from which the bytes cannot be made again), hence this
scanner. It knows RESP2 and RESP3 as in the Redis protocol specification, except for RESP3's
streamed strings and aggregates, which no server sends.
"""

import re
from dataclasses import dataclass, field
from typing import NoReturn

MIB = 1 << 20

_CRLF = b"\r\n"
_LINES = frozenset(b"+-:_#,(")
_BULKS = frozenset(b"$=!")
_FACTORS = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}
_NULLABLE = frozenset(b"*$")
_ATTRIBUTE, _INTEGER = ord("|"), ord(":")
_SIZE = re.compile(rb"-1|[0-9]{1,10}")
_WHOLE = re.compile(rb"[+-]?[0-9]{1,19}")
_LONGEST_SIZE_LINE = 16
_SMALLEST = 3  # bytes of an element: "_\r\n"

# What answers more than once, or never: the replies after it would go to the wrong calls.
_NOT_ANSWERED_ONCE = frozenset(
    (
        b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE",
        b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE",
        b"MONITOR", b"SYNC", b"PSYNC",
    )
)  # fmt: skip


class RespError(ValueError):
    """Bytes that are no RESP, or past a bound; the message says what, and at which byte."""


@dataclass(frozen=True, slots=True)
class RespLimits:
    """Bounds of one value.

    Attributes:
        size: Bytes, with all that is nested in it.
        depth: Aggregates within one another.
    """

    size: int = 32 * MIB
    depth: int = 64


@dataclass(slots=True)
class ReplyScanner:
    """Splits what a server sends into values, however it is cut into pieces.

    The time is linear in the bytes, and nothing is kept beyond the value that is not whole yet.
    After a `RespError` a scanner is of no more use.

    Attributes:
        limits: Of each value.
    """

    limits: RespLimits = field(default_factory=RespLimits)
    _buffer: bytearray = field(default_factory=bytearray)
    _start: int = 0
    _at: int = 0
    _searched: int = 0
    _open: list[int] = field(default_factory=list)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, and give the values that they complete, each as it was sent.

        Raises:
            RespError: They are no RESP, or a value is past a bound.
        """
        self._buffer += data
        values: list[bytes] = []
        while self._element():
            if not self._open:
                values.append(bytes(self._buffer[self._start : self._at]))
                self._start = self._at
        self._check_end(len(self._buffer))
        del self._buffer[: self._start]
        self._at -= self._start
        self._searched -= self._start
        self._start = 0
        return values

    def _element(self) -> bool:
        """Step over one element, or over the head of an aggregate, if it is there whole."""
        end = self._line_end()
        if end is None:
            return False
        kind, line = self._buffer[self._at], self._buffer[self._at + 1 : end]
        end += len(_CRLF)
        if kind in _FACTORS:
            return self._aggregate(kind, self._size(kind, line), end)
        if kind in _BULKS:
            return self._bulk(self._size(kind, line), end)
        if kind == _INTEGER and not _WHOLE.fullmatch(line):
            self._refuse(f"{_shown(line)} is no integer")
        return self._step(end)

    def _line_end(self) -> int | None:
        at, have = self._at, len(self._buffer)
        if at == have:
            return None
        kind = self._buffer[at]
        if kind not in _LINES and kind not in _BULKS and kind not in _FACTORS:
            self._refuse(f"no value begins with {_shown(self._buffer[at : at + 1])}")
        end = self._buffer.find(_CRLF, max(at + 1, self._searched))
        if end >= 0:
            return end
        if kind not in _LINES and have - at > _LONGEST_SIZE_LINE:
            self._refuse("a size has no end")
        self._searched = max(at + 1, have - 1)
        return None

    def _size(self, kind: int, line: bytearray) -> int:
        if not _SIZE.fullmatch(line) or (line == b"-1" and kind not in _NULLABLE):
            self._refuse(f"{_shown(line)} is no size")
        return int(line)

    def _bulk(self, size: int, end: int) -> bool:
        if size >= 0:
            end += size + len(_CRLF)
            self._check_end(end)
            if len(self._buffer) < end:
                return False
            if self._buffer[end - len(_CRLF) : end] != _CRLF:
                self._refuse(f"a string of {size} bytes is longer than that")
        return self._step(end)

    def _aggregate(self, kind: int, size: int, end: int) -> bool:
        # What an attribute is about follows it, and is part of the same value.
        count = max(size, 0) * _FACTORS[kind] + (kind == _ATTRIBUTE)
        if not count:
            return self._step(end)
        self._check_end(end + count * _SMALLEST)
        if len(self._open) >= self.limits.depth:
            self._refuse(f"aggregates are nested deeper than the bound of {self.limits.depth}")
        self._open.append(count)
        self._at = end
        return True

    def _step(self, end: int) -> bool:
        self._check_end(end)
        self._at = end
        while self._open:
            self._open[-1] -= 1
            if self._open[-1]:
                break
            self._open.pop()
        return True

    def _check_end(self, end: int) -> None:
        if end - self._start > self.limits.size:
            self._refuse(f"a value is longer than the bound of {self.limits.size} bytes")

    def _refuse(self, what: str) -> NoReturn:
        raise RespError(f"{what} (byte {self._at - self._start} of a value)")


def count_commands(query: bytes) -> int:
    """How many commands a query has: so many replies come.

    A command is an array of bulk strings, as clients send it; "inline" commands are none.

    Raises:
        RespError: It is not made of whole commands, has none, or has one that does not answer
            exactly once.
    """
    at = count = 0
    while at < len(query):
        at = _command(query, at)
        count += 1
    if not count:
        raise RespError("a query without a command")
    return count


def _command(query: bytes, at: int) -> int:
    size, at = _head(query, at, b"*")
    if not size:
        raise RespError(f"a command without a name (byte {at} of the query)")
    start = at
    for _ in range(size):
        at = _argument(query, at)[1]
    name, after = _argument(query, start)
    if name.upper() in _NOT_ANSWERED_ONCE or (
        name.upper() == b"CLIENT" and size > 1 and _argument(query, after)[0].upper() == b"REPLY"
    ):
        raise RespError(f"{name.upper().decode()} does not answer exactly once")
    return at


def _argument(query: bytes, at: int) -> tuple[bytes, int]:
    size, at = _head(query, at, b"$")
    end = at + size
    if query[end : end + len(_CRLF)] != _CRLF:
        raise RespError(f"an argument of {size} bytes does not end there (byte {at} of the query)")
    return query[at:end], end + len(_CRLF)


def _head(query: bytes, at: int, kind: bytes) -> tuple[int, int]:
    end = query.find(_CRLF, at, at + _LONGEST_SIZE_LINE)
    line = query[at + 1 : end]
    if query[at : at + 1] != kind or end < 0 or not line.isdigit():
        raise RespError(f"{kind.decode()} and a size are missing (byte {at} of the query)")
    return int(line), end + len(_CRLF)


def _shown(data: bytes | bytearray) -> str:
    return repr(bytes(data[:_LONGEST_SIZE_LINE]))
