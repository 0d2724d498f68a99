"""The whole life of a stream."""

import pytest

from mixer.proxywasm import Outcome, PluginSettings
from tests.support.guest import BYTES, OK, Answer, Guest, Phase, call

GET = call("proxy_get_header_map_value", 0, b"x-a", BYTES)
ADD = call("proxy_add_header_map_value", 0, b"x-b", b"2")
HOLDING = PluginSettings("holding", allow_on_headers_stop_iteration=True)


def phases(guest: Guest) -> list[Phase]:
    return [phase for phase, *_ in guest.events()[3:]]


def test_callbacks_in_order() -> None:
    """A stream is created, sees headers and body, is logged, done and deleted."""
    with Guest() as guest:
        context = guest.stream(headers=[(b":path", b"/"), (b"x", b"1")], body=b"body")
        assert context.on_request_headers(end_of_stream=False) is Outcome.CONTINUE
        assert context.on_request_body(end_of_stream=True) is Outcome.CONTINUE
        context.log_stream()
        context.delete()
        assert guest.events()[3:] == [
            (Phase.CONTEXT_CREATE, 2, 1, 0),
            (Phase.REQUEST_HEADERS, 2, 2, 0),
            (Phase.REQUEST_BODY, 2, 4, 1),
            (Phase.LOG, 2, 0, 0),
            (Phase.DONE, 2, 0, 0),
            (Phase.DELETE, 2, 0, 0),
        ]


def test_request_without_a_body() -> None:
    """The end of the stream is told with the headers where there is no body."""
    with Guest() as guest, guest.open(headers=[(b"x", b"1")]) as context:
        context.on_request_headers(end_of_stream=True)
        assert guest.events()[-1] == (Phase.REQUEST_HEADERS, 2, 1, 1)


def test_old_abi_is_not_told_of_the_end() -> None:
    """In ABI 0.1 the headers callback has no third parameter."""
    with Guest("0_1_0") as guest, guest.open(headers=[(b"x", b"1")]) as context:
        context.on_request_headers(end_of_stream=True)
        assert guest.events()[-1] == (Phase.REQUEST_HEADERS, 2, 1, 0)


@pytest.mark.parametrize("done", [0, 1])
def test_end_cannot_be_put_off(done: int) -> None:
    """Whatever the done callback returns, the stream is deleted, and its context is gone."""
    with Guest() as guest:
        guest.answer_with(Phase.DONE, done)
        before = len(guest.vm.contexts)
        context = guest.stream()
        assert len(guest.vm.contexts) == before + 1
        context.delete()
        assert phases(guest) == [Phase.CONTEXT_CREATE, Phase.DONE, Phase.DELETE]
        assert len(guest.vm.contexts) == before


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        (0, Outcome.CONTINUE),
        (1, Outcome.PAUSE),
        (2, Outcome.CONTINUE),
        (3, Outcome.PAUSE),
        (4, Outcome.PAUSE),
        (9, Outcome.PAUSE),
    ],
)
def test_actions_of_the_headers_callback(action: int, outcome: Outcome) -> None:
    """By default every way to stop pauses the stream, unknown ones included."""
    with Guest() as guest, guest.open(body=b"b") as context:
        guest.answer_with(Phase.REQUEST_HEADERS, action)
        assert context.on_request_headers(end_of_stream=False) is outcome


@pytest.mark.parametrize(("abi", "settings"), [("0_2_1", HOLDING), ("0_2_100", None)])
@pytest.mark.parametrize(
    ("action", "outcome"),
    [(0, Outcome.CONTINUE), (1, Outcome.HOLD), (3, Outcome.PAUSE), (4, Outcome.PAUSE)],
)
def test_headers_can_be_held_back(
    abi: str, settings: PluginSettings | None, action: int, outcome: Outcome
) -> None:
    """Where the plugin's option or the ABI says so, one way to stop lets the body come."""
    with Guest(abi, settings=settings) as guest, guest.open(body=b"b") as context:
        guest.answer_with(Phase.REQUEST_HEADERS, action)
        assert context.on_request_headers(end_of_stream=False) is outcome


def test_headers_without_a_body_are_not_held_back() -> None:
    """Where there is no body to wait for, a stop is a pause."""
    with Guest("0_2_100") as guest, guest.open() as context:
        guest.answer_with(Phase.REQUEST_HEADERS, 1)
        assert context.on_request_headers(end_of_stream=True) is Outcome.PAUSE


@pytest.mark.parametrize("hold", [True, False])
def test_headers_in_the_body_callback(hold: bool) -> None:
    """Headers that were held back are open in the body callback, and others are not."""
    request = {"headers": [(b"x-a", b"1")], "body": b"b"}
    with Guest(settings=HOLDING) as guest, guest.open(**request) as context:
        guest.answer_with(Phase.REQUEST_HEADERS, int(hold))
        guest.script([GET, ADD], Phase.REQUEST_BODY)
        context.on_request_headers(end_of_stream=False)
        assert context.on_request_body(end_of_stream=True) is Outcome.CONTINUE
        expected = [Answer(OK, b"1"), Answer(OK)] if hold else [Answer(2), Answer(2)]
        assert guest.answers() == expected
        assert (context.stream.request.headers.first(b"x-b") == b"2") is hold


def test_pause_in_the_body_callback() -> None:
    """A body callback may pause the stream, and be made again with the whole body."""
    with Guest() as guest, guest.open(body=b"body") as context:
        context.on_request_headers(end_of_stream=False)
        guest.answer_with(Phase.REQUEST_BODY, 1)
        assert context.on_request_body(end_of_stream=False) is Outcome.PAUSE
        guest.answer_with(Phase.REQUEST_BODY, 0)
        assert context.on_request_body(end_of_stream=True) is Outcome.CONTINUE
        assert [e[2:] for e in guest.events() if e[0] is Phase.REQUEST_BODY] == [(4, 0), (4, 1)]


def test_two_streams_at_once() -> None:
    """Streams of one plugin each have their own headers and answers."""
    with Guest() as guest:
        one, two = guest.stream(headers=[(b"x-a", b"1")]), guest.stream(headers=[(b"x-a", b"2")])
        seen = []
        for context in (two, one):
            guest.script([GET], Phase.REQUEST_HEADERS)
            context.on_request_headers(end_of_stream=True)
            seen += guest.answers()
        assert seen == [Answer(OK, b"2"), Answer(OK, b"1")]
