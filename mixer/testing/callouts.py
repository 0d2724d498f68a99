"""Callouts that a test sees and answers."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from mixer.callouts.ports import (
    Cancel,
    DnsAddress,
    DnsReply,
    GrpcEvents,
    GrpcMethod,
    GrpcReply,
    HttpCall,
    HttpReply,
    NotSentError,
    Pairs,
    RedisReply,
    RedisTarget,
    UnknownClusterError,
)

T = TypeVar("T")
Headers = Iterable[tuple[str | bytes, str | bytes]]


class AlreadyOverError(Exception):
    """The callout was answered or given up before."""


@dataclass(slots=True)
class _Waiting:
    """What every callout has.

    Attributes:
        over: Whether it was answered or given up.
    """

    over: bool = field(default=False, init=False)

    def cancel(self) -> None:
        """The module gave it up, or its VM is gone."""
        self.over = True

    def _end(self) -> None:
        if self.over:
            raise AlreadyOverError("the callout was answered or given up before")
        self.over = True


@dataclass(slots=True)
class FakeHttpCall(_Waiting):
    """An HTTP callout that waits for its answer.

    Attributes:
        call: What the module sent.
    """

    call: HttpCall
    _done: Callable[[HttpReply | None], None] = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers; the last one of each name."""
        return {name.decode(): value.decode() for name, value in self.call.headers}

    def respond(
        self,
        status: int = 200,
        body: str | bytes = b"",
        headers: Headers = (),
        trailers: Headers = (),
    ) -> None:
        """Answer it; the module is told before this returns. Raises AlreadyOverError."""
        self._end()
        fields = ((b":status", b"%d" % status), *_pairs(headers))
        self._done(HttpReply(fields, _bytes(body), _pairs(trailers)))

    def abort(self) -> None:
        """End it without any answer."""
        self._end()
        self._done(None)


@dataclass(slots=True)
class FakeGrpcCall(_Waiting):
    """A unary gRPC callout that waits for its answer.

    Attributes:
        method: What the module calls.
        message: What it sent.
    """

    method: GrpcMethod
    message: bytes
    _done: Callable[[GrpcReply], None] = field(repr=False)

    def respond(self, message: bytes) -> None:
        """Answer it."""
        self._end()
        self._done(GrpcReply(0, "", message))

    def fail(self, status: int, message: str = "") -> None:
        """End it with a gRPC status other than 0."""
        self._end()
        self._done(GrpcReply(status, message))


@dataclass(slots=True)
class FakeGrpcStream(_Waiting):
    """A gRPC stream that the module opened.

    Attributes:
        method: What the module calls.
        events: What the server does is told here.
        sent: Messages of the module, and whether each was the last one.
        closed: Whether the module sends no more.
    """

    method: GrpcMethod
    events: GrpcEvents
    sent: list[tuple[bytes, bool]] = field(default_factory=list)
    closed: bool = False

    def send(self, message: bytes, *, end_of_stream: bool) -> None:
        """See `mixer.callouts.ports.GrpcStream`."""
        self.sent.append((message, end_of_stream))

    def close(self) -> None:
        """See `mixer.callouts.ports.GrpcStream`."""
        self.closed = True

    def reset(self) -> None:
        """See `mixer.callouts.ports.GrpcStream`."""
        self.cancel()


@dataclass(slots=True)
class FakeRedisCall(_Waiting):
    """A Redis callout that waits for its answer.

    Attributes:
        target: The server.
        query: Raw RESP.
    """

    target: RedisTarget
    query: bytes
    _done: Callable[[RedisReply], None] = field(repr=False)

    def respond(self, response: bytes) -> None:
        """Answer it with raw RESP."""
        self._end()
        self._done(RedisReply(0, response))

    def fail(self, status: int = 1) -> None:
        """End it without an answer of the server."""
        self._end()
        self._done(RedisReply(status))


@dataclass(slots=True)
class FakeDnsCall(_Waiting):
    """A name that a module asks DNS for.

    Attributes:
        name: The host.
    """

    name: str
    _done: Callable[[DnsReply], None] = field(repr=False)

    def respond(self, *addresses: str, ttl: int = 60) -> None:
        """Answer it with these addresses, perhaps with none."""
        self._end()
        self._done(tuple(DnsAddress(ip, ttl) for ip in addresses))

    def fail(self) -> None:
        """End it without an answer."""
        self._end()
        self._done(None)


@dataclass(slots=True)
class _FakeRedis:
    target: RedisTarget
    calls: list[FakeRedisCall]
    then: Callable[[Callable[[RedisReply], None]], Callable[[RedisReply], None]]

    def call(self, query: bytes, done: Callable[[RedisReply], None]) -> Cancel:
        one = FakeRedisCall(self.target, query, self.then(done))
        self.calls.append(one)
        return one.cancel

    def close(self) -> None:
        for one in self.calls:
            one.cancel()


class FakeCallouts:
    """`mixer.callouts.ports.Callouts` without a network.

    Args:
        clusters: The names that are known; None knows every name.
        answered: Called after a module was told of an answer.

    Attributes:
        http_calls: In the order in which they were made; so are the others.
        grpc_calls: Likewise.
        grpc_streams: Likewise.
        redis_calls: Likewise.
        dns_calls: Likewise; ``clusters`` are then hosts.
        overloaded: While this is true, no callout can be sent.
    """

    def __init__(
        self,
        clusters: Collection[str] | None = None,
        *,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._clusters = clusters
        self._answered = answered
        self.http_calls: list[FakeHttpCall] = []
        self.grpc_calls: list[FakeGrpcCall] = []
        self.grpc_streams: list[FakeGrpcStream] = []
        self.redis_calls: list[FakeRedisCall] = []
        self.dns_calls: list[FakeDnsCall] = []
        self.overloaded = False

    def _check(self, cluster: str) -> None:
        if self._clusters is not None and cluster not in self._clusters:
            raise UnknownClusterError(f"no cluster {cluster!r}")
        if self.overloaded:
            raise NotSentError("the test lets nothing through")

    def http_call(self, call: HttpCall, done: Callable[[HttpReply | None], None]) -> Cancel:
        """See `Callouts`."""
        self._check(call.cluster)
        self.http_calls.append(one := FakeHttpCall(call, self._then(done)))
        return one.cancel

    def grpc_call(
        self, method: GrpcMethod, message: bytes, done: Callable[[GrpcReply], None]
    ) -> Cancel:
        """See `Callouts`."""
        self._check(method.target.decode("utf-8", "replace"))
        self.grpc_calls.append(one := FakeGrpcCall(method, message, self._then(done)))
        return one.cancel

    def grpc_stream(self, method: GrpcMethod, events: GrpcEvents) -> FakeGrpcStream:
        """See `Callouts`."""
        self._check(method.target.decode("utf-8", "replace"))
        self.grpc_streams.append(one := FakeGrpcStream(method, events))
        return one

    def redis(self, target: RedisTarget) -> _FakeRedis:
        """See `Callouts`."""
        self._check(target.service)
        return _FakeRedis(target, self.redis_calls, self._then)

    def resolve_dns(self, name: str, done: Callable[[DnsReply], None]) -> Cancel:
        """See `Callouts`."""
        self._check(name)
        self.dns_calls.append(one := FakeDnsCall(name, self._then(done)))
        return one.cancel

    def _then(self, done: Callable[[T], None]) -> Callable[[T], None]:
        def answer(reply: T) -> None:
            done(reply)
            self._answered()

        return answer


def _pairs(headers: Headers) -> Pairs:
    return tuple((_bytes(name).lower(), _bytes(value)) for name, value in headers)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
