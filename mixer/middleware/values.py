"""What a middleware tells of a request, and what it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mixer.attributes import Pair, Timestamp

Pairs = list[Pair]
"""The headers of a message: names in lower case, pseudo-headers such as ``:path`` first."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One end of a connection.

    Attributes:
        host: An IP address.
        port: Of TCP.
    """

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Workload:
    """What is asked for: the service that the middleware is in front of.

    Attributes:
        service: Its name, ``destination.service``; empty where it has none.
        labels: ``destination.labels``.
    """

    service: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


NO_WORKLOAD = Workload()
"""One of which nothing is told."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request, as it reached the process.

    Attributes:
        headers: ``:method``, ``:path``, ``:scheme`` and ``:authority`` among them.
        time: When.
        protocol: Such as ``HTTP/1.1``.
        workload: What it is for.
        source: Who is at the other end of the connection; None of a Unix socket.
        destination: This end.
        principal: Of the client's certificate: its first URI, or another of its names.
        mtls: Whether the client showed a certificate.
        seconds: That its caller still waits; None without a deadline.
    """

    headers: Pairs
    time: Timestamp
    protocol: str
    workload: Workload = NO_WORKLOAD
    source: Peer | None = None
    destination: Peer | None = None
    principal: str | None = None
    mtls: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response instead of the application's.

    Attributes:
        status: Of HTTP, 200 to 599.
        headers: Without ``:status``.
        body: Of the response.
        code: Of gRPC.
        message: Why, in a few words, for callers of gRPC and for logs.
    """

    status: int
    headers: tuple[Pair, ...] = ()
    body: bytes = b""
    code: int = 14
    message: str = ""


UNAVAILABLE = Answer(503, message="the request could not be decided")
"""Where nothing decided: the request may not go on."""


@dataclass(slots=True)
class Ended:
    """What became of a request, noted while it goes on.

    Attributes:
        request_size: Bytes of the body that were read.
        response_headers: As they were sent, with ``:status``; None where there was no response.
        response_size: Bytes of the body that were sent.
        duration: Nanoseconds.
        grpc_status: The number of gRPC, of calls of gRPC.
        grpc_message: And the words.
    """

    request_size: int = 0
    response_headers: Pairs | None = None
    response_size: int = 0
    duration: int = 0
    grpc_status: int | None = None
    grpc_message: str = ""
