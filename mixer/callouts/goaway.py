"""GOAWAY of HTTP/2: no new streams, but those that are open go on.

h2 closes a connection that gets one, and refuses what comes behind it. A server that restarts
sends GOAWAY first and the open answers then, so these frames are taken out in front of h2.
"""

from typing import NamedTuple

from hyperframe.exceptions import InvalidDataError
from hyperframe.frame import Frame, GoAwayFrame

_HEAD_BYTES = 9
_LONGEST_BYTES = 16384


class GoAway(NamedTuple):
    """What the frame says.

    Attributes:
        last_stream: Streams above it were not processed.
        error: Error code.
    """

    last_stream: int
    error: int


class GoAwayFilter:
    """Takes GOAWAY frames out of what a server sends."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._passing = 0

    def receive(self, data: bytes) -> tuple[bytes, list[GoAway]]:
        """Take bytes; those that are for h2, and the frames that are not.

        Raises:
            hyperframe.exceptions.HyperframeError: A frame is malformed.
        """
        self._buffer += data
        passed: list[bytes] = []
        found: list[GoAway] = []
        while self._passing or len(self._buffer) >= _HEAD_BYTES:
            if self._passing:
                passed.append(self._take(self._passing))
                self._passing -= len(passed[-1])
                if self._passing:
                    break
                continue
            frame, length = Frame.parse_frame_header(memoryview(bytes(self._buffer[:_HEAD_BYTES])))
            if length > _LONGEST_BYTES:
                # h2 would wait for all of it, which is for ever where no HTTP/2 is spoken.
                raise InvalidDataError(f"a frame of {length} bytes")
            if not isinstance(frame, GoAwayFrame):
                self._passing = _HEAD_BYTES + length
            elif len(self._buffer) < _HEAD_BYTES + length:
                break
            else:
                frame.parse_body(memoryview(self._take(_HEAD_BYTES + length)[_HEAD_BYTES:]))
                found.append(GoAway(frame.last_stream_id, frame.error_code))
        return b"".join(passed), found

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]  # cheap at the front of a bytearray, however much is behind it
        return taken
