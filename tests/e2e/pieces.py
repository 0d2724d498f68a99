"""Requests and responses piece by piece, with trailers: what the client saw, and the upstream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11

from mixer.study import bootstrap as build
from mixer.study.http1 import Headers, HttpError, HttpStream, header_fields
from tests.differential.exchange import Message

_PATIENCE_S = 30.0
GAP_S = 0.02
"""Between two pieces, so that they most often come one by one; no test depends on it."""


@dataclass(frozen=True)
class Came:
    """A message as it came.

    Attributes:
        start: Status of a response; method and target of a request. ``reset`` where it broke off.
        headers: In lower case.
        body: All of it.
        trailers: In lower case.
    """

    start: int | str
    headers: Headers = ()
    body: bytes = b""
    trailers: Headers = ()

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]


@dataclass
class Upstream:
    """Answers each target as it is told to, and notes what came.

    Attributes:
        answers: By target.
        came: Requests by target.
        address: Where it listens.
    """

    answers: Mapping[str, Message]
    came: dict[str, Came] = field(default_factory=dict)
    address: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        stream = HttpStream(h11.SERVER, reader, writer)
        ended = ConnectionError, HttpError, h11.LocalProtocolError, asyncio.CancelledError
        with contextlib.suppress(*ended):
            while isinstance(request := await stream.receive(), h11.Request):
                target = request.target.decode()
                body, trailers = await _rest(stream)
                start = f"{request.method.decode()} {target}"
                self.came[target] = Came(start, _lower(header_fields(request)), body, trailers)
                answer = self.answers.get(target.partition("?")[0], Message((b"hello",)))
                await _send(stream, h11.Response, answer, status_code=answer.status)
                if stream.protocol.our_state is not h11.DONE:
                    break
                stream.protocol.start_next_cycle()
        writer.close()


@asynccontextmanager
async def upstream(answers: Mapping[str, Message]) -> AsyncIterator[Upstream]:
    """An upstream that is running."""
    serving = Upstream(answers)
    server = await asyncio.start_server(serving.serve, "127.0.0.1", 0)
    serving.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield serving


def cluster_of(name: str, address: str) -> build.Config:
    """A cluster that passes trailers on."""
    kind = "extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {
        "@type": f"type.googleapis.com/envoy.{kind}",
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
    }
    cluster = build.cluster(name, address)
    cluster["typed_extension_protocol_options"] = {f"envoy.{kind}": options}
    return cluster


async def exchange(
    address: str, target: str, request: Message | None = None, method: str = ""
) -> Came:
    """Send a request, and take in the response."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    stream = HttpStream(h11.CLIENT, reader, writer)
    sending = asyncio.create_task(
        _send(
            stream,
            h11.Request,
            request or Message(),
            method=method or ("GET" if request is None else "POST"),
            target=target,
            host="a.example",
        )
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            head = await stream.receive()
            if not isinstance(head, h11.Response):
                return Came("reset")
            body, trailers = await _rest(stream)
            return Came(head.status_code, _lower(header_fields(head)), body, trailers)
    except (HttpError, ConnectionError):
        return Came("reset")
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


async def _send(
    stream: HttpStream, kind: type[h11.Request | h11.Response], message: Message, **start: object
) -> None:
    host = start.pop("host", None)
    fields = [*message.fields] if message.body or message.trailers else [*message.headers]
    headers = [("host", str(host)), *fields] if host else fields
    if kind is h11.Response and fields == [*message.headers]:
        headers = [*headers, ("content-length", "0")]
    parts = [kind(headers=headers, **start), *map(h11.Data, message.body)]
    for part in parts:
        await stream.send(part)
        await asyncio.sleep(GAP_S)
    await stream.send(h11.EndOfMessage(headers=list(message.trailers or ())))


async def _rest(stream: HttpStream) -> tuple[bytes, Headers]:
    body = b""
    while isinstance(part := await stream.receive(), h11.Data):
        body += part.data
    assert isinstance(part, h11.EndOfMessage), part
    return body, _lower(tuple((n.decode(), v.decode()) for n, v in part.headers))


def _lower(headers: Headers) -> Headers:
    return tuple((name.lower(), value) for name, value in headers)
