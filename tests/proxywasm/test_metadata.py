"""HTTP/2 metadata: when a module is told, and what it can do about it."""

import pytest

from mixer.attributes import HeaderMap
from mixer.proxywasm import HttpMessage, Outcome
from mixer.proxywasm.lifecycle import LifecycleError
from tests.support.guest import BYTES, Answer, Guest, Phase, call

ALL = 2**32 - 1
METADATA = {"a": "1", "b": "2"}
RESPOND = call("proxy_send_local_response", 403, b"", b"", b"", ALL)


def test_how_many_names_there_are() -> None:
    """Each block is told with its number of names, and none of them can be read."""
    with Guest() as guest, guest.open() as context:
        reads = [call("proxy_get_header_map_value", kind, b"a", BYTES) for kind in range(8)]
        guest.script(reads, Phase.REQUEST_METADATA)
        context.on_request_headers(end_of_stream=False)
        assert context.on_request_metadata(METADATA) is Outcome.CONTINUE
        assert context.on_request_metadata({}) is Outcome.CONTINUE
        context.on_request_body(end_of_stream=True)
        context.stream.response = HttpMessage(HeaderMap.of((":status", "200")))
        context.on_response_headers(end_of_stream=False)
        context.on_response_metadata({"x": ""})
        assert guest.events()[-6:] == [
            (Phase.REQUEST_HEADERS, context.id, 0, 0),
            (Phase.REQUEST_METADATA, context.id, 2, 0),
            (Phase.REQUEST_METADATA, context.id, 0, 0),
            (Phase.REQUEST_BODY, context.id, 0, 1),
            (Phase.RESPONSE_HEADERS, context.id, 1, 0),
            (Phase.RESPONSE_METADATA, context.id, 1, 0),
        ]
        assert guest.answers() == [Answer(2)] * 8


def test_its_answer_counts_for_nothing() -> None:
    """Metadata cannot be held back, and a pause of the body stays one."""
    with Guest() as guest, guest.open() as context:
        guest.answer_with(Phase.REQUEST_METADATA, 1)
        guest.answer_with(Phase.REQUEST_BODY, 1)
        context.on_request_headers(end_of_stream=False)
        context.stream.request.body = b"body"
        assert context.on_request_body(end_of_stream=False) is Outcome.PAUSE
        assert context.on_request_metadata(METADATA) is Outcome.CONTINUE
        assert context.on_resume() is Outcome.PAUSE


def test_a_pause_that_metadata_ends() -> None:
    """A module may resume a message that it held before."""
    with Guest() as guest, guest.open() as context:
        guest.answer_with(Phase.REQUEST_BODY, 1)
        guest.script([call("proxy_continue_stream", 0)], Phase.REQUEST_METADATA)
        context.on_request_headers(end_of_stream=False)
        context.stream.request.body = b"body"
        context.on_request_body(end_of_stream=False)
        context.on_request_metadata(METADATA)
        assert context.on_resume() is Outcome.CONTINUE
        assert context.stream.request.body == b"body"


@pytest.mark.parametrize(
    ("script", "outcome"),
    [(RESPOND, Outcome.RESPOND), (call("proxy_close_stream", 0), Outcome.RESET)],
)
def test_what_ends_the_request(script: object, outcome: Outcome) -> None:
    """A module can answer or close the stream."""
    with Guest() as guest, guest.open() as context:
        guest.script([script], Phase.REQUEST_METADATA)
        context.on_request_headers(end_of_stream=False)
        assert context.on_request_metadata(METADATA) is outcome


@pytest.mark.parametrize(("held", "outcome"), [(1, Outcome.RESPOND), (0, Outcome.RESET)])
def test_an_answer_to_the_response(held: int, outcome: Outcome) -> None:
    """While the response's headers are held an answer replaces them; afterwards it breaks off."""
    with Guest("0_2_100") as guest, guest.open() as context:
        guest.answer_with(Phase.RESPONSE_HEADERS, held)
        guest.script([RESPOND], Phase.RESPONSE_METADATA)
        context.on_request_headers(end_of_stream=True)
        context.stream.response = HttpMessage(HeaderMap.of((":status", "200")))
        context.on_response_headers(end_of_stream=False)
        assert context.on_response_metadata(METADATA) is outcome


def test_not_before_the_headers() -> None:
    """Envoy keeps metadata until the headers went on."""
    with Guest() as guest, guest.open() as context:
        with pytest.raises(LifecycleError):
            context.on_request_metadata(METADATA)
        context.on_request_headers(end_of_stream=True)
        with pytest.raises(LifecycleError):
            context.on_response_metadata(METADATA)
