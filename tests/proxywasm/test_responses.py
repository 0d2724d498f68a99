"""The response's half of a stream, trailers, and bodies in several pieces."""

from collections.abc import Sequence

import pytest

from mixer.attributes import HeaderMap
from mixer.proxywasm import HttpMessage, LocalResponse, Outcome, StreamContext, local_reply
from tests.support.guest import BYTES, OK, Answer, Call, Guest, Phase, call

ALL = 2**32 - 1
BAD_ARGUMENT, NOT_FOUND = 2, 1


def value(kind: int, name: bytes = b"x-a") -> Call:
    return call("proxy_get_header_map_value", kind, name, BYTES)


def add(kind: int) -> Call:
    return call("proxy_add_header_map_value", kind, b"x-b", b"2")


def body(kind: int) -> Call:
    return call("proxy_get_buffer_bytes", kind, 0, ALL, BYTES)


def respond(status: int = 500) -> Call:
    return call("proxy_send_local_response", status, b"", b"", b"", ALL)


def response(context: StreamContext, *, trailers: bool = False) -> HttpMessage:
    """Give a stream a response, once its request is through."""
    context.on_request_headers(end_of_stream=True)
    message = HttpMessage(HeaderMap.of((":status", "200"), ("x-a", "1")))
    if trailers:
        message.trailers = HeaderMap.of(("x-a", "t"))
    context.stream.response = message
    return message


def pieces(context: StreamContext, message: HttpMessage, *parts: bytes) -> list[bytes]:
    """Send pieces of a response body, the last one with the end; what goes on after each."""
    gone = []
    for number, part in enumerate(parts, 1):
        message.body = part
        context.on_response_body(end_of_stream=number == len(parts))
        gone.append(message.body)
    return gone


def test_whole_life() -> None:
    """Request and response, each with trailers, then log, done and delete."""
    with Guest() as guest:
        context = guest.stream(headers=[(b"x", b"1")], body=b"body")
        context.on_request_headers(end_of_stream=False)
        context.on_request_body(end_of_stream=False)
        context.stream.request.trailers = HeaderMap.of(("x", "1"), ("y", "2"))
        context.on_request_trailers()
        message = context.stream.response = HttpMessage(HeaderMap.of((":status", "200")))
        context.on_response_headers(end_of_stream=False)
        message.body = b"hello"
        context.on_response_body(end_of_stream=False)
        message.trailers = HeaderMap.of(("x", "1"))
        context.on_response_trailers()
        context.log_stream()
        context.delete()
        assert guest.events()[3:] == [
            (Phase.CONTEXT_CREATE, 2, 1, 0),
            (Phase.REQUEST_HEADERS, 2, 1, 0),
            (Phase.REQUEST_BODY, 2, 4, 0),
            (Phase.REQUEST_TRAILERS, 2, 2, 0),
            (Phase.RESPONSE_HEADERS, 2, 1, 0),
            (Phase.RESPONSE_BODY, 2, 5, 0),
            (Phase.RESPONSE_TRAILERS, 2, 1, 0),
            (Phase.LOG, 2, 0, 0),
            (Phase.DONE, 2, 0, 0),
            (Phase.DELETE, 2, 0, 0),
        ]


@pytest.mark.parametrize(
    ("phase", "kinds"),
    [
        (Phase.RESPONSE_HEADERS, [2]),
        (Phase.RESPONSE_BODY, []),
        (Phase.RESPONSE_TRAILERS, [3]),
    ],
)
def test_maps_of_each_phase(phase: Phase, kinds: Sequence[int]) -> None:
    """A response callback reaches its own map, to read and to write, and none of the request's."""
    with Guest() as guest, guest.open(headers=[(b"x-a", b"1")]) as context:
        message = response(context, trailers=True)
        guest.script([one for kind in range(4) for one in (value(kind), add(kind))], phase)
        context.on_response_headers(end_of_stream=False)
        context.on_response_body(end_of_stream=False)
        context.on_response_trailers()
        open_, shut = [OK, OK], [BAD_ARGUMENT, BAD_ARGUMENT]
        expected = [s for kind in range(4) for s in (open_ if kind in kinds else shut)]
        assert [a.status for a in guest.answers()] == expected
        changed = {2: message.headers, 3: message.trailers}
        assert all(
            (m is not None and b"x-b" in dict(m.pairs())) is (k in kinds)
            for k, m in changed.items()
        )


def test_log_reads_and_writes_nothing() -> None:
    """The log callback finds request headers, response headers and trailers, and changes none."""
    with Guest() as guest, guest.open(headers=[(b"x-a", b"q")]) as context:
        response(context, trailers=True)
        context.on_response_headers(end_of_stream=False)
        context.on_response_trailers()
        guest.script([*map(value, range(4)), *map(add, range(4))], Phase.LOG)
        context.log_stream()
        read = [Answer(OK, b"q"), Answer(NOT_FOUND), Answer(OK, b"1"), Answer(OK, b"t")]
        assert guest.answers() == [*read, *[Answer(BAD_ARGUMENT)] * 4]


@pytest.mark.parametrize(("abi", "status"), [("0_1_0", OK), ("0_2_1", NOT_FOUND)])
def test_map_that_is_missing_in_the_log(abi: str, status: int) -> None:
    """Where there was no response, the log callback is told so as of a missing header."""
    with Guest(abi) as guest, guest.open() as context:
        guest.script([value(2)], Phase.LOG)
        context.log_stream()
        assert [a.status for a in guest.answers()] == [status]


def test_pieces_that_are_held_back_add_up() -> None:
    """A paused body is seen whole the next time; what went on is not seen again."""
    with Guest() as guest, guest.open() as context:
        message = response(context)
        context.on_response_headers(end_of_stream=False)
        guest.answer_with(Phase.RESPONSE_BODY, 1)
        assert pieces(context, message, b"one", b"two") == [b"", b""]
        guest.answer_with(Phase.RESPONSE_BODY, 0)
        assert pieces(context, message, b"three", b"") == [b"onetwothree", b""]
        sizes = [e[2] for e in guest.events() if e[0] is Phase.RESPONSE_BODY]
        assert sizes == [3, 6, 11, 0]


def test_dropped_piece() -> None:
    """Action 3 drops a piece, and hides what was held back before until the next pause."""
    with Guest() as guest, guest.open() as context:
        message = response(context)
        context.on_response_headers(end_of_stream=False)
        for action, piece, gone in [
            (3, b"lost", b""), (1, b"one", b""), (3, b"two", b""), (1, b"three", b""),
            (0, b"", b"onetwothree"),
        ]:  # fmt: skip
            guest.answer_with(Phase.RESPONSE_BODY, action)
            message.body = piece
            context.on_response_body(end_of_stream=False)
            assert message.body == gone
        sizes = [e[2] for e in guest.events() if e[0] is Phase.RESPONSE_BODY]
        assert sizes == [4, 3, 6, 5, 11]


def test_trailers_release_what_is_held_back() -> None:
    """A body that was held back is open in the trailers callback, and goes on after it."""
    with Guest() as guest, guest.open() as context:
        message = response(context, trailers=True)
        context.on_response_headers(end_of_stream=False)
        guest.answer_with(Phase.RESPONSE_BODY, 1)
        message.body = b"held"
        assert context.on_response_body(end_of_stream=False) is Outcome.PAUSE
        append = call("proxy_set_buffer_bytes", 1, ALL, 0, b"!")
        guest.script([body(1), append], Phase.RESPONSE_TRAILERS)
        assert context.on_response_trailers() is Outcome.CONTINUE
        assert guest.answers() == [Answer(OK, b"held"), Answer(OK)]
        assert message.body == b"held!"


@pytest.mark.parametrize("end", [True, False])
def test_trailers_are_created_at_the_end_of_a_body(end: bool) -> None:
    """Only the last piece of a body can have trailers created; reading does not create any."""
    with Guest() as guest, guest.open() as context:
        message = response(context)
        context.on_response_headers(end_of_stream=False)
        guest.script([value(3), add(3), value(3, b"x-b")], Phase.RESPONSE_BODY)
        context.on_response_body(end_of_stream=end)
        statuses = [a.status for a in guest.answers()]
        assert statuses == ([BAD_ARGUMENT, OK, OK] if end else [BAD_ARGUMENT] * 3)
        assert (message.trailers is not None) is end


def test_answer_from_response_headers() -> None:
    """A local response takes the response's place; a second one in the same callback does not."""
    with Guest() as guest, guest.open() as context:
        response(context)
        guest.script([respond(501), respond(502)], Phase.RESPONSE_HEADERS)
        assert context.on_response_headers(end_of_stream=True) is Outcome.RESPOND
        assert context.stream.local_response == LocalResponse(501)


@pytest.mark.parametrize("phase", [Phase.RESPONSE_BODY, Phase.RESPONSE_TRAILERS])
def test_answer_after_the_headers_are_gone(phase: Phase) -> None:
    """Too late for an answer: the stream is reset."""
    with Guest() as guest, guest.open() as context:
        response(context, trailers=True)
        guest.script([respond()], phase)
        outcomes = [
            context.on_response_headers(end_of_stream=False),
            context.on_response_body(end_of_stream=False),
            context.on_response_trailers(),
        ]
        assert outcomes[phase - Phase.RESPONSE_HEADERS] is Outcome.RESET


def test_answer_while_headers_are_held() -> None:
    """Where the headers are held back, an answer from the body callback is in time."""
    with Guest("0_2_100") as guest, guest.open() as context:
        response(context)
        guest.answer_with(Phase.RESPONSE_HEADERS, 1)
        guest.script([value(2), respond()], Phase.RESPONSE_BODY)
        assert context.on_response_headers(end_of_stream=False) is Outcome.HOLD
        assert context.on_response_body(end_of_stream=True) is Outcome.RESPOND
        assert guest.answers() == [Answer(OK, b"1"), Answer(OK)]


def test_resuming_overrules_a_pause_of_the_response() -> None:
    """A callback that resumes the response has not paused it; the request is shut by that."""
    resume = call("proxy_continue_stream", 1)
    with Guest() as guest, guest.open() as context:
        guest.script([resume, add(0)], Phase.REQUEST_HEADERS)
        response(context)
        assert [a.status for a in guest.answers()] == [OK, BAD_ARGUMENT]
        guest.answer_with(Phase.RESPONSE_HEADERS, 1)
        guest.script([resume, add(2)], Phase.RESPONSE_HEADERS)
        assert context.on_response_headers(end_of_stream=True) is Outcome.CONTINUE
        assert [a.status for a in guest.answers()] == [OK, OK]


def test_closing_the_response() -> None:
    """A module can break a response off."""
    with Guest() as guest, guest.open() as context:
        response(context)
        guest.script([call("proxy_close_stream", 1)], Phase.RESPONSE_HEADERS)
        assert context.on_response_headers(end_of_stream=True) is Outcome.RESET


def test_old_abi_is_not_told_of_the_end_of_a_response() -> None:
    """In ABI 0.1 the headers callback has no third parameter."""
    with Guest("0_1_0") as guest, guest.open() as context:
        response(context)
        context.on_response_headers(end_of_stream=True)
        assert guest.events()[-1] == (Phase.RESPONSE_HEADERS, 2, 2, 0)


@pytest.mark.parametrize(
    ("local", "pairs"),
    [
        (LocalResponse(204), [(b":status", b"204")]),
        (
            LocalResponse(403, body=b"no", headers=((b"X-A", b"1"), (b"Content-Length", b"9"))),
            [(b":status", b"403"), (b"x-a", b"1"), (b"content-length", b"2"),
             (b"content-type", b"text/plain")],
        ),
        (
            LocalResponse(400, body=b"{}", headers=((b"content-type", b"a/b"),)),
            [(b":status", b"400"), (b"content-type", b"a/b"), (b"content-length", b"2")],
        ),
    ],
)  # fmt: skip
def test_local_reply(local: LocalResponse, pairs: list[tuple[bytes, bytes]]) -> None:
    """A local response is a message with a status, and with length and type of its body."""
    message = local_reply(local)
    assert (message.headers.pairs(), message.body) == (pairs, local.body)


@pytest.mark.parametrize("has_length", [True, False])
def test_content_length_follows_a_change(has_length: bool) -> None:
    """A content-length that a changed body left wrong is corrected, and none is made up."""
    headers = [("content-length", "3")] if has_length else []
    message = HttpMessage(HeaderMap.of(*headers), b"longer", body_changed=True)
    message.correct_content_length()
    assert message.headers.first(b"content-length") == (b"6" if has_length else None)
