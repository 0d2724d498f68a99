"""gRPC callouts: unary calls, and streams from their opening to their end."""

import pytest

from mixer.callouts.ports import NoCallouts
from mixer.proxywasm import vm_callouts
from mixer.proxywasm.pairs import deserialize, serialize
from tests.support.guest import BYTES, OK, WORD, Answer, Call, Guest, Phase, call

NOT_FOUND, BAD_ARGUMENT, PARSE_FAILURE, INTERNAL = 1, 2, 4, 10
METADATA = serialize([(b"A", b"1")])
UNARY = call("proxy_grpc_call", b"c", b"pkg.Svc", b"Do", METADATA, b"message", 250, WORD)
STREAM = call("proxy_grpc_stream", b"c", b"pkg.Svc", b"Chat", METADATA, WORD)
CALL_TOKEN, STREAM_TOKEN, HTTP_TOKEN = 5, 6, 4


def opened(*calls: Call) -> tuple[Guest, list[Answer]]:
    """Make calls while the plugin is configured."""
    guest = Guest(script=calls)
    return guest, guest.answers()


def test_what_a_unary_call_sends() -> None:
    """Target, method, metadata, message and timeout arrive."""
    guest, answers = opened(UNARY)
    (seen,) = guest.callouts.grpc_calls
    assert answers == [Answer(OK, CALL_TOKEN)]
    assert (seen.method.target, seen.method.service, seen.method.method) == (b"c", "pkg.Svc", "Do")
    assert (seen.method.metadata, seen.method.timeout) == (((b"a", b"1"),), 0.25)
    assert seen.message == b"message"
    guest.close()


@pytest.mark.parametrize("made", ["proxy_grpc_call", "proxy_grpc_stream"])
@pytest.mark.parametrize("place", range(4))
def test_all_that_an_open_call_keeps_counts(
    made: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names and metadata of what is open count against the bound of the VM, as messages do."""
    spans = [b"c", b"pkg.Svc", b"Do", METADATA]
    spans[place] = serialize([(b"a", bytes(3000))]) if place == 3 else b"c" * 3000
    rest = [b"message", 0, WORD] if made == "proxy_grpc_call" else [WORD]
    monkeypatch.setattr(vm_callouts, "MAX_OPEN_BYTES", 8000)
    guest, answers = opened(*[call(made, *spans, *rest)] * 4)
    assert [a.status for a in answers] == [OK, OK, INTERNAL, INTERNAL]
    guest.close()


def test_a_unary_call_that_succeeds() -> None:
    """It is told once, with the message, and with no close after it."""
    guest, _ = opened(UNARY)
    guest.script([call("proxy_get_buffer_bytes", 5, 0, 99, BYTES)], Phase.GRPC_RECEIVE)
    guest.callouts.grpc_calls[0].respond(b"reply")
    assert guest.root is not None
    assert guest.answers()[0].data == b"reply"
    assert guest.events()[3:] == [(Phase.GRPC_RECEIVE, guest.root.id, CALL_TOKEN, 5)]
    guest.close()


def test_a_unary_call_that_fails() -> None:
    """It is told once, with the status, whose text can be asked for."""
    guest, _ = opened(UNARY)
    guest.script([call("proxy_get_status", WORD, 0x7F00, 0x7F08)], Phase.GRPC_CLOSE)
    guest.callouts.grpc_calls[0].fail(14, "down")
    assert guest.root is not None
    assert guest.answers()[0].data == 14
    at, size = (int.from_bytes(guest.memory.read(p, 4), "little") for p in (0x7F00, 0x7F08))
    assert guest.memory.read(at, size) == b"down"
    assert guest.events()[3:] == [(Phase.GRPC_CLOSE, guest.root.id, CALL_TOKEN, 14)]
    guest.close()


@pytest.mark.parametrize("end", ["proxy_grpc_cancel", "proxy_grpc_close"])
def test_a_unary_call_that_is_given_up(end: str) -> None:
    """Cancelled or closed, it is over, and its token is forgotten."""
    guest, answers = opened(UNARY, call(end, CALL_TOKEN), call(end, CALL_TOKEN))
    assert [a.status for a in answers] == [OK, OK, NOT_FOUND]
    assert guest.callouts.grpc_calls[0].over
    guest.close()


def test_a_timeout_of_zero() -> None:
    """Unlike that of an HTTP call it is a deadline: the server is told of it, as in Envoy."""
    guest, _ = opened(call("proxy_grpc_call", b"c", b"s", b"m", b"", b"", 0, WORD))
    assert guest.callouts.grpc_calls[0].method.timeout == 0.0
    guest.close()


@pytest.mark.parametrize("one", [UNARY, STREAM])
def test_unknown_target(one: Call) -> None:
    """It is a parse failure that leaves the token as it was; the log says which cluster."""
    guest = Guest(script=[one], services={"callouts": NoCallouts()})
    assert guest.answers() == [Answer(PARSE_FAILURE)]
    assert any("no cluster b'c'" in text for _, text in guest.logs)
    guest.close()


@pytest.mark.parametrize("one", [UNARY, STREAM])
def test_a_cluster_that_takes_no_more(one: Call) -> None:
    """A callout that cannot be sent is an internal failure."""
    with Guest() as guest:
        guest.callouts.overloaded = True
        assert guest.in_headers(one) == [Answer(INTERNAL)]


def test_what_a_stream_brings() -> None:
    """Metadata, messages, trailing metadata and the close are told in order, each readable."""
    guest, answers = opened(STREAM)
    assert answers == [Answer(OK, STREAM_TOKEN)]
    guest.script(
        [
            call("proxy_get_header_map_pairs", 4, BYTES, phase=Phase.GRPC_INITIAL_METADATA),
            call("proxy_get_buffer_bytes", 5, 0, 99, BYTES, phase=Phase.GRPC_RECEIVE),
            call("proxy_get_header_map_pairs", 5, BYTES, phase=Phase.GRPC_TRAILING_METADATA),
            call("proxy_get_status", WORD, 0x7F00, 0x7F08, phase=Phase.GRPC_CLOSE),
        ],
        Phase.GRPC_RECEIVE,
    )
    events = guest.callouts.grpc_streams[0].events
    events.on_initial_metadata(((b"a", b"1"), (b"b", b"2")))
    events.on_message(b"one")
    events.on_trailing_metadata(((b"t", b"3"),))
    events.on_close(5, "gone")
    initial, message, trailing, status = (a.data for a in guest.answers())
    assert deserialize(initial) == [(b"a", b"1"), (b"b", b"2")]
    assert (message, deserialize(trailing), status) == (b"one", [(b"t", b"3")], 5)
    assert [(phase, *rest) for phase, _, *rest in guest.events()[3:]] == [
        (Phase.GRPC_INITIAL_METADATA, STREAM_TOKEN, 2),
        (Phase.GRPC_RECEIVE, STREAM_TOKEN, 3),
        (Phase.GRPC_TRAILING_METADATA, STREAM_TOKEN, 1),
        (Phase.GRPC_CLOSE, STREAM_TOKEN, 5),
    ]
    guest.close()


def test_what_a_module_sends_on_a_stream() -> None:
    """Messages arrive with their end; a half-close and a reset too."""
    send = [call("proxy_grpc_send", STREAM_TOKEN, m, e) for m, e in ((b"1", 0), (b"2", 1))]
    guest, answers = opened(STREAM, *send, call("proxy_grpc_close", STREAM_TOKEN))
    (stream,) = guest.callouts.grpc_streams
    assert [a.status for a in answers] == [OK] * 4
    assert stream.sent == [(b"1", False), (b"2", True)]
    assert stream.closed
    assert not stream.over
    guest.close()
    assert stream.over


def test_a_stream_that_is_reset() -> None:
    """It is given up, and its token forgotten."""
    cancel = call("proxy_grpc_cancel", STREAM_TOKEN)
    guest, answers = opened(STREAM, cancel, cancel)
    assert [a.status for a in answers] == [OK, OK, NOT_FOUND]
    assert guest.callouts.grpc_streams[0].over
    guest.close()


def test_a_token_outlives_the_close_of_the_server() -> None:
    """After the server's close a module may send, to nobody, and close; then it is unknown."""
    guest, _ = opened(STREAM)
    (stream,) = guest.callouts.grpc_streams
    stream.events.on_close(0, "")
    close = call("proxy_grpc_close", STREAM_TOKEN)
    send = call("proxy_grpc_send", STREAM_TOKEN, b"late", 0)
    assert [a.status for a in guest.in_headers(send, close, close)] == [OK, OK, NOT_FOUND]
    assert not stream.sent
    guest.close()


def test_a_token_is_forgotten_once_both_sides_closed() -> None:
    """A module that closed first needs to do nothing more."""
    guest, _ = opened(STREAM, call("proxy_grpc_close", STREAM_TOKEN))
    guest.callouts.grpc_streams[0].events.on_close(0, "")
    assert guest.in_headers(call("proxy_grpc_close", STREAM_TOKEN))[0].status == NOT_FOUND
    assert not guest.vm.callouts
    guest.close()


@pytest.mark.parametrize("name", ["proxy_grpc_send", "proxy_grpc_cancel", "proxy_grpc_close"])
def test_tokens_of_others(name: str) -> None:
    """The token of an HTTP call is a bad argument; one that nobody has is not found."""
    more = (b"", 0) if name == "proxy_grpc_send" else ()
    guest, answers = opened(
        call(name, HTTP_TOKEN, *more), call(name, 3, *more), call(name, 40 | STREAM_TOKEN, *more)
    )
    assert [a.status for a in answers] == [BAD_ARGUMENT, BAD_ARGUMENT, NOT_FOUND]
    guest.close()


def test_sending_on_a_unary_call() -> None:
    """A message is sent on streams only."""
    guest, answers = opened(UNARY, call("proxy_grpc_send", CALL_TOKEN, b"", 0))
    assert answers[1].status == BAD_ARGUMENT
    guest.close()
