"""Host calls for buffers."""

import pytest

from tests.support.guest import BYTES, OK, WORD, Answer, Guest, Phase, at_configure, call

BODY = b"0123456789"
NOT_FOUND, BAD_ARGUMENT = 1, 2
REQUEST_BODY, CALL_BODY, VM_CONFIG, PLUGIN_CONFIG = 0, 4, 6, 7
ALL = 2**32 - 1


def get(kind: int = REQUEST_BODY, start: int = 0, size: int = ALL) -> object:
    return call("proxy_get_buffer_bytes", kind, start, size, BYTES)


def status(kind: int) -> object:
    return call("proxy_get_buffer_status", kind, WORD, WORD)


def put(data: bytes, start: int = 0, size: int = 0, kind: int = REQUEST_BODY) -> object:
    return call("proxy_set_buffer_bytes", kind, start, size, data)


@pytest.mark.parametrize(
    ("start", "size", "expected"),
    [
        (0, 10, BODY),
        (0, ALL, BODY),
        (2, 3, b"234"),
        (9, 5, b"9"),
        (10, 1, b""),
        (11, ALL, b""),
        (ALL, ALL, b""),
        (0, 0, b""),
    ],
)
def test_part_of_the_body(start: int, size: int, expected: bytes) -> None:
    """A part is clamped to what there is, and past the end it is empty."""
    with Guest() as guest:
        answers = guest.in_body(get(start=start, size=size), body=BODY)
    assert answers == [Answer(OK, expected)]


def test_status_tells_the_length() -> None:
    """The length of a buffer can be asked for."""
    with Guest() as guest:
        assert guest.in_body(status(REQUEST_BODY), body=BODY) == [Answer(OK, len(BODY))]


@pytest.mark.parametrize(
    ("data", "start", "size", "expected"),
    [
        (b"new", 0, 10, b"new"),
        (b"new", 0, ALL, b"new"),
        (b"new", 0, 0, b"new0123456789"),
        (b"new", 0, 4, b"new456789"),
        (b"new", 10, 0, b"0123456789new"),
        (b"new", 99, 7, b"0123456789new"),
        (b"", 0, ALL, b""),
    ],
)
def test_writing_the_body(data: bytes, start: int, size: int, expected: bytes) -> None:
    """Bytes go to the front, take the place of the front, or go to the end."""
    with Guest() as guest, guest.open(body=BODY) as context:
        context.on_request_headers(end_of_stream=False)
        guest.script([put(data, start, size), get()], Phase.REQUEST_BODY)
        context.on_request_body(end_of_stream=True)
        assert guest.answers() == [Answer(OK), Answer(OK, expected)]
        assert context.stream.request.body == expected
        assert context.stream.request.body_changed


def test_middle_of_the_body_is_not_written() -> None:
    """Bytes cannot be put into the middle, and the body stays as it was."""
    with Guest() as guest:
        answers = guest.in_body(put(b"new", 3, 2), get(), body=BODY)
    assert answers == [Answer(BAD_ARGUMENT), Answer(OK, BODY)]


@pytest.mark.parametrize("kind", [10, 11, 2**32 - 1])
def test_no_such_buffer(kind: int) -> None:
    """A buffer that does not exist is a bad argument in every call."""
    with Guest() as guest:
        answers = guest.in_body(get(kind), status(kind), put(b"x", kind=kind), body=BODY)
    assert [a.status for a in answers] == [BAD_ARGUMENT] * 3


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 5, 8, 9])
def test_buffer_outside_its_phase_is_empty(kind: int) -> None:
    """A buffer whose phase it is not reads as empty, and cannot be written."""
    with Guest() as guest:
        answers = guest.in_headers(get(kind), status(kind), put(b"x", kind=kind), body=BODY)
    assert answers == [Answer(OK, b""), Answer(OK, 0), Answer(BAD_ARGUMENT)]


@pytest.mark.parametrize("kind", [CALL_BODY, PLUGIN_CONFIG])
def test_buffer_that_is_not_found(kind: int) -> None:
    """The configuration is not found in a stream, nor is the body of a call's response."""
    with Guest() as guest:
        answers = guest.in_body(get(kind), status(kind), put(b"x", kind=kind), body=BODY)
    assert [a.status for a in answers] == [NOT_FOUND] * 3


def test_configuration_of_the_vm_is_always_there() -> None:
    """The configuration of the VM can be read at start and in a stream, and not be changed."""
    with Guest(configuration=b"vm", script=[get(VM_CONFIG)]) as guest:
        assert guest.answers() == [Answer(OK, b"vm")]
        answers = guest.in_headers(get(VM_CONFIG), put(b"x", kind=VM_CONFIG))
    assert answers == [Answer(OK, b"vm"), Answer(BAD_ARGUMENT)]


def test_body_after_its_callback_is_empty() -> None:
    """After the body callback the body is out of reach."""
    with Guest() as guest:
        context = guest.stream(body=BODY)
        context.on_request_headers(end_of_stream=False)
        context.on_request_body(end_of_stream=True)
        guest.script([get(), put(b"x")], Phase.LOG)
        context.log_stream()
        assert guest.answers() == [Answer(OK, b""), Answer(BAD_ARGUMENT)]


def test_configuration_of_the_plugin() -> None:
    """The plugin's configuration can be read while it is configured, whole or in part."""
    from mixer.proxywasm import PluginSettings

    answers = at_configure(
        get(PLUGIN_CONFIG),
        get(PLUGIN_CONFIG, 2, 3),
        status(PLUGIN_CONFIG),
        call("proxy_get_configuration", BYTES),
        call("proxy_get_buffer_bytes", PLUGIN_CONFIG, 0, ALL, BYTES, phase=Phase.VM_START),
        call("proxy_get_configuration", BYTES, phase=Phase.VM_START),
        settings=PluginSettings("p", configuration=b"configuration"),
        configuration=b"vm",
    )
    assert answers == [
        Answer(OK, b"configuration"),
        Answer(OK, b"nfi"),
        Answer(OK, 13),
        Answer(OK, b"configuration"),
        Answer(NOT_FOUND),
        Answer(OK, b"vm"),
    ]
