"""Answers that HTTP/2 owes an upstream that does not read them.

Each PING or SETTINGS is answered, so that an upstream that only writes could fill the memory. Envoy
bounds the frames that wait, and so does this.
"""

import asyncio
from typing import Protocol

MOST_UNREAD = 64 * 1024
"""Bytes of answers; one to a PING has 17."""


class Answering(Protocol):
    """The codec of a connection.

    Attributes:
        answers: Bytes that the frames of the upstream made it write, since they were last all read.
    """

    answers: int


def is_flooded(codec: Answering, transport: asyncio.WriteTransport) -> bool:
    """Whether too many answers wait; to be asked once they were written."""
    waiting = transport.get_write_buffer_size()
    if not waiting:
        codec.answers = 0
    return min(waiting, codec.answers) > MOST_UNREAD
