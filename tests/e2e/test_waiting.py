"""Requests that wait for a callout: asked through the real Envoy, and over gRPC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from envoy.service.auth.v3 import external_auth_pb2

from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.study.upstream import EchoUpstream
from tests.e2e.calls import CHECK, call, channel, check, check_request
from tests.e2e.guests import Guests
from tests.e2e.stack import START_TIMEOUT_S, Document, Proxy, Services, adapter, asks, runs
from tests.support import adapters as do
from tests.support.compile import wasm

ASKING = do.adapter(
    do.add("x-asked", "1"),
    do.callout("auth", "/check", "a body"),
    do.answer(3),
    http_call_response=[
        do.in_stream(do.if_called("4", do.deny(403, "no")), do.add("x-late", "1"), do.resume)
    ],
    response_headers=[do.add_to_response("x-answered", "1")],
)


class Auth:
    """The service that the module asks; it answers once its gate is open.

    Attributes:
        status: What it answers.
        gate: Whether it answers.
        asked: How many requests have come.
        address: Where it is.
    """

    def __init__(self) -> None:
        self.status = 200
        self.gate = asyncio.Event()
        self.asked = 0
        self.address = ""
        self._open: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                assert b"content-length: 6" in head.lower()
                await reader.readexactly(6)
                self.asked += 1
                await self.gate.wait()
                writer.write(b"HTTP/1.1 %d Told\r\ncontent-length: 0\r\n\r\n" % self.status)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._open.discard(task)

    async def until_asked(self, times: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(30):
            while self.asked < times:  # noqa: ASYNC110 - the service asks when it does
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Auth"]:
        """Listen."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)


@pytest.fixture
async def auth() -> AsyncIterator[Auth]:
    """The service that the module asks."""
    async with Auth().running() as running:
        yield running


def documents(guests: Guests) -> list[Document]:
    """The adapter that asks."""
    return [adapter("asks", guests.file("asks", wasm(ASKING)))]


def clusters(auth: Auth) -> list[Document]:
    """What it may ask."""
    return [{"name": "auth", "endpoints": [auth.address]}]


async def test_both_placements(envoy: Path, services: Services, guests: Guests, auth: Auth) -> None:
    """Allowed or refused by what another service answers, asked or in the proxy: the same."""
    module = guests.file("asks", wasm(ASKING))
    listeners = [asks("asked"), runs("in-proxy", module, {})]
    auth.gate.set()
    async with EchoUpstream() as upstream:
        bootstrap = build.bootstrap(
            [listener.config for listener in listeners],
            [
                build.cluster("upstream", upstream.address),
                build.cluster("auth", auth.address),
                build.cluster("mixer", services.address("mixer"), http2=True),
            ],
        )
        service = services.service("mixer", documents(guests), clusters=clusters(auth))
        async with service, EnvoyProcess(bootstrap, start_timeout_s=START_TIMEOUT_S) as process:
            proxy = Proxy(process)
            for status in (200, 401):
                auth.status = status
                seen = [await proxy.get(name) for name in ("asked", "in-proxy")]
                assert seen[0].status == seen[1].status == (200 if status == 200 else 403)
                assert seen[0].body == seen[1].body or status == 200
                for one in seen:
                    saw = None if one.upstream is None else one.upstream.values("x-late")
                    assert saw == (["1"] if status == 200 else None)


async def test_many_wait_at_once(services: Services, guests: Guests, auth: Auth) -> None:
    """A hundred requests wait together, and each is answered once the other service answers."""
    service = services.service("many", documents(guests), clusters=clusters(auth))
    async with service, channel(service.address) as opened:
        waiting = [asyncio.create_task(check(opened, check_request())) for _ in range(100)]
        await auth.until_asked(100)
        assert not any(task.done() for task in waiting)
        auth.gate.set()
        answers = await asyncio.gather(*waiting)
    assert {answer.status.code for answer in answers} == {0}


async def test_a_caller_that_does_not_wait(services: Services, guests: Guests, auth: Auth) -> None:
    """A caller that goes ends its request, and the service goes on."""
    service = services.service("hurried", documents(guests), clusters=clusters(auth))
    async with service, channel(service.address) as opened:
        hurried = call(opened, check_request())
        await auth.until_asked(1)
        hurried.cancel()
        async with asyncio.timeout(30):
            while "caller_gone" not in (services.folder / "hurried.log").read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        auth.gate.set()
        assert (await check(opened, check_request())).status.code == 0


async def test_a_deadline_of_a_caller(services: Services, guests: Guests, auth: Auth) -> None:
    """It is answered with 503 before, so that a deadline which passes lets nothing through."""
    service = services.service("deadline", documents(guests), clusters=clusters(auth))
    async with service, channel(service.address) as opened, asyncio.timeout(60):
        while True:
            asked = opened.unary_unary(CHECK)(check_request(), timeout=0.5, wait_for_ready=True)
            if await asked.code() is grpc.StatusCode.OK:
                break  # on a busy machine the deadline may pass on the way back
    answer = external_auth_pb2.CheckResponse.FromString(await asked)
    assert answer.denied_response.status.code == 503
    assert answer.status.message == "decision_timed_out"


async def test_what_takes_too_long_is_refused(
    services: Services, guests: Guests, auth: Auth
) -> None:
    """After decisionTimeout the request is answered with 503."""
    service = services.service(
        "slow", documents(guests), clusters=clusters(auth), limits={"decisionTimeout": "50ms"}
    )
    async with service, channel(service.address) as opened:
        answer = await check(opened, check_request())
        assert answer.denied_response.status.code == 503
        auth.gate.set()
        assert (await check(opened, check_request())).status.code == 0
    assert "decision_timed_out" in (services.folder / "slow.log").read_text()


async def test_a_stop_waits_for_the_whole_grace(
    services: Services, guests: Guests, auth: Auth
) -> None:
    """What is in flight at SIGTERM has all of the grace, not a part of it."""
    service = services.service(
        "grace", documents(guests), clusters=clusters(auth), shutdown={"grace": "3s"}
    )
    async with service, channel(service.address) as opened:
        waiting = call(opened, check_request())
        await auth.until_asked(1)
        began = asyncio.get_running_loop().time()
        stopping = asyncio.create_task(service.stop())
        with pytest.raises(grpc.aio.AioRpcError):
            await waiting
        assert asyncio.get_running_loop().time() - began > 2.5
        await stopping


async def test_a_stop_lets_waiting_requests_end(
    services: Services, guests: Guests, auth: Auth
) -> None:
    """At SIGTERM a request that waits is answered, if its callout is within the grace."""
    service = services.service("stop", documents(guests), clusters=clusters(auth))
    async with service, channel(service.address) as opened:
        waiting = call(opened, check_request())
        await auth.until_asked(1)
        stopping = asyncio.create_task(service.stop())
        await asyncio.sleep(0)
        auth.gate.set()
        assert await waiting
        await stopping
