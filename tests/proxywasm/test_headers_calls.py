"""Host calls for header maps."""

import pytest

from mixer.attributes import Pair
from mixer.proxywasm.pairs import deserialize, serialize
from tests.support.guest import BYTES, OK, OUTSIDE, WORD, Answer, Guest, Phase, at_configure, call

HEADERS: list[Pair] = [(b":path", b"/"), (b"x-a", b"1"), (b"x-a", b"2"), (b"empty", b"")]
NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY = 1, 2, 6
REQUEST, TRAILERS, RESPONSE = 0, 1, 2
UNREADABLE = range(1, 8)
PAST_THE_MAPS = (8, 9, 2**31, 2**32 - 1)


def value(name: bytes, kind: int = REQUEST) -> object:
    return call("proxy_get_header_map_value", kind, name, BYTES)


def pairs(kind: int = REQUEST) -> object:
    return call("proxy_get_header_map_pairs", kind, BYTES)


ADD = call("proxy_add_header_map_value", REQUEST, b"X-New", b"v")
REPLACE = call("proxy_replace_header_map_value", REQUEST, b"x-a", b"3")
REMOVE = call("proxy_remove_header_map_value", REQUEST, b"x-a")
SET_ALL = call("proxy_set_header_map_pairs", REQUEST, serialize([(b"Only", b"1")]))
WRITES = (ADD, REPLACE, REMOVE, SET_ALL)


def to_map(one: object, kind: int) -> object:
    return call(one.name, kind, *one.args[1:])


def test_value_is_the_first_one() -> None:
    """A header is found under any spelling, and of several values the first one."""
    with Guest() as guest:
        found = guest.in_headers(value(b"X-A"), value(b":path"), headers=HEADERS)
    assert found == [Answer(OK, b"1"), Answer(OK, b"/")]


def test_empty_value_needs_no_memory() -> None:
    """An empty value is there, at no address, and nothing is allocated for it."""
    with Guest() as guest:
        guest.force_allocator(OUTSIDE)
        assert guest.in_headers(value(b"empty"), headers=HEADERS) == [Answer(OK, b"")]


@pytest.mark.parametrize(
    ("abi", "status"), [("0_1_0", OK), ("0_2_0", 1), ("0_2_1", 1), ("0_2_100", 1)]
)
def test_missing_header(abi: str, status: int) -> None:
    """A missing header is empty in ABI 0.1; since then it is not found, and nothing is written."""
    with Guest(abi) as guest:
        [answer] = guest.in_headers(value(b"none"), headers=HEADERS)
    assert answer == (Answer(OK, b"") if status == OK else Answer(status))


def test_host_is_the_authority() -> None:
    """A module may ask for either name."""
    with Guest() as guest:
        found = guest.in_headers(value(b"host"), headers=[(b":authority", b"a")])
    assert found == [Answer(OK, b"a")]


def test_all_pairs_in_order() -> None:
    """The whole map has its order and its duplicates."""
    with Guest() as guest:
        (answer,) = guest.in_headers(pairs(), headers=HEADERS)
    assert (answer.status, deserialize(answer.data)) == (OK, HEADERS)


def test_size_counts_names_and_values() -> None:
    """The size of a map is not that of its serialization."""
    size = call("proxy_get_header_map_size", REQUEST, WORD)
    with Guest() as guest:
        found = guest.in_headers(size, headers=HEADERS)
    assert found == [Answer(OK, sum(len(n) + len(v) for n, v in HEADERS))]


def test_writes() -> None:
    """Headers are added, replaced, removed and set as a whole; names become lower case."""
    results = []
    for write in WRITES:
        with Guest() as guest:
            done, after = guest.in_headers(write, pairs(), headers=HEADERS)
            assert done.status == OK
            results.append(deserialize(after.data))
    assert results == [
        [*HEADERS, (b"x-new", b"v")],
        [(b":path", b"/"), (b"x-a", b"3"), (b"empty", b"")],
        [(b":path", b"/"), (b"empty", b"")],
        [(b"only", b"1")],
    ]


def test_removing_a_missing_header_is_fine() -> None:
    """A header that is not there can be removed."""
    with Guest() as guest:
        remove = call("proxy_remove_header_map_value", REQUEST, b"none")
        assert guest.in_headers(remove, headers=HEADERS) == [Answer(OK)]


def test_malformed_pairs_empty_the_map() -> None:
    """Pairs that cannot be read are an empty map, not an error."""
    write = call("proxy_set_header_map_pairs", REQUEST, b"rubbish!")
    with Guest() as guest:
        done, after = guest.in_headers(write, pairs(), headers=HEADERS)
    assert (done.status, deserialize(after.data)) == (OK, [])


@pytest.mark.parametrize("kind", PAST_THE_MAPS)
@pytest.mark.parametrize("one", [value(b"x"), pairs(), *WRITES], ids=lambda c: c.name)
def test_no_such_map(one: object, kind: int) -> None:
    """A map that does not exist is a bad argument in every call."""
    with Guest() as guest:
        assert guest.in_headers(to_map(one, kind))[0].status == BAD_ARGUMENT


@pytest.mark.parametrize("kind", UNREADABLE)
def test_absent_map(kind: int) -> None:
    """A map that this phase does not have is a bad argument, except that its pairs are none."""
    size = call("proxy_get_header_map_size", kind, WORD)
    calls = [value(b"x", kind), pairs(kind), size, *(to_map(w, kind) for w in WRITES)]
    with Guest() as guest:
        answers = guest.in_headers(*calls, headers=HEADERS)
    assert [a.status for a in answers] == [2, 0, 2, 2, 2, 2, 2]
    assert answers[1].data == b""


def test_root_has_no_maps() -> None:
    """While it is configured a module can neither read nor change request headers."""
    answers = at_configure(value(b"x"), pairs(), *WRITES)
    assert [a.status for a in answers] == [2, 0, 2, 2, 2, 2]


def test_headers_cannot_be_changed_after_continue() -> None:
    """Resuming the stream ends the access to its headers, in the same callback."""
    resume = call("proxy_continue_stream", 0)
    with Guest() as guest:
        answers = guest.in_headers(ADD, resume, *WRITES, headers=HEADERS)
    assert [a.status for a in answers] == [0, 0, 2, 2, 2, 2]


def test_headers_are_closed_in_the_body_callback() -> None:
    """Once the headers have gone on, the body callback has no access to them."""
    with Guest() as guest:
        answers = guest.in_body(value(b"x-a"), pairs(), *WRITES, headers=HEADERS, body=b"b")
    assert [a.status for a in answers] == [2, 0, 2, 2, 2, 2]


def test_headers_in_the_log_callback() -> None:
    """In the log callback the headers can be read, but not changed."""
    with Guest() as guest:
        context = guest.stream(headers=HEADERS)
        context.on_request_headers(end_of_stream=True)
        guest.script([value(b"x-a"), pairs(), *WRITES], Phase.LOG)
        context.log_stream()
        answers = guest.answers()
    assert [a.status for a in answers] == [0, 0, 2, 2, 2, 2]
    assert answers[0].data == b"1"


@pytest.mark.parametrize("action", [0, 1, 3])
@pytest.mark.parametrize("phase", [Phase.DONE, Phase.DELETE])
def test_headers_at_the_end(phase: Phase, action: int) -> None:
    """When a stream ends, its headers are out of reach, however the stream went."""
    with Guest() as guest:
        guest.answer_with(Phase.REQUEST_HEADERS, action)
        context = guest.stream(headers=HEADERS)
        context.on_request_headers(end_of_stream=False)
        guest.script([value(b"x-a"), pairs(), *WRITES], phase)
        context.delete()
        statuses = [a.status for a in guest.answers()]
    assert statuses == [2, 0, 2, 2, 2, 2]


def test_paused_stream_logs_without_write_access() -> None:
    """The log callback of a stream that was paused cannot change headers either."""
    with Guest() as guest:
        guest.answer_with(Phase.REQUEST_HEADERS, 1)
        context = guest.stream(headers=HEADERS)
        context.on_request_headers(end_of_stream=True)
        guest.script(WRITES, Phase.LOG)
        context.log_stream()
        assert [a.status for a in guest.answers()] == [2, 2, 2, 2]


def test_headers_before_the_first_callback() -> None:
    """In the callback that creates the stream its headers cannot be read yet."""
    with Guest() as guest:
        guest.script([value(b"x-a"), *WRITES], Phase.CONTEXT_CREATE)
        guest.stream(headers=HEADERS)
        assert [a.status for a in guest.answers()] == [2, 2, 2, 2, 2]
