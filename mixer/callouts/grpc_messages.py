"""How gRPC puts messages into HTTP/2, sans-I/O: a flag and a length in front of each."""

from collections.abc import Iterator

_PREFIX = 5


class GrpcFramingError(ValueError):
    """What came are no uncompressed messages within the bound."""


def framed(message: bytes) -> bytes:
    """A message as it is sent, uncompressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class MessageSplitter:
    """Splits what a server sends into messages, however it is cut.

    Args:
        longest: Bytes of one message.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes, and give the messages that they complete.

        Raises:
            GrpcFramingError: A message is compressed, too long, or none at all.
        """
        self._buffer += data
        at, have = 0, len(self._buffer)
        try:
            while have - at >= _PREFIX:
                end = at + _PREFIX + self._length(at)
                if have < end:
                    return
                message = bytes(self._buffer[at + _PREFIX : end])
                at = end
                yield message
        finally:
            del self._buffer[:at]

    def _length(self, at: int) -> int:
        if self._buffer[at]:
            raise GrpcFramingError(f"flag {self._buffer[at]}: only uncompressed messages are known")
        length = int.from_bytes(self._buffer[at + 1 : at + _PREFIX], "big")
        if length > self._longest:
            raise GrpcFramingError(f"a message of {length} bytes: the bound is {self._longest}")
        return length
