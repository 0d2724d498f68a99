"""Host calls that answer, resume or close a stream, log, tell the time, or are not there yet."""

import pytest

from mixer.proxywasm import UNSUPPORTED, LocalResponse, LogLevel, Outcome
from mixer.proxywasm.hostcalls.logging import MAX_LOG_BYTES
from mixer.proxywasm.pairs import serialize
from tests.support.guest import BYTES, OK, WORD, Answer, Guest, Phase, at_configure, call
from tests.support.probe import FUNCTIONS

NOT_FOUND, BAD_ARGUMENT, UNIMPLEMENTED = 1, 2, 12
NO_GRPC_STATUS = 2**32 - 1


def respond(
    status: int = 403,
    details: bytes = b"",
    body: bytes = b"",
    headers: bytes = b"",
    grpc_status: int = NO_GRPC_STATUS,
    phase: Phase | None = None,
) -> object:
    return call(
        "proxy_send_local_response", status, details, body, headers, grpc_status, phase=phase
    )


def test_local_response() -> None:
    """A module answers the request with status, headers, body, details and gRPC status."""
    sent = respond(429, b"too many", b"slow down", serialize([(b"A", b"1"), (b"a", b"2")]), 8)
    with Guest() as guest, guest.open() as context:
        guest.script([sent], Phase.REQUEST_HEADERS)
        assert context.on_request_headers(end_of_stream=True) is Outcome.RESPOND
        assert guest.answers() == [Answer(OK)]
        assert context.stream.local_response == LocalResponse(
            status=429,
            details="too_many",
            body=b"slow down",
            headers=((b"A", b"1"), (b"a", b"2")),
            grpc_status=8,
        )


def test_local_response_without_grpc_status() -> None:
    """No gRPC status is -1, and malformed headers are none."""
    with Guest() as guest, guest.open() as context:
        guest.script([respond(headers=b"rubbish!")], Phase.REQUEST_HEADERS)
        context.on_request_headers(end_of_stream=True)
        assert context.stream.local_response == LocalResponse(403)


@pytest.mark.parametrize("action", [0, 1, 2, 3, 4, 9])
def test_first_local_response_wins(action: int) -> None:
    """A second answer is ignored with an OK, and so is what the callback returns."""
    with Guest() as guest, guest.open() as context:
        guest.answer_with(Phase.REQUEST_HEADERS, action)
        guest.script([respond(401), respond(402)], Phase.REQUEST_HEADERS)
        assert context.on_request_headers(end_of_stream=True) is Outcome.RESPOND
        assert guest.answers() == [Answer(OK), Answer(OK)]
        assert context.stream.local_response is not None
        assert context.stream.local_response.status == 401


def test_local_response_from_the_body_callback() -> None:
    """A module may answer when it has seen the body."""
    with Guest() as guest, guest.open(body=b"b") as context:
        guest.script([respond()], Phase.REQUEST_BODY)
        assert context.on_request_headers(end_of_stream=False) is Outcome.CONTINUE
        assert context.on_request_body(end_of_stream=True) is Outcome.RESPOND


def test_local_response_from_the_root_does_nothing() -> None:
    """Outside of a stream there is nothing to answer, and that is OK."""
    with Guest(script=[respond()]) as guest:
        assert guest.answers() == [Answer(OK)]
        with guest.open() as context:
            assert context.on_request_headers(end_of_stream=True) is Outcome.CONTINUE


@pytest.mark.parametrize(
    ("kind", "status"), [(0, OK), (1, OK), (2, OK), (3, 12), (4, 2), (9, 2), (2**32 - 1, 2)]
)
def test_resuming(kind: int, status: int) -> None:
    """Streams can be resumed whether they were paused or not, the upstream's cannot be."""
    with Guest() as guest:
        assert guest.in_headers(call("proxy_continue_stream", kind)) == [Answer(status)]


@pytest.mark.parametrize("name", ["proxy_continue_stream", "proxy_continue_request"])
def test_resuming_overrules_a_pause(name: str) -> None:
    """A callback that resumes the stream and returns a pause has not paused it."""
    arguments = (0,) if name == "proxy_continue_stream" else ()
    with Guest() as guest, guest.open() as context:
        guest.answer_with(Phase.REQUEST_HEADERS, 1)
        guest.script([call(name, *arguments)], Phase.REQUEST_HEADERS)
        assert context.on_request_headers(end_of_stream=True) is Outcome.CONTINUE


def test_resuming_the_response_does_not_resume_the_request() -> None:
    """The two directions of a stream are resumed apart."""
    with Guest() as guest, guest.open() as context:
        guest.answer_with(Phase.REQUEST_HEADERS, 1)
        calls = [call("proxy_continue_stream", 1), call("proxy_continue_response")]
        guest.script(calls, Phase.REQUEST_HEADERS)
        assert context.on_request_headers(end_of_stream=True) is Outcome.PAUSE


def test_closing() -> None:
    """A module that closes the stream without an answer resets it."""
    with Guest() as guest, guest.open() as context:
        guest.script([call("proxy_close_stream", 2)], Phase.REQUEST_HEADERS)
        assert context.on_request_headers(end_of_stream=True) is Outcome.RESET
    with Guest() as guest:
        assert guest.in_headers(call("proxy_close_stream", 9)) == [Answer(BAD_ARGUMENT)]


def test_answer_and_close() -> None:
    """A module that answers and closes has answered."""
    with Guest() as guest, guest.open() as context:
        guest.script([call("proxy_close_stream", 2), respond()], Phase.REQUEST_HEADERS)
        assert context.on_request_headers(end_of_stream=True) is Outcome.RESPOND


def test_effective_context() -> None:
    """A module acts for another context until the callback returns, and 0 brings it back."""
    path = call("proxy_get_property", b"own", BYTES)
    with Guest() as guest:
        assert guest.root is not None
        root = call("proxy_set_effective_context", guest.root.id)
        back = call("proxy_set_effective_context", 0)
        with guest.open(headers=[(b":path", b"/p")], body=b"b") as context:
            context.set_property(b"own", b"v")
            guest.script([path, root, path, back, path, root], Phase.REQUEST_HEADERS)
            context.on_request_headers(end_of_stream=False)
            assert [a.status for a in guest.answers()] == [0, 0, 1, 0, 0, 0]
            guest.script([path], Phase.REQUEST_BODY)
            context.on_request_body(end_of_stream=True)
            assert guest.answers() == [Answer(OK, b"v")]


def test_effective_context_of_another_stream() -> None:
    """A module may act for another of its streams as long as that one lives."""
    path = call("proxy_get_property", b"source\0address", BYTES)
    with Guest() as guest, guest.open(attributes={"source.address": "one"}) as one:
        two = guest.stream(attributes={"source.address": "two"})
        to_two = call("proxy_set_effective_context", two.id)
        guest.script([to_two, path], Phase.REQUEST_HEADERS)
        one.on_request_headers(end_of_stream=False)
        assert guest.answers() == [Answer(OK), Answer(OK, b"two")]
        guest.script([], Phase.DELETE)
        two.delete()
        guest.script([to_two], Phase.REQUEST_BODY)
        one.on_request_body(end_of_stream=True)
        assert guest.answers() == [Answer(BAD_ARGUMENT)]


@pytest.mark.parametrize("context_id", [999, 2**31, 2**32 - 1])
def test_effective_context_that_is_not_there(context_id: int) -> None:
    """A context that is not there is a bad argument, and nothing changes."""
    path = call("proxy_get_property", b"request\0path", BYTES)
    with Guest() as guest:
        answers = guest.in_headers(
            call("proxy_set_effective_context", context_id), path, headers=[(b":path", b"/p")]
        )
    assert answers == [Answer(BAD_ARGUMENT), Answer(OK, b"/p")]


def test_calls_with_one_answer() -> None:
    """Nothing waits for ``done``, and no callout has a status."""
    with Guest() as guest:
        answers = guest.in_headers(
            call("proxy_done"),
            call("proxy_get_status", WORD, BYTES),
            call("proxy_clear_route_cache"),
            call("pthread_equal", 7, 7),
            call("pthread_equal", 7, 8),
        )
    assert answers == [
        Answer(NOT_FOUND),
        Answer(OK, 0),
        Answer(OK),
        Answer(1),
        Answer(0),
    ]


@pytest.mark.parametrize("level", list(LogLevel))
def test_log(level: LogLevel) -> None:
    """A message is passed on with its level, bytes that are no text replaced."""
    with Guest() as guest:
        answers = guest.in_headers(call("proxy_log", int(level), b"h\xc3\xa9\xff"))
        assert (answers, guest.logs) == ([Answer(OK)], [(level, "hé\ufffd")])


@pytest.mark.parametrize("level", [6, 255, 2**32 - 1])
def test_log_level_that_is_not_there(level: int) -> None:
    """A level that is not there is a bad argument, and nothing is logged."""
    with Guest() as guest:
        answers = guest.in_headers(call("proxy_log", level, b"text"))
        assert (answers, guest.logs) == ([Answer(BAD_ARGUMENT)], [])


def test_log_level_filters_and_can_be_asked_for() -> None:
    """Messages below the level are left out, with an OK."""
    with Guest(services={"log_level": LogLevel.WARN}) as guest:
        answers = guest.in_headers(
            call("proxy_log", 2, b"info"),
            call("proxy_log", 3, b"warn"),
            call("proxy_get_log_level", WORD),
        )
        assert answers == [Answer(OK), Answer(OK), Answer(OK, 3)]
        assert guest.logs == [(LogLevel.WARN, "warn")]


def test_long_message_is_cut() -> None:
    """Of a long message only the beginning is kept."""
    with Guest() as guest:
        guest.in_headers(call("proxy_log", 2, 0, guest.memory.size()))
        assert len(guest.logs[0][1]) == MAX_LOG_BYTES


def test_time_is_that_of_the_wall_clock() -> None:
    """A module gets the time that the host's services tell."""
    now = 1_700_000_000_123_456_789
    with Guest(services={"wall_clock": lambda: now}) as guest:
        answers = guest.in_headers(call("proxy_get_current_time_nanoseconds", WORD))
    assert answers == [Answer(OK, now)]


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_unsupported_call(name: str) -> None:
    """What the host cannot do yet says so to the module each time, and to the log once a VM."""
    one = call(name, *(0 for _ in FUNCTIONS[name].signature.params))
    for _ in range(2):
        with Guest(script=[one, one]) as guest:
            answers = guest.answers() + guest.in_headers(one, one)
            assert answers == [Answer(UNIMPLEMENTED)] * 4
            assert [(level, name in line) for level, line in guest.logs] == [(LogLevel.WARN, True)]


def test_unsupported_calls_are_told_one_by_one() -> None:
    """Each call that is not supported has a warning of its own."""
    names = sorted(UNSUPPORTED)
    calls = [call(n, *(0 for _ in FUNCTIONS[n].signature.params)) for n in names]
    with Guest(script=calls) as guest:
        assert len(guest.logs) == len(names)
        assert at_configure(*calls) == guest.answers()
