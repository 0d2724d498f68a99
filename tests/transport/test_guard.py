"""A service for the callers on a list only, asked over real connections."""

from collections import namedtuple
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.auth.v3 import external_auth_pb2
from envoy.service.ratelimit.v3 import rls_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mixer.api import access_log, ext_authz, mixer_v1, network_ext_proc, otlp_logs, rate_limit, rlqs
from mixer.config import Listener, ListenerTls, ServiceLimits
from mixer.transport.access import Security
from mixer.transport.allow_list import NOT_ALLOWED, AllowList
from mixer.transport.front_ends import FRONT_ENDS, FrontEnd
from mixer.transport.grpc_listener import GrpcListener
from mixer.transport.guard import Guarded
from mixer.transport.health import Health
from mixer.transport.identity import Identity
from mixer.transport.tls import ServerTls
from mixer.wire import mixer_v1_pb2 as pb
from tests.engine.conftest import MakeEngine, make_engine, plugins
from tests.support.authority import Authority, Leaf

__all__ = ["make_engine", "plugins"]

AUTHORITY = Authority()
KNOWN = AUTHORITY.leaf("spiffe://example.org/ns/edge/sa/envoy")
UNKNOWN = AUTHORITY.leaf("spiffe://example.org/ns/other")
SERVICE = "a.Service"
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))


@pytest.mark.parametrize(
    ("pattern", "name", "is_admitted"),
    [
        ("spiffe://a/b", "spiffe://a/b", True),
        ("spiffe://a/b", "spiffe://a/bc", False),
        ("spiffe://a/b", "spiffe://a/b/c", False),
        ("spiffe://a/b/*", "spiffe://a/b/c", True),
        ("spiffe://a/b/*", "spiffe://a/b/c/d", True),
        ("spiffe://a/b/*", "spiffe://a/b", False),
        ("spiffe://a/b/*", "spiffe://a/bc/d", False),
        ("spiffe://a/*", "spiffe://a.evil/b", False),
        ("a.example", "a.example", True),
        ("a.example", "b.a.example", False),
    ],
)
def test_a_pattern(pattern: str, name: str, is_admitted: bool) -> None:
    """A name is meant as a whole, and a path with all that is below it."""
    assert AllowList("grpc", (pattern,)).admits(Identity(name, (name,))) == is_admitted


def test_any_name_of_a_caller_counts() -> None:
    """A certificate may have several DNS names; the subject is none of them."""
    allowed = AllowList("grpc", ("b.example", "cn"))
    assert allowed.admits(Identity("a.example", ("a.example", "b.example")))
    assert not allowed.admits(Identity("CN=cn", ()))
    assert not allowed.admits(None)


def test_who_is_refused_is_told_from_time_to_time(caplog: pytest.LogCaptureFixture) -> None:
    """A caller that asks again and again fills no log, and is counted."""
    allowed = AllowList("grpc", ("b.example",))
    for _ in range(100):
        allowed.admits(Identity("a.example\n", ("a.example\n",)))
    assert caplog.messages == [
        "listener grpc: the caller 'a.example\\n' is not in callers; 1 calls were refused so far"
    ]
    assert allowed.refused == 100


async def _one(data: bytes, _context: Any) -> bytes:
    return b"re:" + data


async def _many(data: bytes, _context: Any) -> AsyncIterator[bytes]:
    yield b"re:" + data
    yield b"end"


async def _write(data: bytes, context: Any) -> None:
    await context.write(b"re:" + data)
    await context.write(b"end")


async def _joined(requests: AsyncIterator[bytes], _context: Any) -> bytes:
    return b"re:" + b",".join([one async for one in requests])


async def _each(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
    async for one in requests:
        yield b"re:" + one


Details = namedtuple("Details", "method")
METHODS: dict[str, Any] = {
    "One": grpc.unary_unary_rpc_method_handler(_one),
    "Many": grpc.unary_stream_rpc_method_handler(_many),
    "Write": grpc.unary_stream_rpc_method_handler(_write),
    "Joined": grpc.stream_unary_rpc_method_handler(_joined),
    "Each": grpc.stream_stream_rpc_method_handler(_each),
    "DeniedOne": grpc.unary_unary_rpc_method_handler(_one),
    "DeniedMany": grpc.unary_stream_rpc_method_handler(_many),
    "DeniedEach": grpc.stream_stream_rpc_method_handler(_each),
}
DENIALS = {name: b"denied" for name in METHODS if name.startswith("Denied")}


@asynccontextmanager
async def listening(
    folder: Path, *served: Any, is_probed: bool = False
) -> AsyncIterator[GrpcListener]:
    cert_file, key_file = AUTHORITY.leaf(dns=["localhost"]).files(folder)
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(AUTHORITY.pem)
    tls = ListenerTls(cert_file=cert_file, key_file=key_file, client_ca_file=ca_file)
    callers = AllowList("grpc", ("spiffe://example.org/ns/edge/*",))
    health = Health()
    listener = GrpcListener(
        Listener(name="grpc", address="localhost:0"),
        ServiceLimits(),
        served,
        health.servicer,
        Security(ServerTls("grpc", tls), callers),
    )
    if is_probed:
        listener.listen_for_itself()
    await listener.start()
    await health.serving()
    try:
        yield listener
    finally:
        await listener.stop(0)
        listener.remove_sockets()


def channel(listener: GrpcListener, leaf: Leaf) -> grpc.aio.Channel:
    return grpc.aio.secure_channel(listener.address, AUTHORITY.credentials(leaf), _OPTIONS)


def own_service() -> tuple[FrontEnd, Any]:
    handler = grpc.method_handlers_generic_handler(SERVICE, METHODS)
    return FrontEnd(SERVICE, lambda _engine, _shedder: handler, DENIALS), handler


async def answers(opened: grpc.aio.Channel, method: str) -> list[bytes]:
    """What a method answers to two messages, or to one where it takes only one."""

    async def requests() -> AsyncIterator[bytes]:
        yield b"1"
        yield b"2"

    path, timeout = f"/{SERVICE}/{method}", 30.0
    if METHODS[method].request_streaming and METHODS[method].response_streaming:
        return [one async for one in opened.stream_stream(path)(requests(), timeout=timeout)]
    if METHODS[method].request_streaming:
        return [await opened.stream_unary(path)(requests(), timeout=timeout)]
    if METHODS[method].response_streaming:
        return [one async for one in opened.unary_stream(path)(b"1", timeout=timeout)]
    return [await opened.unary_unary(path)(b"1", timeout=timeout)]


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("One", [b"re:1"]),
        ("Many", [b"re:1", b"end"]),
        ("Write", [b"re:1", b"end"]),
        ("Joined", [b"re:1,2"]),
        ("Each", [b"re:1", b"re:2"]),
    ],
)
async def test_a_caller_on_the_list(method: str, answer: list[bytes], tmp_path: Path) -> None:
    """It is served as without a list, and another gets none of it."""
    async with listening(tmp_path, own_service()) as listener:
        async with channel(listener, KNOWN) as opened:
            assert await answers(opened, method) == answer
        async with channel(listener, UNKNOWN) as opened:
            # A client of grpc.aio that is refused while it sends tells only that sending failed.
            call = opened.stream_stream(f"/{SERVICE}/{method}")(timeout=30.0)
            if not METHODS[method].request_streaming:
                await call.write(b"1")
            assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
            assert await call.details() == NOT_ALLOWED


@pytest.mark.parametrize("method", ["DeniedOne", "DeniedMany", "DeniedEach"])
async def test_a_denial_is_a_message_where_the_protocol_has_one(
    method: str, tmp_path: Path
) -> None:
    """A proxy may take a status of gRPC for a service that is down, and let requests pass."""
    async with (
        listening(tmp_path, own_service()) as listener,
        channel(listener, UNKNOWN) as opened,
    ):
        call = opened.stream_stream(f"/{SERVICE}/{method}")(timeout=30.0)
        await call.write(b"1")
        assert await call.read() == b"denied"
        # The end of a stream with OK would tell some proxies to go on by themselves.
        is_stream = METHODS[method].response_streaming
        expected = grpc.StatusCode.PERMISSION_DENIED if is_stream else grpc.StatusCode.OK
        assert await call.code() is expected


async def test_a_stream_is_denied_once_it_asks() -> None:
    """A proxy may not expect an answer before it has told what it is about."""
    order: list[str] = []

    class Context:
        def auth_context(self) -> dict[str, Any]:
            return {}

        async def write(self, message: bytes) -> None:
            order.append(message.decode())

        async def abort(self, code: grpc.StatusCode, _details: str) -> None:
            order.append(code.name)

    async def requests() -> AsyncIterator[bytes]:
        order.append("asked")
        yield b"1"

    handler = Guarded(own_service()[1], AllowList("grpc", ("a.example",)), DENIALS)
    details: Any = Details(f"/{SERVICE}/DeniedEach")
    method: Any = handler.service(details)
    await method.stream_stream(requests(), Context())
    assert order == ["asked", "denied", "PERMISSION_DENIED"]


async def test_a_method_that_is_not_there(tmp_path: Path) -> None:
    """It is UNIMPLEMENTED for all callers."""
    async with (
        listening(tmp_path, own_service()) as listener,
        channel(listener, KNOWN) as opened,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await opened.unary_unary(f"/{SERVICE}/None")(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_every_caller_sees_the_health(tmp_path: Path) -> None:
    """What checks whether the service is there need not be on the list."""
    async with (
        listening(tmp_path, own_service()) as listener,
        channel(listener, UNKNOWN) as opened,
    ):
        answer = await health_pb2_grpc.HealthStub(opened).Check(
            health_pb2.HealthCheckRequest(service=""), timeout=30
        )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("front_end", FRONT_ENDS, ids=lambda one: one.service)
async def test_no_front_end_asks_for_a_caller_that_is_not_on_the_list(
    front_end: FrontEnd, make_engine: MakeEngine, tmp_path: Path
) -> None:
    """Each method that has a denial ends in it, and the engine is not asked."""
    engine = make_engine()
    served = (front_end, front_end.handler(engine, None))
    async with (
        listening(tmp_path, served) as listener,
        channel(listener, UNKNOWN) as opened,
    ):
        for method, denial in front_end.denials.items():
            call = opened.stream_stream(f"/{front_end.service}/{method}")(timeout=30)
            await call.write(b"")
            assert await call.read() == denial
    assert (engine.decisions, engine.reports) == (0, 0)


def test_what_others_are_told() -> None:
    """Checks are denied with 403; a report, which no proxy waits for, with a status."""
    denials = {one.service: one.denials for one in FRONT_ENDS}
    ext = external_auth_pb2.CheckResponse.FromString(denials[ext_authz.SERVICE][ext_authz.METHOD])
    assert ext.status.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert ext.denied_response.status.code == 403
    mixer = pb.CheckResponse.FromString(denials[mixer_v1.SERVICE][mixer_v1.CHECK]).precondition
    assert mixer.status.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert mixer.route_directive.direct_response_code == 403
    assert mixer.valid_duration.ToNanoseconds() == 0
    assert mixer_v1.REPORT not in denials[mixer_v1.SERVICE]
    limited = rls_pb2.RateLimitResponse.FromString(denials[rate_limit.SERVICE][rate_limit.METHOD])
    assert limited.overall_code == rls_pb2.RateLimitResponse.OVER_LIMIT
    assert denials[network_ext_proc.SERVICE] == {network_ext_proc.METHOD: network_ext_proc.CLOSE}


def test_where_a_status_is_enough() -> None:
    """No proxy waits for the answer of these to let a request pass."""
    without = [one.service for one in FRONT_ENDS if not one.denials]
    assert without == [rlqs.SERVICE, access_log.SERVICE, otlp_logs.SERVICE]
