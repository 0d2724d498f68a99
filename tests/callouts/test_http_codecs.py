"""The codecs without sockets: whatever is cut into pieces, and whatever comes."""

import tracemalloc
from itertools import pairwise

import h2.config
import h2.connection
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame
from hypothesis import given
from hypothesis import strategies as st

from mixer.callouts.goaway import GoAway, GoAwayFilter
from mixer.callouts.http1 import Http1Codec
from mixer.callouts.http2 import Http2Codec
from mixer.callouts.http_failures import ResetError
from mixer.callouts.http_request import RequestError, make_request
from mixer.callouts.http_response import Response, ResponseTooLargeError
from mixer.callouts.ports import HttpCall, HttpReply
from tests.callouts.clients import GET, POST, text

REQUEST = make_request(HttpCall("up", GET), secure=False, max_response_bytes=1000)
CHUNKED = (
    b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nx-t: 1\r\n\r\n"
)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=30)


@given(CUTS)
def test_an_http1_response_is_the_same_however_it_is_cut(cuts):
    """Pieces of any size make the same response."""
    codec = Http1Codec()
    codec.send(REQUEST)
    replies = [codec.receive(piece) for piece in _pieces(CHUNKED, cuts)]
    [reply] = [one for one in replies if one is not None]
    assert text(reply) == ("200", "abcde")
    assert reply.trailers == ((b"x-t", b"1"),)
    assert codec.reusable


def _answer(request: bytes) -> bytes:
    config = h2.config.H2Configuration(client_side=False)
    server = h2.connection.H2Connection(config)
    server.initiate_connection()
    server.receive_data(request)
    server.send_headers(1, [(":status", "200")])
    server.send_data(1, b"abc")
    server.send_headers(1, [("x-t", "1")], end_stream=True)
    return server.data_to_send()


@given(CUTS)
def test_an_http2_response_is_the_same_however_it_is_cut(cuts):
    """Pieces of any size make the same response, with a GOAWAY among them."""
    codec = Http2Codec()
    stream = codec.send(REQUEST)
    goaway = GoAwayFrame(last_stream_id=stream).serialize()
    answer = _answer(codec.to_send())
    settings = 9 + int.from_bytes(answer[:3], "big")
    whole = answer[:settings] + goaway + answer[settings:]
    ended = [end for piece in _pieces(whole, cuts) for end in codec.receive(piece)]
    [(number, reply)] = ended
    assert number == stream
    assert isinstance(reply, HttpReply)
    assert (text(reply), reply.trailers) == (("200", "abc"), ((b"x-t", b"1"),))
    assert (codec.closing, codec.capacity) == (True, 0)


def test_a_large_response_follows_the_windows_of_http2():
    """An upstream that waits for room gets it, for many times what a window holds."""
    codec = Http2Codec()
    size = 40 << 20
    request = make_request(HttpCall("up", GET), secure=False, max_response_bytes=size)
    codec.send(request)
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    server.initiate_connection()
    server.receive_data(codec.to_send())
    server.send_headers(1, [(":status", "200")])
    unsent, ended = size, []
    while not ended:
        room = min(server.local_flow_control_window(1), server.max_outbound_frame_size, unsent)
        if room:
            unsent -= room
            server.send_data(1, bytes(room), end_stream=not unsent)
        ended = codec.receive(server.data_to_send())
        server.receive_data(codec.to_send())
        assert room, "the upstream waits for ever"
    [(_, reply)] = ended
    assert isinstance(reply, HttpReply)
    assert len(reply.body) == size


@given(CUTS)
def test_goaway_is_taken_out_however_it_is_cut(cuts):
    """Everything else is passed on as it was."""
    others = [PingFrame(0, b"12345678").serialize(), DataFrame(1, b"x" * 100).serialize()]
    goaway = GoAwayFrame(0, last_stream_id=7, error_code=ErrorCodes.NO_ERROR, additional_data=b"d")
    data = others[0] + goaway.serialize() + others[1] + goaway.serialize()
    filtered = GoAwayFilter()
    passed, found = b"", []
    for piece in _pieces(data, cuts):
        through, frames = filtered.receive(piece)
        passed += through
        found += frames
    assert (passed, found) == (b"".join(others), [GoAway(7, 0)] * 2)


@given(st.binary(max_size=300), st.booleans())
def test_whatever_an_upstream_sends_ends_in_a_known_way(data, headed):
    """Noise, behind good headers too, is a response or one of the failures."""
    data = b"HTTP/1.1 200 OK\r\n" * headed + data
    for codec in (Http1Codec(), Http2Codec()):
        codec.send(REQUEST)
        try:
            codec.receive(data)
            codec.receive(b"")
        except (ResetError, ResponseTooLargeError):
            continue


_BYTES = st.binary(max_size=12) | st.sampled_from([b"a\r\nb: c", b"\n", b"\0", b"host", b":path"])


@given(st.lists(st.tuples(_BYTES, _BYTES), max_size=5), st.lists(st.tuples(_BYTES, _BYTES)), _BYTES)
def test_a_module_writes_nothing_but_what_it_names(headers, trailers, body):
    """Whatever its headers hold, what goes out is one request with these fields, or nothing."""
    call = HttpCall("up", (*POST, *headers), body, tuple(trailers))
    try:
        request = make_request(call, secure=False, max_response_bytes=1000)
    except RequestError:
        return
    sent = Http1Codec().send(request)
    head, _, rest = sent.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    names = {name.strip().lower() for name, _ in headers}
    own = {b"host", b"content-length", b"transfer-encoding", b"x-envoy-internal"}
    assert {line.partition(b":")[0] for line in lines[1:]} <= names | own
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert not any(control in head for control in (b"\0", b"\x7f"))
    if not request.trailers:
        assert rest == body
    Http2Codec().send(request)


def test_a_body_in_tiny_pieces_takes_no_more_memory_than_its_bytes():
    """The bound of a body is one of memory, whatever the chunks or frames it comes in."""
    response = Response(1 << 20)
    tracemalloc.start()
    try:
        for _ in range(1 << 17):
            response.add_body(bytes((1, 2)))
        size, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 1 << 20
