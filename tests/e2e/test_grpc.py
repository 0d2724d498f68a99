"""The service as a gRPC server, without Envoy."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc
import hpack
import psutil
import pytest
import pytest_asyncio
from envoy.service.auth.v3 import external_auth_pb2
from google.rpc import code_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from h2.errors import ErrorCodes
from hyperframe.frame import HeadersFrame, RstStreamFrame, SettingsFrame

from mixer.study.service import ServiceProcess
from tests.e2e.calls import CHECK, call, channel, check, check_request, health
from tests.e2e.guests import Guests
from tests.e2e.stack import Services, adapter

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_MESSAGE = 2 << 20
AUTHORIZATION = "envoy.service.auth.v3.Authorization"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(services: Services, guests: Guests) -> AsyncIterator[ServiceProcess]:
    adapters = [
        adapter("adds", guests.adds((b"x-added", b"1"))),
        adapter("slow", guests.hostile(), annotations={"cpu-limit": "10s"}),
        adapter("broken", guests.file("broken", b"not wasm"), failStrategy="FAIL_OPEN"),
    ]
    limits = {"maxMessageBytes": MAX_MESSAGE}
    async with services.service("grpc", adapters, limits=limits) as running:
        yield running


async def status_of(service: ServiceProcess, request: bytes, **options: str) -> grpc.StatusCode:
    async with channel(service.address) as opened:
        with pytest.raises(grpc.RpcError) as caught:
            await call(opened, request, **options)
    return caught.value.code()


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("", "SERVING"),
        (AUTHORIZATION, "SERVING"),
        ("istio.mixer.v1.Mixer", "SERVING"),
        ("mixer.adapter.adds", "SERVING"),
        ("mixer.adapter.broken", "NOT_SERVING"),
    ],
)
async def test_health(service: ServiceProcess, name: str, status: str) -> None:
    """The standard health check tells of the service and of each adapter."""
    assert await health(service.address, name) == status


async def test_health_of_something_unknown(service: ServiceProcess) -> None:
    """An unknown name is NOT_FOUND, as the health protocol has it."""
    with pytest.raises(grpc.RpcError) as caught:
        await health(service.address, "mixer.adapter.none")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection(service: ServiceProcess) -> None:
    """Reflection lists the services, so that grpcurl works."""
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    async with channel(service.address) as opened:
        stub = reflection_pb2_grpc.ServerReflectionStub(opened)
        [answer] = [one async for one in stub.ServerReflectionInfo(iter([asked]))]
    names = {one.name for one in answer.list_services_response.service}
    assert {AUTHORIZATION, "grpc.health.v1.Health"} <= names


async def test_allowed_request(service: ServiceProcess) -> None:
    """A CheckRequest is answered with what the adapters did."""
    async with channel(service.address) as opened:
        answer = await check(opened, check_request())
    assert answer.status.code == code_pb2.OK
    [added] = answer.ok_response.headers
    assert (added.header.key, added.header.value) == ("x-added", "1")
    assert list(answer.dynamic_metadata["failed_open"]) == ["broken"]


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff", b"nonsense"])
async def test_malformed_bytes(service: ServiceProcess, data: bytes) -> None:
    """Bytes that are no CheckRequest are denied: a gRPC error may let a request pass."""
    async with channel(service.address) as opened:
        answer = await check(opened, data)
    assert answer.status.code == code_pb2.INVALID_ARGUMENT
    assert answer.denied_response.status.code == 400
    assert "not a CheckRequest" in answer.status.message


async def test_request_about_nothing_is_denied(service: ServiceProcess) -> None:
    """A CheckRequest without an HTTP request is never allowed."""
    empty = external_auth_pb2.CheckRequest().SerializeToString()
    async with channel(service.address) as opened:
        answer = await check(opened, empty)
    assert answer.status.code != code_pb2.OK
    assert answer.HasField("denied_response")


async def test_unknown_method(service: ServiceProcess) -> None:
    """Methods that the service does not have are UNIMPLEMENTED."""
    for method in (f"/{AUTHORIZATION}/Uncheck", "/other.Service/Check"):
        status = await status_of(service, check_request(), method=method)
        assert status is grpc.StatusCode.UNIMPLEMENTED


async def test_large_header(service: ServiceProcess) -> None:
    """A header of a mebibyte is nothing special."""
    async with channel(service.address) as opened:
        answer = await check(opened, check_request(x_large="a" * (1 << 20)))
    assert answer.status.code == code_pb2.OK


async def test_message_over_the_limit(service: ServiceProcess) -> None:
    """A message over maxMessageBytes is refused, and the connection serves the next one."""
    async with channel(service.address) as opened:
        with pytest.raises(grpc.RpcError) as caught:
            await call(opened, check_request(x_large="a" * MAX_MESSAGE))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await check(opened, check_request())).status.code == code_pb2.OK


async def test_cancelled_calls(service: ServiceProcess) -> None:
    """Clients that give up while their requests are served leave the service as it was."""
    async with channel(service.address) as opened:
        calls = [call(opened, check_request(x_attack="burn")) for _ in range(10)]
        await calls[0]
        for one in calls[1:]:
            one.cancel()
        assert (await check(opened, check_request())).status.code == code_pb2.OK
    assert await health(service.address) == "SERVING"


CONNECTIONS, CALLS = 200, 50
MAX_GROWTH_BYTES = 8 << 20
MAX_NEW_FILES = 8


async def test_nothing_is_left_behind_by_ten_thousand_requests(service: ServiceProcess) -> None:
    """200 connections of 50 requests each grow the service by less than 8 MiB and 8 files."""
    process = psutil.Process(service.pid)
    request = check_request("/path", x_header="value")
    connecting = asyncio.Semaphore(4)

    async def connection() -> None:
        async with connecting, channel(service.address) as opened:
            for _ in range(CALLS):
                await call(opened, request)

    await asyncio.gather(*(connection() for _ in range(20)))  # what is allocated once
    memory, files = process.memory_info().rss, process.num_fds()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    async with asyncio.timeout(30):
        while process.num_fds() > files + MAX_NEW_FILES:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)
    assert process.memory_info().rss - memory < MAX_GROWTH_BYTES


OPENS = 100_000
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()
CALL = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", CHECK),
    (":authority", "mixer"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


async def test_calls_that_are_opened_and_cancelled(service: ServiceProcess) -> None:
    """A hundred thousand, one after the other on one connection, leave nothing, and harm nobody."""
    process = psutil.Process(service.pid)
    async with channel(service.address) as opened:
        await check(opened, check_request())
        memory = process.memory_info().rss
        reader, writer = await asyncio.open_unix_connection(service.address.removeprefix("unix:"))
        writer.write(HELLO)
        reading = asyncio.create_task(reader.read())  # or the service would wait for room
        headers = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*one) for one in CALL])
        for stream in range(1, 2 * OPENS, 2):
            begin = HeadersFrame(stream, headers, flags=["END_HEADERS"])
            end = RstStreamFrame(stream, ErrorCodes.CANCEL)
            writer.write(begin.serialize() + end.serialize())
            if stream % 1000 == 1:
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await reading
        assert (await check(opened, check_request())).status.code == code_pb2.OK
        assert process.memory_info().rss - memory < 2 * MAX_GROWTH_BYTES
