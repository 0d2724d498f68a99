"""What the tests of HTTP callouts share: clients, calls, and waiting for what they bring."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mixer.callouts.addresses import Addresses
from mixer.callouts.assembly import ClusterCallouts
from mixer.callouts.clusters import Cluster, Discovery, Endpoint
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import HttpCall, HttpReply, Pairs
from tests.support.callout_upstream import Http1, Http2, Upstream

GET: Pairs = ((b":method", b"GET"), (b":path", b"/p"), (b":authority", b"up.example"))
POST: Pairs = ((b":method", b"POST"), *GET[1:])
OK = Http1((b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",))


def static(*ports: int, **options: object) -> Cluster:
    """A cluster ``up`` on 127.0.0.1."""
    endpoints = tuple(Endpoint("127.0.0.1", port) for port in ports)
    return Cluster("up", endpoints, discovery=Discovery.STATIC, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def callouts(
    *clusters: Cluster, addresses: Addresses | None = None, dynamic: tuple = ()
) -> AsyncIterator[ClusterCallouts]:
    """Callouts to clusters."""
    async with ClusterCallouts(Clusters(clusters, dynamic), addresses=addresses) as opened:
        yield opened


@asynccontextmanager
async def upstream(
    answer: Http1 | Http2 = OK, *, tls: ssl.SSLContext | None = None, **options: object
) -> AsyncIterator[tuple[Upstream, ClusterCallouts]]:
    """An upstream, and callouts to a cluster of it."""
    async with (
        Upstream(answer, tls) as server,
        callouts(static(server.port, **options)) as client,
    ):
        yield server, client


async def reply_to(client: ClusterCallouts, call: HttpCall | None = None) -> HttpReply | None:
    """Make a callout and wait for its end."""
    future: asyncio.Future[HttpReply | None] = asyncio.get_running_loop().create_future()
    client.http_call(call or HttpCall("up", GET), future.set_result)
    async with asyncio.timeout(60):
        return await future


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - it is another side that changes
            await asyncio.sleep(0.001)


def text(reply: HttpReply | None) -> tuple[str, str] | None:
    """Status and body of a reply."""
    if reply is None:
        return None
    return dict(reply.headers)[b":status"].decode(), reply.body.decode()
