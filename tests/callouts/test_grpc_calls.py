"""gRPC callouts against real servers."""

import asyncio
import ipaddress
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from envoy.config.core.v3.grpc_service_pb2 import GrpcService

from mixer.callouts.addresses import Addresses
from mixer.callouts.clusters import Cluster, ClusterLimits, ClusterTls, DynamicUpstream, Endpoint
from mixer.callouts.grpc_calls import GrpcCalls
from mixer.callouts.grpc_stream import MAX_UNSENT
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import (
    GrpcMethod,
    GrpcReply,
    GrpcStream,
    NotSentError,
    Pairs,
    UnknownClusterError,
)
from tests.callouts.clients import until
from tests.support.canned_http2 import OK, RESET_KIND, Frame, canned, data, headers, message
from tests.support.grpc_server import BIG, grpc_server
from tests.support.self_signed import self_signed

SUM = headers((("grpc-status", "0"),), end=True)
MakeCalls = Callable[..., GrpcCalls]


@pytest.fixture
async def make() -> AsyncIterator[MakeCalls]:
    """Makes clients of one cluster, ``c``, that are closed in the end."""
    made: list[GrpcCalls] = []

    def of(
        *addresses: str, dynamic: tuple[DynamicUpstream, ...] = (), **fields: object
    ) -> GrpcCalls:
        endpoints = tuple(endpoint(one) for one in addresses)
        clusters = [Cluster("c", endpoints, **fields)] if endpoints else []  # type: ignore[arg-type]
        made.append(GrpcCalls(Clusters(clusters, dynamic), Addresses()))
        return made[-1]

    yield of
    for one in made:
        await one.close()


def endpoint(address: str) -> Endpoint:
    host, _, port = address.rpartition(":")
    return Endpoint(host, int(port))


def method(
    name: str, *metadata: tuple[bytes, bytes], timeout: float | None = 10.0, target: bytes = b"c"
) -> GrpcMethod:
    return GrpcMethod(target, "a.B", name, metadata, timeout)


async def call(calls: GrpcCalls, which: GrpcMethod, message: bytes = b"hi") -> GrpcReply:
    future: asyncio.Future[GrpcReply] = asyncio.get_running_loop().create_future()
    calls.grpc_call(which, message, future.set_result)
    assert not future.done(), "a callback from within the call"
    return await asyncio.wait_for(future, 20.0)


class Events:
    """What a stream told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.began = asyncio.Event()
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def on_initial_metadata(self, metadata: Pairs) -> None:
        self.names.append("initial")
        self.began.set()

    def on_message(self, message: bytes) -> None:
        self.names.append("message")
        self.messages.put_nowait(message)

    def on_trailing_metadata(self, metadata: Pairs) -> None:
        self.names.append("trailing")

    def on_close(self, status: int, message: str) -> None:
        self.names.append("close")
        self.closed.set_result((status, message))


def open_stream(calls: GrpcCalls, name: str) -> tuple[GrpcStream, Events]:
    events = Events()
    return calls.grpc_stream(method(name, timeout=None), events), events


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_many_calls_on_one_connection(make: MakeCalls) -> None:
    """Calls and big messages get their own answers, side by side."""
    async with grpc_server() as server:
        calls = make(server)
        replies = await asyncio.gather(
            *(call(calls, method("echo"), b"%d" % number) for number in range(300)),
            call(calls, method("big")),
        )
    assert [one.message for one in replies[:-1]] == [b"re:%d" % number for number in range(300)]
    assert len(replies[-1].message) == BIG
    assert {one.status for one in replies} == {0}


async def test_a_big_message_is_sent_as_the_server_has_room(make: MakeCalls) -> None:
    """Flow control holds parts back and goes on."""
    async with grpc_server() as server:
        sent = b"y" * 3_000_000
        assert (await call(make(server), method("echo"), sent)).message == b"re:" + sent


async def test_a_conversation(make: MakeCalls) -> None:
    """Messages go both ways until this side closes, then comes the end."""
    async with grpc_server() as server:
        stream, events = open_stream(make(server), "every")
        for text in (b"one", b"", b"three"):
            stream.send(text, end_of_stream=False)
            assert await asyncio.wait_for(events.messages.get(), 10.0) == b"re:" + text
        stream.close()
        assert await asyncio.wait_for(events.closed, 10.0) == (0, "via_upstream")
        stream.send(b"late", end_of_stream=True)
        stream.reset()
    assert events.names == ["initial", *["message"] * 3, "trailing", "close"]


async def test_nothing_is_told_after_a_reset(make: MakeCalls) -> None:
    """Neither by a stream that was reset, before and after its connection, nor by a call."""
    async with grpc_server() as server:
        calls = make(server)
        early, told_early = open_stream(calls, "early")
        early.reset()
        replies: list[GrpcReply] = []
        calls.grpc_call(method("echo"), b"", replies.append)()
        assert (await call(calls, method("echo"))).status == 0
        stream, events = open_stream(calls, "every")
        stream.send(b"x", end_of_stream=False)
        await asyncio.wait_for(events.messages.get(), 10.0)
        cancel = calls.grpc_call(method("slow"), b"", replies.append)
        assert (await call(calls, method("echo"))).status == 0
        stream.reset()
        cancel()
        cancel()
        assert (await call(calls, method("echo"))).status == 0
        await settled()
    assert (told_early.names, replies) == ([], [])
    assert events.names == ["initial", "message"]


async def test_a_reset_in_a_callback(make: MakeCalls) -> None:
    """What came with the message in whose callback the stream is reset is not told."""
    frames: list[Frame] = [headers(OK), data(message(b"a") + message(b"b")), SUM]
    async with canned(frames) as server:
        calls = make(server)
        events = Events()
        told = asyncio.Event()

        def on_message(_message: bytes) -> None:
            events.names.append("message")
            stream.reset()
            told.set()

        events.on_message = on_message  # type: ignore[method-assign]
        stream = calls.grpc_stream(method("x"), events)
        await asyncio.wait_for(told.wait(), 10.0)
        await settled()
    assert events.names == ["initial", "message"]


async def test_the_server_learns_that_nobody_listens(make: MakeCalls) -> None:
    """A stream is reset on the wire, too: given up here, or answered before this side closed."""
    for frames, give_up in (([headers(OK)], True), ([headers(OK), SUM], False)):
        seen: asyncio.Queue[int] = asyncio.Queue()
        async with canned(frames, seen) as server:
            stream, events = open_stream(make(server), "x")
            async with asyncio.timeout(10.0):
                await events.began.wait()
                if give_up:
                    stream.reset()
                while await seen.get() != RESET_KIND:
                    pass


async def test_deadlines(make: MakeCalls) -> None:
    """A call ends in time, also without an answer; zero is for the server to judge."""
    async with grpc_server() as server:
        late = await call(make(server), method("slow", timeout=0.2))
    async with canned([]) as silent:
        never = await call(make(silent), method("echo", timeout=0.2))
    async with canned([headers(OK), data(message(b"hello")), SUM]) as generous:
        none = await call(make(generous), method("echo", timeout=0.0))
    # The server knows of the deadline, too, and may be first.
    assert (late.status, late.status_message) in (
        (14, "upstream request timeout{response_timeout}"),
        (4, "Deadline Exceeded{via_upstream}"),
    )
    assert never == GrpcReply(14, "upstream request timeout{response_timeout}")
    assert (none.status, none.message) == (0, b"hello")


async def test_bounds(make: MakeCalls) -> None:
    """Open calls, bytes that wait and long messages are bounded, and what ended makes room."""
    async with grpc_server() as server:
        calls = make(server, limits=ClusterLimits(max_requests=2, max_response_bytes=1000))
        streams = [open_stream(calls, "every")[0] for _ in range(2)]
        with pytest.raises(NotSentError, match="cluster c: 2 gRPC calls are open already"):
            calls.grpc_call(method("echo"), b"", lambda _reply: None)
        with pytest.raises(NotSentError, match="cluster c: 2 gRPC calls"):
            open_stream(calls, "every")
        with pytest.raises(NotSentError, match=f"more than the bound of {MAX_UNSENT} bytes"):
            streams[0].send(bytes(MAX_UNSENT + 1), end_of_stream=False)
        streams[0].send(bytes(MAX_UNSENT - 100), end_of_stream=False)
        with pytest.raises(NotSentError, match="waits to send more"):
            streams[0].send(bytes(1000), end_of_stream=False)
        streams[0].reset()
        assert (await call(calls, method("echo"), b"x" * 900)).status == 0
        assert await call(calls, method("echo"), b"x" * 1000) == GrpcReply(13, "via_upstream")
        assert await call(calls, method("big")) == GrpcReply(13, "via_upstream")
        streams[1].reset()


async def test_too_many_connections(make: MakeCalls) -> None:
    """Where no connection has room and no more may be made, Envoy's answer comes."""
    async with canned([]) as server:
        calls = make(server, limits=ClusterLimits(max_connections=0))
        reply = await call(calls, method("x"))
    assert (reply.status, reply.status_message) == (
        14,
        "upstream connect error or disconnect/reset before headers. reset reason: overflow"
        "{upstream_reset_before_response_started{overflow}}",
    )


async def test_endpoints_take_turns(make: MakeCalls) -> None:
    """Each call goes to the next one; one that is down fails its calls only."""
    async with canned([headers(OK), data(message(b"1")), SUM]) as one:
        async with canned([headers(OK), data(message(b"2")), SUM]) as two:
            calls = make(one, two)
            got = [(await call(calls, method("x"))).message for _ in range(4)]
        assert sorted(got) == [b"1", b"1", b"2", b"2"]
        statuses = sorted([(await call(calls, method("x"))).status for _ in range(4)])
    assert statuses == [0, 0, 14, 14]


async def test_a_server_that_comes_back(make: MakeCalls) -> None:
    """After a restart calls go over a new connection, without a pause."""
    async with grpc_server() as server:
        calls = make(server)
        stream, events = open_stream(calls, "every")
        stream.send(b"x", end_of_stream=False)
        await asyncio.wait_for(events.messages.get(), 10.0)
    status, text = await asyncio.wait_for(events.closed, 10.0)
    assert status, text
    assert (await call(calls, method("echo"))).status == 14
    async with grpc_server(address=server):
        assert (await call(calls, method("echo"))).message == b"re:hi"


async def test_what_a_module_may_not_send(make: MakeCalls) -> None:
    """Reserved metadata is dropped; what would break the protocol is refused."""
    reserved = (
        b":path",
        b":authority",
        b"te",
        b"grpc-timeout",
        b"content-type",
        b"connection",
        b"host",
        b"",
    )
    async with grpc_server() as server:
        calls = make(server)
        given = (
            *((name, b"evil") for name in reserved),
            (b"X-Mine", b" 1 "),
            (b"m-bin", b"\0\r\n"),
        )
        seen = (await call(calls, method("metadata", *given))).message.decode()
        assert "evil" not in seen
        assert "('x-mine', '1')" in seen
        assert r"('m-bin', b'\x00\r\n')" in seen
        for name, value in (
            (b"a b", b"1"),
            (b"x-a", b"1\r\nx-b: 2"),
            (b"x-\n", b""),
            (b"x", b"\0"),
        ):
            with pytest.raises(NotSentError, match="cannot be sent"):
                calls.grpc_call(method("echo", (name, value)), b"", lambda _reply: None)
        with pytest.raises(NotSentError, match="bound of 65536 bytes"):
            calls.grpc_call(method("echo", (b"x", b"y" * 70_000)), b"", lambda _reply: None)
        with pytest.raises(NotSentError, match="is no path"):
            calls.grpc_call(method("a\r\nb"), b"", lambda _reply: None)


def service(**fields: str) -> bytes:
    made = GrpcService()
    if "uri" in fields:
        made.google_grpc.target_uri = fields["uri"]
        made.google_grpc.stat_prefix = "s"
        if "credentials" in fields:
            made.google_grpc.credentials_factory_name = fields["credentials"]
    else:
        made.envoy_grpc.cluster_name = fields["cluster"]
    made.initial_metadata.add(key="x-service", value="1")
    return made.SerializeToString()


async def test_dynamic_upstreams_are_bounded(
    make: MakeCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module cannot open connections to ever more upstreams, and what is unused makes room."""
    monkeypatch.setattr("mixer.callouts.grpc_calls._MOST_DYNAMIC", 2)
    rule = DynamicUpstream(("*",), (1,), (ipaddress.ip_network("127.0.0.0/8"),))
    calls = make(dynamic=(rule,))
    targets = [f"127.0.0.{n}:1".encode() for n in (1, 2, 3)]
    streams = [calls.grpc_stream(method("x", target=one), Events()) for one in targets[:2]]
    with pytest.raises(NotSentError, match="2 dynamic upstreams are in use"):
        await call(calls, method("x", target=targets[2]))
    for stream in streams:
        stream.reset()
    await until(lambda: all(one.idle for one in calls._channels.values()))
    assert (await call(calls, method("x", target=targets[2]))).status == 14


async def test_services(make: MakeCalls) -> None:
    """A GrpcService names a cluster, or an upstream of the list; its metadata goes along."""
    async with grpc_server() as server:
        dynamic = DynamicUpstream(("127.0.0.1",), (endpoint(server).port,))
        calls = make(server, dynamic=(dynamic,))
        for target in (service(cluster="c"), service(uri=server), service(uri=f"ipv4:{server}")):
            seen = (await call(calls, method("metadata", target=target))).message
            assert b"('x-service', '1')" in seen
        with pytest.raises(NotSentError, match="no cluster 'absent'"):
            await call(calls, method("echo", target=service(cluster="absent")))
        with pytest.raises(NotSentError, match="no dynamic upstream"):
            await call(calls, method("echo", target=service(uri="127.0.0.1:1")))
        with pytest.raises(NotSentError, match="only target_uri"):
            await call(calls, method("echo", target=service(uri=server, credentials="x")))


@pytest.mark.parametrize(
    "target", [b"absent", b"", b"\xff\xff", b"h404", GrpcService().SerializeToString()]
)
async def test_unknown_targets(make: MakeCalls, target: bytes) -> None:
    """What is neither a name nor a usable GrpcService is refused; some of these end Envoy."""
    calls = make("127.0.0.1:1")
    with pytest.raises(UnknownClusterError, match="no cluster"):
        calls.grpc_call(method("x", target=target), b"", lambda _reply: None)
    with pytest.raises(UnknownClusterError, match="no cluster"):
        calls.grpc_stream(method("x", target=target), Events())


async def test_tls(make: MakeCalls, tmp_path: Path) -> None:
    """The cluster's settings say whom to trust; a server that is not trusted gets no call."""
    certificate, key = self_signed(tmp_path, "server.test")
    pair = (key.read_bytes(), certificate.read_bytes())
    async with grpc_server(grpc.ssl_server_credentials([pair])) as server:
        trusting = ClusterTls(sni="server.test", ca_file=certificate)
        assert (await call(make(server, tls=trusting), method("echo"))).message == b"re:hi"
        unchecked = ClusterTls(verify=False)
        assert (await call(make(server, tls=unchecked), method("echo"))).message == b"re:hi"
        for tls in (ClusterTls(sni="server.test"), ClusterTls(sni="a.test", ca_file=certificate)):
            reply = await call(make(server, tls=tls), method("echo"))
            assert reply.status == 14
            assert "remote connection failure{" in reply.status_message
            assert "TLS_error" in reply.status_message
        missing = ClusterTls(ca_file=tmp_path / "missing.pem")
        with pytest.raises(NotSentError, match=r"cluster c: tls: .*missing\.pem"):
            await call(make(server, tls=missing), method("echo"))


def test_a_start_does_not_import_what_the_first_service_needs() -> None:
    """Envoy's messages are imported when a module first gives a GrpcService."""
    code = "import sys, mixer.callouts.grpc_calls; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert not {"grpc", "envoy", "google.protobuf"} & set(output.stdout.split())
