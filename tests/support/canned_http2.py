"""An HTTP/2 server that answers every request with the same frames, whatever they are."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

Fields = Sequence[tuple[str, str]]

_PREFACE = 24
_HEAD = 9
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _METADATA = 0, 1, 3, 4, 6, 0x4D
_END_STREAM, _ACK, _END_HEADERS, _END_METADATA = 1, 1, 4, 4

OK: Fields = ((":status", "200"), ("content-type", "application/grpc"))


def headers(fields: Fields, *, end: bool = False) -> tuple[int, int, bytes]:
    """A HEADERS frame: no name and no value may be longer than 126 bytes."""
    return _HEADERS, _END_HEADERS | (_END_STREAM if end else 0), _block(fields)


def metadata(fields: Fields) -> tuple[int, int, bytes]:
    """A METADATA frame, which is an extension of Envoy's; bounds as for `headers`."""
    return _METADATA, _END_METADATA, _block(fields)


def _block(fields: Fields) -> bytes:
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def data(payload: bytes, *, end: bool = False) -> tuple[int, int, bytes]:
    """A DATA frame."""
    return _DATA, _END_STREAM if end else 0, payload


def message(payload: bytes) -> bytes:
    """A gRPC message with its prefix."""
    return b"\0" + len(payload).to_bytes(4, "big") + payload


RESET_KIND = _RESET
RESET = (_RESET, 0, (2).to_bytes(4, "big"))
CUT = None
"""Ends the connection."""

Frame = tuple[int, int, bytes] | None


@asynccontextmanager
async def canned(
    frames: Sequence[Frame], seen: asyncio.Queue[int] | None = None
) -> AsyncIterator[str]:
    """Serve on a free port, and tell the address; ``seen`` gets the kinds of frames that come."""

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            await _serve(reader, writer, frames, seen)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


async def _serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    frames: Sequence[Frame],
    seen: asyncio.Queue[int] | None,
) -> None:
    await reader.readexactly(_PREFACE)
    writer.write(_frame(_SETTINGS, 0, 0, b""))
    while True:
        head = await reader.readexactly(_HEAD)
        payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        if seen is not None:
            seen.put_nowait(head[3])
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            writer.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        if kind == _HEADERS:
            for frame in frames:
                if frame is None:
                    await writer.drain()
                    return
                writer.write(_frame(frame[0], frame[1], stream, frame[2]))
        await writer.drain()


def request(frames: Sequence[tuple[int, int, bytes]]) -> bytes:
    """What a client sends that opens a connection with one request of these frames."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, b"")
    return preface + b"".join(_frame(kind, flags, 1, payload) for kind, flags, payload in frames)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def _text(text: str) -> bytes:
    encoded = text.encode("latin-1")
    return bytes((len(encoded),)) + encoded
