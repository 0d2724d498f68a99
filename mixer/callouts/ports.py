"""What a VM needs of the network, whoever provides it.

Rules for every implementation: a callback is never made from within the call that asks for it, nor
after its cancellation, and always in the thread that asked. What goes wrong after a callout was
accepted is told the way Envoy tells it, as a response or a status, never as an exception.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

Pair = tuple[bytes, bytes]
Pairs = tuple[Pair, ...]
"""Names in lower case, and values; pseudo-headers first."""

Cancel = Callable[[], None]
"""Gives a callout up: its callback is not made any more. Nothing happens where it was already."""


_LONGEST_SHOWN = 100


class UnknownClusterError(LookupError):
    """No cluster of the configuration has this name, and it may not be made up.

    The message says which name, and what there is.
    """


class NotSentError(Exception):
    """A cluster that is known takes no callout now; the message says why."""


@dataclass(frozen=True, slots=True)
class HttpCall:
    """An HTTP callout (``proxy_http_call``).

    Attributes:
        cluster: As the module names it.
        headers: Of the request; ``:method``, ``:path`` and ``:authority`` are among them.
        body: Of the request.
        trailers: Of the request.
        timeout: Seconds until the answer must be there, or None for no such bound.
    """

    cluster: str
    headers: Pairs
    body: bytes = field(default=b"", repr=False)
    trailers: Pairs = ()
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came back: also for a connection that failed (503) and a timeout (504), as in Envoy.

    Attributes:
        headers: With ``:status``.
        body: The whole of it.
        trailers: Empty where there are none.
    """

    headers: Pairs
    body: bytes = b""
    trailers: Pairs = ()


@dataclass(frozen=True, slots=True)
class GrpcMethod:
    """Which method of which service, and with what metadata (``proxy_grpc_call`` and ``_stream``).

    Attributes:
        target: A cluster's name, or a serialized ``envoy.config.core.v3.GrpcService``.
        service: Full name of the service.
        method: Name of the method.
        metadata: Initial metadata of the client.
        timeout: Seconds, or None for no such bound.
    """

    target: bytes
    service: str
    method: str
    metadata: Pairs = ()
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class GrpcReply:
    """How a unary gRPC callout ended.

    Attributes:
        status: gRPC status code; the message is there where it is 0.
        status_message: Text of the status.
        message: The serialized response.
    """

    status: int
    status_message: str = ""
    message: bytes = b""


class GrpcEvents(Protocol):
    """Told what a gRPC stream brings: metadata, messages, trailing metadata, the end."""

    def on_initial_metadata(self, metadata: Pairs) -> None:
        """Once, before the first message."""

    def on_message(self, message: bytes) -> None:
        """One message."""

    def on_trailing_metadata(self, metadata: Pairs) -> None:
        """Once, after the last message."""

    def on_close(self, status: int, message: str) -> None:
        """Once, at the end; nothing is told afterwards."""


class GrpcStream(Protocol):
    """A gRPC stream that a module opened."""

    def send(self, message: bytes, *, end_of_stream: bool) -> None:
        """Send a message, and perhaps no more after it. Raises NotSentError past a bound."""

    def close(self) -> None:
        """Send no more; the server's messages go on coming."""

    def reset(self) -> None:
        """Give the stream up: nothing is told any more."""


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """A Redis server and how to log in (``proxy_redis_init``).

    Attributes:
        service: A cluster's name, perhaps with settings such as ``?db=1`` behind it.
        username: Empty for none.
        password: Empty for none; never logged.
        timeout: Seconds for one call.
    """

    service: str
    username: str = ""
    password: str = field(default="", repr=False)
    timeout: float = 1.0


@dataclass(frozen=True, slots=True)
class RedisReply:
    """What a Redis call brought.

    Attributes:
        status: 0 where the server answered, even with an error of its own.
        response: Raw RESP; empty where it did not.
    """

    status: int
    response: bytes = b""


class Redis(Protocol):
    """A Redis server, as one VM uses it."""

    def call(self, query: bytes, done: Callable[[RedisReply], None]) -> Cancel:
        """Send commands in raw RESP; the answer is that of all of them.

        Raises:
            ValueError: The query is no complete RESP.
            NotSentError: Too many calls wait already.
        """

    def close(self) -> None:
        """Free the connection; calls that wait are given up."""


@dataclass(frozen=True, slots=True)
class DnsAddress:
    """One address that a name has.

    Attributes:
        ip: Without brackets.
        ttl: For how many seconds it may be used.
    """

    ip: str
    ttl: int = 0


DnsReply = tuple[DnsAddress, ...] | None
"""All addresses, perhaps none; None where asking failed."""


class Callouts(Protocol):
    """Opens callouts to the clusters of a configuration."""

    def http_call(self, call: HttpCall, done: Callable[[HttpReply | None], None]) -> Cancel:
        """Send an HTTP request; ``done`` gets None if it is given up from this side.

        Raises:
            UnknownClusterError: There is no such cluster.
            NotSentError: The cluster takes no more now.
        """

    def grpc_call(
        self, method: GrpcMethod, message: bytes, done: Callable[[GrpcReply], None]
    ) -> Cancel:
        """Call a unary method. Raises UnknownClusterError, NotSentError."""

    def grpc_stream(self, method: GrpcMethod, events: GrpcEvents) -> GrpcStream:
        """Open a stream. Raises UnknownClusterError, NotSentError."""

    def redis(self, target: RedisTarget) -> Redis:
        """Connect to a Redis server, soon. Raises UnknownClusterError."""

    def resolve_dns(self, name: str, done: Callable[[DnsReply], None]) -> Cancel:
        """Ask for the addresses of a host, which a cluster or a dynamic upstream must have.

        Raises:
            UnknownClusterError: None has it.
            NotSentError: Nothing is asked now.
        """


class NoCallouts:
    """Where there are no clusters.

    Args:
        why: What is said of that.
    """

    def __init__(self, why: str = "none is configured") -> None:
        self._why = why

    def http_call(self, call: HttpCall, done: Callable[[HttpReply | None], None]) -> Cancel:
        """See `Callouts`."""
        del done
        raise self._unknown(call.cluster)

    def grpc_call(
        self, method: GrpcMethod, message: bytes, done: Callable[[GrpcReply], None]
    ) -> Cancel:
        """See `Callouts`."""
        del message, done
        raise self._unknown(method.target)

    def grpc_stream(self, method: GrpcMethod, events: GrpcEvents) -> GrpcStream:
        """See `Callouts`."""
        del events
        raise self._unknown(method.target)

    def redis(self, target: RedisTarget) -> Redis:
        """See `Callouts`."""
        raise self._unknown(target.service)

    def resolve_dns(self, name: str, done: Callable[[DnsReply], None]) -> Cancel:
        """See `Callouts`."""
        del done
        shown = name[:_LONGEST_SHOWN]
        raise UnknownClusterError(f"no cluster has the host {shown!r}: {self._why}")

    def _unknown(self, name: str | bytes) -> UnknownClusterError:
        return UnknownClusterError(f"no cluster {name[:_LONGEST_SHOWN]!r}: {self._why}")
