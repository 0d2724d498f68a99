"""HTTP/1.1 on asyncio streams: h11 has the protocol, this has the sockets."""

import asyncio
from typing import TypeAlias

import h11

Headers: TypeAlias = tuple[tuple[str, str], ...]

HttpError = h11.RemoteProtocolError
"""The other side sent what is no HTTP/1.1 message, or stopped in the middle of one."""

_MAX_HEAD_BYTES = 128 * 1024
_BLOCK_BYTES = 64 * 1024


class HttpStream:
    """One side of a connection.

    Args:
        role: ``h11.CLIENT`` or ``h11.SERVER``.
        reader: What the other side sends.
        writer: What goes to it.
    """

    def __init__(
        self,
        role: type[h11.CLIENT | h11.SERVER],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.protocol = h11.Connection(role, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._reader, self._writer = reader, writer

    async def receive(self) -> h11.Event:
        """The next part of a message, or ``h11.ConnectionClosed``.

        Raises:
            HttpError: There is none.
        """
        while True:
            event = self.protocol.next_event()
            if isinstance(event, h11.Event):
                return event
            if event is h11.PAUSED:
                raise HttpError("more bytes than the message has")
            self.protocol.receive_data(await self._reader.read(_BLOCK_BYTES))

    async def send(self, *events: h11.Event) -> None:
        """Sends parts of a message.

        Raises:
            h11.LocalProtocolError: They cannot be sent, or not now.
        """
        self._writer.write(b"".join(self.protocol.send(event) or b"" for event in events))
        await self._writer.drain()


def header_fields(message: h11.Request | h11.Response) -> Headers:
    """Header fields as they were sent, the case of their names too."""
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in message.headers.raw_items()
    )
