"""What front ends count of the calls that they answer, by OpenTelemetry's conventions.

The transports count into plain lists while they serve, each in one place; here is what they count
into, and how it is told.

Source: OpenTelemetry's semantic conventions 1.40, "RPC metrics" and "HTTP metrics".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mixer.proxywasm import Durations
from mixer.telemetry.bins import CALL_BOUNDS, bins_of
from mixer.telemetry.family import Labels, Sample

_ERROR_STATUS = 500

OK = "OK"
"""The status of a call that did not fail."""
OTHER = "_OTHER"
"""What a method is called that there is not: callers must not make up series."""

GONE = "caller_gone"
"""The type of the error where the caller of an HTTP request left before there was an answer."""

HTTP_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY"}
)

_ERRORS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


def is_error(status: str) -> bool:
    """Whether a gRPC status, such as ``INTERNAL``, is an error of the server."""
    return status in _ERRORS


@dataclass(slots=True)
class RpcCalls:
    """The calls of one method.

    Attributes:
        method: Service and method, without the slash before them.
        durations: Of those that have ended, by the name of their status.
        in_progress: Those that have not.
    """

    method: str
    durations: dict[str, Durations] = field(default_factory=dict)
    in_progress: int = 0

    def ended(self, status: str, nanoseconds: int) -> None:
        """Count one that has ended."""
        durations = self.durations.get(status)
        if durations is None:
            durations = self.durations[status] = Durations()
        durations.add(nanoseconds)


@dataclass(frozen=True, slots=True)
class HttpKind:
    """What HTTP requests are told apart by.

    Attributes:
        method: One of `HTTP_METHODS`, or `OTHER`.
        scheme: ``http`` or ``https``.
        route: The path of the endpoint; empty where there is none.
        status: Of the answer; 0 where there was none.
    """

    method: str
    scheme: str
    route: str
    status: int

    @property
    def failed(self) -> bool:
        """Whether it is an error of the service, or has no answer."""
        return not self.status or self.status >= _ERROR_STATUS

    def labels(self) -> Labels:
        """As they are told."""
        found: list[tuple[str, str | int]] = [
            ("http.request.method", self.method),
            ("url.scheme", self.scheme),
        ]
        if self.route:
            found.append(("http.route", self.route))
        if self.status:
            found.append(("http.response.status_code", self.status))
        if self.failed:
            found.append(("error.type", str(self.status or GONE)))
        return tuple(found)


class Calls:
    """All calls of one service; belongs to its thread.

    Attributes:
        rpc: By method.
        http: Durations of requests by kind.
        http_in_progress: Requests without an answer yet, by method and scheme.
    """

    def __init__(self) -> None:
        self.rpc: dict[str, RpcCalls] = {}
        self.http: dict[HttpKind, Durations] = {}
        self.http_in_progress: dict[tuple[str, str], int] = {}

    def of(self, method: str) -> RpcCalls:
        """The calls of a gRPC method that there is."""
        return self.rpc.setdefault(method, RpcCalls(method))

    def http_began(self, method: str, scheme: str) -> None:
        """Count an HTTP request that has come."""
        now = self.http_in_progress.get((method, scheme), 0)
        self.http_in_progress[method, scheme] = now + 1

    def http_ended(self, kind: HttpKind, nanoseconds: int) -> None:
        """Count one that is over."""
        self.http_in_progress[kind.method, kind.scheme] -= 1
        durations = self.http.get(kind)
        if durations is None:
            durations = self.http[kind] = Durations()
        durations.add(nanoseconds)


def rpc_durations(calls: Calls) -> Iterator[Sample]:
    """How long gRPC calls took."""
    for one in calls.rpc.values():
        for status, durations in one.durations.items():
            yield Sample(_rpc_labels(one.method, status), bins_of(durations, CALL_BOUNDS))


def _rpc_labels(method: str, status: str) -> Labels:
    labels = (
        ("rpc.system.name", "grpc"), ("rpc.method", method), ("rpc.response.status_code", status)
    )  # fmt: skip
    return (*labels, ("error.type", status)) if is_error(status) else labels


def rpc_in_progress(calls: Calls) -> Iterator[Sample]:
    """How many gRPC calls there are now."""
    for one in calls.rpc.values():
        labels = (("rpc.system.name", "grpc"), ("rpc.method", one.method))
        yield Sample(labels, one.in_progress)


def http_durations(calls: Calls) -> Iterator[Sample]:
    """How long HTTP requests took."""
    for kind, durations in calls.http.items():
        yield Sample(kind.labels(), bins_of(durations, CALL_BOUNDS))


def http_in_progress(calls: Calls) -> Iterator[Sample]:
    """How many HTTP requests there are now."""
    for (method, scheme), count in calls.http_in_progress.items():
        yield Sample((("http.request.method", method), ("url.scheme", scheme)), count)
