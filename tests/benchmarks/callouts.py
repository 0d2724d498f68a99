"""What an HTTP callout costs, against a plain exchange with h11 on the streams of asyncio."""

import asyncio
import statistics
import time
from dataclasses import dataclass

import h11

from mixer.callouts.assembly import ClusterCallouts
from mixer.callouts.clusters import Cluster, Discovery, Endpoint
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import HttpCall, HttpReply
from mixer.study.http1 import HttpStream

_ROUNDS = 5
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi"
_CALL = HttpCall(
    "up",
    ((b":method", b"GET"), (b":path", b"/p"), (b":authority", b"up"), (b"accept", b"*/*")),
    timeout=10.0,
)


@dataclass(frozen=True)
class CalloutCost:
    """CPU of one exchange on a connection that is open, the upstream's share included.

    Attributes:
        callout: Microseconds of a callout.
        plain: Microseconds of the plain exchange.
    """

    callout: float
    plain: float


class _Canned(asyncio.Protocol):
    """Answers every piece that it gets, so that the upstream costs next to nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        del data
        self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def _plain(stream: HttpStream) -> None:
    headers = [("host", "up"), ("accept", "*/*")]
    await stream.send(h11.Request(method="GET", target="/p", headers=headers), h11.EndOfMessage())
    while not isinstance(await stream.receive(), h11.EndOfMessage):
        pass
    stream.protocol.start_next_cycle()


async def _callout(client: ClusterCallouts) -> None:
    answered: asyncio.Future[HttpReply | None] = asyncio.get_running_loop().create_future()
    client.http_call(_CALL, answered.set_result)
    assert await answered is not None


async def measure(exchanges: int) -> CalloutCost:
    """Both in turns, one exchange at a time; the medians of the rounds."""
    server = await asyncio.get_running_loop().create_server(_Canned, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    cluster = Cluster("up", (Endpoint("127.0.0.1", port),), discovery=Discovery.STATIC)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    stream = HttpStream(h11.CLIENT, reader, writer)
    costs: list[tuple[float, float]] = []
    async with server, ClusterCallouts(Clusters([cluster])) as client:
        await _callout(client)
        for _ in range(_ROUNDS):
            began = time.process_time()
            for _ in range(exchanges):
                await _callout(client)
            between = time.process_time()
            for _ in range(exchanges):
                await _plain(stream)
            costs.append((between - began, time.process_time() - between))
        writer.close()
    callout, plain = (statistics.median(one) / exchanges * 1e6 for one in zip(*costs, strict=True))
    return CalloutCost(callout, plain)
