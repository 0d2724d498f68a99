"""Host calls for properties."""

import pytest

from mixer.proxywasm import PluginSettings, ReadSet
from mixer.proxywasm.pairs import serialize
from mixer.proxywasm.property_codec import MAX_PATH_BYTES
from tests.support.guest import (
    BYTES,
    OK,
    WORD,
    Answer,
    Guest,
    Phase,
    at_configure,
    call,
    http_stream,
)

NOT_FOUND, BAD_ARGUMENT, SERIALIZATION, INTERNAL = 1, 2, 3, 10


def get(path: bytes, phase: Phase | None = None) -> object:
    return call("proxy_get_property", path, BYTES, phase=phase)


def put(path: bytes, value: bytes) -> object:
    return call("proxy_set_property", path, value)


def test_attributes_of_the_request() -> None:
    """A module reads attributes by path, in the form of their type."""
    with Guest() as guest:
        answers = guest.in_headers(
            get(b"request\0path"),
            get(b"request\0headers\0x-a"),
            get(b"request\0headers"),
            get(b"source\0port"),
            get(b"connection\0mtls"),
            headers=[(b":path", b"/p"), (b"x-a", b"1"), (b"x-a", b"2")],
            attributes={"source.port": 443, "connection.mtls": True},
        )
    assert answers == [
        Answer(OK, b"/p"),
        Answer(OK, b"1,2"),
        Answer(OK, serialize([(b":path", b"/p"), (b"x-a", b"1,2")])),
        Answer(OK, (443).to_bytes(8, "little")),
        Answer(OK, b"\1"),
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (b"none", NOT_FOUND),
        (b"request\0none", NOT_FOUND),
        (b"request\0id", NOT_FOUND),
        (b"request\0headers\0none", NOT_FOUND),
        (b"\xff\xfe", NOT_FOUND),
        (b"request", SERIALIZATION),
        (b"filter_state", SERIALIZATION),
        (b"", SERIALIZATION),
        (b"x" * (MAX_PATH_BYTES + 1), BAD_ARGUMENT),
    ],
)
def test_paths_that_name_no_value(path: bytes, status: int) -> None:
    """What is unknown or absent is not found; a group cannot be serialized; too long is refused."""
    with Guest() as guest:
        assert guest.in_headers(get(path)) == [Answer(status)]


def test_properties_of_the_plugin() -> None:
    """A module can know its own names and its memory, at start and in a stream."""
    calls = [get(f"plugin_{n}".encode()) for n in ("name", "root_id", "vm_id", "vm_memory")]
    settings = PluginSettings("the name", root_id="the root")
    with Guest(script=calls, settings=settings, vm_id="the vm") as guest:
        expected = [
            Answer(OK, b"the name"),
            Answer(OK, b"the root"),
            Answer(OK, b"the vm"),
            Answer(OK, guest.memory.size().to_bytes(8, "little")),
        ]
        assert guest.answers() == expected
        assert guest.in_headers(*calls) == expected


def test_root_has_no_request() -> None:
    """While it is configured a module finds no attributes of requests, and can set none."""
    answers = at_configure(get(b"request\0path"), get(b"none"), put(b"a", b"b"))
    assert [a.status for a in answers] == [NOT_FOUND, NOT_FOUND, NOT_FOUND]


def test_what_was_set_is_read_back() -> None:
    """A property that was set is there under its name, and as part of the filter state.

    As in Envoy, it is not if the name has a NUL: a path with NULs goes from part to part.
    """
    path = b"my.own"
    with Guest() as guest:
        answers = guest.in_headers(
            put(path, b"\0value"),
            get(path),
            get(b"filter_state\0wasm." + path),
            put(path, b""),
            get(path),
            get(b"filter_state\0wasm.none"),
            put(b"a\0b", b"1"),
            get(b"a\0b"),
        )
    assert answers == [
        Answer(OK),
        Answer(OK, b"\0value"),
        Answer(OK, b"\0value"),
        Answer(OK),
        Answer(OK, b""),
        Answer(NOT_FOUND),
        Answer(OK),
        Answer(NOT_FOUND),
    ]


def test_property_lives_as_long_as_the_request() -> None:
    """What was set is there until the stream is deleted, and not in the next stream."""
    with Guest() as guest:
        context = guest.stream()
        guest.script([put(b"a", b"1")], Phase.REQUEST_HEADERS)
        context.on_request_headers(end_of_stream=True)
        for phase, drive in ((Phase.LOG, context.log_stream), (Phase.DELETE, context.delete)):
            guest.script([get(b"a")], phase)
            drive()
            assert guest.answers() == [Answer(OK, b"1")]
        assert guest.in_headers(get(b"a")) == [Answer(NOT_FOUND)]


def test_modules_of_one_request_share_properties() -> None:
    """What one module set another module of the same request finds."""
    from mixer.proxywasm import StreamContext

    stream = http_stream()
    with Guest() as one, Guest() as other:
        for guest, step in ((one, put(b"a", b"1")), (other, get(b"a"))):
            assert guest.root is not None
            context = StreamContext(guest.root, stream)
            guest.script([step], Phase.REQUEST_HEADERS)
            context.on_request_headers(end_of_stream=True)
        assert other.answers() == [Answer(OK, b"1")]


def test_what_a_request_stores_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request cannot be made to store without bound, and a refused value changes nothing."""
    monkeypatch.setattr("mixer.proxywasm.http_stream.MAX_WRITTEN_BYTES", 100)
    calls = [
        put(b"a", b"x" * 60),
        call("proxy_add_header_map_value", 0, b"x-a", b"y" * 60),
        put(b"a", b"short"),
        call("proxy_send_local_response", 403, b"", b"body", b"", 0),
    ]
    with Guest() as guest, guest.open() as context:
        guest.script(calls, Phase.REQUEST_HEADERS)
        context.on_request_headers(end_of_stream=True)
        answers, stream = guest.answers(), context.stream
    assert [answer.status for answer in answers] == [OK, INTERNAL, INTERNAL, INTERNAL]
    assert stream.filter_state == {b"a": b"x" * 60}
    assert stream.request.headers.first(b"x-a") is None
    assert stream.local_response is None


def test_a_path_may_end_with_a_nul() -> None:
    """The C++ SDK ends every part of a path with a NUL, the last one too."""
    with Guest() as guest:
        answers = guest.in_headers(
            get(b"request\0path\0"),
            get(b"source\0port\0"),
            headers=[(b":path", b"/p")],
            attributes={"source.port": 443},
        )
    assert answers == [Answer(OK, b"/p"), Answer(OK, (443).to_bytes(8, "little"))]


def test_reads_are_recorded() -> None:
    """What a module read of a request is recorded, absences included."""
    reads = ReadSet()
    with Guest() as guest:
        guest.in_headers(
            get(b"request\0path"),
            get(b"none"),
            call("proxy_get_header_map_value", 0, b"X-A", BYTES),
            call("proxy_get_header_map_value", 0, b"none", BYTES),
            call("proxy_get_buffer_bytes", 6, 0, 9, BYTES),
            headers=[(b":path", b"/"), (b"x-a", b"1")],
            reads=reads,
        )
    assert reads.properties == {b"request\0path": b"/", b"none": None}
    assert reads.headers == {(0, b"x-a"): b"1", (0, b"none"): None}
    assert reads.buffers == {6}
    assert (reads.whole_maps, reads.clock, reads.random) == (set(), False, False)


def test_reads_of_whole_maps_clock_and_randomness_are_recorded() -> None:
    """That a module read all headers, the time or randomness is recorded."""
    reads = ReadSet()
    with Guest() as guest:
        guest.in_headers(
            call("proxy_get_header_map_pairs", 0, BYTES),
            call("proxy_get_current_time_nanoseconds", WORD),
            call("random_get", b"12345678"),
            reads=reads,
        )
    assert (reads.whole_maps, reads.clock, reads.random) == ({0}, True, True)
