"""gRPC's messages, statuses and HTTP/2, sans-I/O."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.callouts.dialing import DialError, DialTimeoutError, NoHealthyUpstreamError
from mixer.callouts.grpc_exchange import Exchange
from mixer.callouts.grpc_http2 import BrokenConnectionError, GrpcHttp2
from mixer.callouts.grpc_messages import GrpcFramingError, MessageSplitter, framed
from mixer.callouts.grpc_status import TERMINATED, not_connected, status_of
from mixer.callouts.ports import Pairs

REQUEST: Pairs = (
    (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a"), (b":authority", b"c"),
)  # fmt: skip


class Told:
    """The names of what was told."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.messages: list[bytes] = []
        self.status: int | None = None

    def on_initial_metadata(self, metadata: Pairs) -> None:
        self.names.append("initial")

    def on_message(self, message: bytes) -> None:
        self.names.append("message")
        self.messages.append(message)

    def on_trailing_metadata(self, metadata: Pairs) -> None:
        self.names.append("trailing")

    def on_close(self, status: int, message: str) -> None:
        self.names.append("close")
        self.status = status


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(st.binary(max_size=300), max_size=6), st.lists(st.integers(0, 2000), max_size=9))
def test_messages_survive_any_cut(messages: list[bytes], places: list[int]) -> None:
    """What is framed comes out the same, however it is cut."""
    splitter = MessageSplitter(300)
    sent = b"".join(framed(message) for message in messages)
    assert [m for piece in pieces(sent, places) for m in splitter.feed(piece)] == messages


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_any_bytes_are_messages_or_refused(data: bytes, places: list[int]) -> None:
    """Nothing but GrpcFramingError is raised, and no message is past the bound."""
    splitter = MessageSplitter(10)
    with contextlib.suppress(GrpcFramingError):
        for piece in pieces(data, places):
            assert all(len(message) <= 10 for message in splitter.feed(piece))


FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b":status", b"grpc-status", b"grpc-message", b"x"]),
        st.sampled_from([b"200", b"404", b"0", b"7", b"zz", b"99999", b"\xff", b""]),
    ),
    max_size=4,
).map(tuple)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("headers"), FIELDS, st.booleans()),
        st.tuples(st.just("data"), st.binary(max_size=20) | st.just(framed(b"m")), st.booleans()),
        st.tuples(st.just("trailers"), FIELDS, st.just(True)),
        st.tuples(st.just("lost"), st.none(), st.just(True)),
    ),
    max_size=8,
)


@given(STEPS)
def test_events_come_in_order_and_end_once(steps: list[tuple[str, object, bool]]) -> None:
    """Whatever a server does: metadata, messages, trailing metadata, the close, nothing more."""
    told = Told()
    exchange = Exchange(told, 1000)
    began = False
    for kind, what, end in steps:
        if exchange.ended or (kind in ("data", "trailers") and not began):
            continue
        if kind == "headers" and not began:
            began = True
            exchange.headers(what, end=end)  # type: ignore[arg-type]
        elif kind == "data":
            exchange.data(what, end=end)  # type: ignore[arg-type]
        elif kind == "trailers":
            exchange.trailers(what)  # type: ignore[arg-type]
        elif kind == "lost":
            exchange.lost(TERMINATED)
    if not exchange.ended:
        exchange.lost(TERMINATED)
    exchange.lost(TERMINATED)
    exchange.trailers(())
    messages = len(told.names) - 3
    assert told.names == ["initial", *["message"] * messages, "trailing", "close"]


@pytest.mark.parametrize(
    ("trailers", "expected"),
    [
        ((), (2, "")),
        (((b"grpc-status", b"0"),), (0, "")),
        (((b"grpc-status", b"16"), (b"grpc-message", b"a%20b")), (16, "a%20b")),
        (((b"grpc-status", b"17"),), (0xFFFF_FFFF, "")),
        (((b"grpc-status", b"-1"),), (0xFFFF_FFFF, "")),
        (((b"grpc-status", b""),), (0xFFFF_FFFF, "")),
        (((b"grpc-status", b"5"), (b"grpc-status", b"6")), (5, "")),
        (((b"grpc-message", b"\xff"),), (2, "\udcff")),
    ],
)
def test_statuses(trailers: Pairs, expected: tuple[int, str]) -> None:
    """The server's status as it is, -1 where gRPC knows none such, 2 where there is none."""
    assert status_of(trailers) == expected


@pytest.mark.parametrize(
    ("error", "message", "details"),
    [
        (NoHealthyUpstreamError("none"), "no healthy upstream", "no_healthy_upstream"),
        (
            DialTimeoutError("connection timeout"),
            "upstream connect error or disconnect/reset before headers. reset reason: connection "
            "timeout",
            "upstream_reset_before_response_started{connection_timeout}",
        ),
        (
            DialError("delayed connect error: Connection refused"),
            "upstream connect error or disconnect/reset before headers. reset reason: remote "
            "connection failure",
            "upstream_reset_before_response_started"
            "{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        ),
    ],
)
def test_no_connection(error: DialError, message: str, details: str) -> None:
    """Each reason has Envoy's words."""
    answer = not_connected(error)
    assert (answer.status, answer.message, answer.details) == (14, message, details)


def test_what_waits_is_sent_when_there_is_room() -> None:
    """A body is cut to the server's windows, and goes on with each update."""
    codec = GrpcHttp2()
    number = codec.open(REQUEST, Exchange(Told(), 1000))
    codec.receive(frame(4, 0, 0, b""))
    codec.send(number, bytes(100_000), end=True)
    assert codec.unsent(number) == 100_000 - 65_535
    for stream in (0, number):
        codec.receive(frame(8, 0, stream, (1 << 20).to_bytes(4, "big")))
    assert codec.unsent(number) == 0
    assert len(codec.to_send()) > 100_000


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + number.to_bytes(4, "big")
    return head + payload


FRAMES = st.builds(
    lambda kind, flags, number, payload: (
        len(payload).to_bytes(3, "big") + bytes((kind, flags)) + number.to_bytes(4, "big") + payload
    ),
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0xFF]),
    st.sampled_from([0, 1, 2, 3, 5]),
    st.binary(max_size=40) | st.just(b"\x88"),
)


@given(
    st.lists(FRAMES | st.binary(max_size=20), max_size=6), st.lists(st.integers(0, 200), max_size=4)
)
def test_any_server_is_understood_or_given_up(frames: list[bytes], places: list[int]) -> None:
    """Nothing but BrokenConnectionError is raised, and each exchange ends once."""
    codec, told = GrpcHttp2(), Told()
    number = codec.open(REQUEST, Exchange(told, 1000))
    codec.send(number, framed(b"x"), end=True)
    with contextlib.suppress(BrokenConnectionError):
        for piece in pieces(b"".join(frames), places):
            codec.receive(piece)
    codec.lost(TERMINATED)
    assert told.names.count("close") == 1
    codec.reset(number)
    codec.send(number, b"late", end=True)
    assert isinstance(codec.to_send(), bytes)
