"""RESP: where values end, and what queries ask."""

import contextlib
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.callouts.resp import ReplyScanner, RespError, RespLimits, count_commands

LINE = st.binary(max_size=20).filter(lambda b: b"\r" not in b and b"\n" not in b)


def bulk(kind: bytes, data: bytes) -> bytes:
    return kind + b"%d\r\n%s\r\n" % (len(data), data)


def aggregate(kind: bytes, per: int, parts: list[bytes]) -> bytes:
    parts = parts[: len(parts) // per * per]
    return kind + b"%d\r\n" % (len(parts) // per) + b"".join(parts)


SCALARS = st.one_of(
    st.builds(
        lambda kind, line: kind + line + b"\r\n", st.sampled_from([b"+", b"-", b",", b"("]), LINE
    ),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: b":%d\r\n" % n),
    st.sampled_from([b"_\r\n", b"#t\r\n", b"#f\r\n", b"$-1\r\n", b"*-1\r\n", b":+1\r\n"]),
    st.builds(bulk, st.sampled_from([b"$", b"=", b"!"]), st.binary(max_size=60)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(
            aggregate, st.sampled_from([b"*", b"~", b">"]), st.just(1), st.lists(inner, max_size=5)
        ),
        st.builds(aggregate, st.just(b"%"), st.just(2), st.lists(inner, max_size=6)),
        st.builds(
            lambda attributes, value: aggregate(b"|", 2, attributes) + value,
            st.lists(inner, max_size=4), inner,
        ),
    ),
    max_leaves=20,
)  # fmt: skip


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(VALUES, max_size=6), st.lists(st.integers(0, 10_000), max_size=12))
def test_values_come_out_as_they_were_sent(values: list[bytes], places: list[int]) -> None:
    """However a stream of values is cut, each is given once, whole, unchanged and in order."""
    scanner = ReplyScanner()
    found = [value for piece in cut(b"".join(values), places) for value in scanner.feed(piece)]
    assert found == values


@given(VALUES, VALUES)
def test_a_value_is_given_with_its_last_byte(value: bytes, following: bytes) -> None:
    """Byte by byte, nothing is given too early or too late."""
    scanner = ReplyScanner()
    given_after = [len(scanner.feed(bytes([byte]))) for byte in value]
    assert given_after == [0] * (len(value) - 1) + [1]
    assert scanner.feed(following) == [following]


@given(st.binary(max_size=200), st.lists(st.integers(0, 300), max_size=5))
def test_garbage_is_refused_or_split_alike(data: bytes, places: list[int]) -> None:
    """Any bytes are values or a RespError, and how they are cut makes no difference."""
    assert scan([data]) == scan(cut(data, places))


@given(VALUES, st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_value_is_refused_or_split_alike(value: bytes, place: int, byte: int) -> None:
    """One wrong byte in a value raises nothing but RespError."""
    place %= len(value)
    damaged = value[:place] + bytes([byte]) + value[place + 1 :]
    assert scan([damaged]) == scan([bytes([b]) for b in damaged])


def scan(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    scanner, values = ReplyScanner(RespLimits(1000, 8)), []
    try:
        # Values before an error in the same piece are not given: a connection is lost anyway.
        for piece in pieces:
            for byte in piece:
                values += scanner.feed(bytes([byte]))
    except RespError:
        return values, True
    return values, False


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"hello", "no value begins with b'h'"),
        (b"\0", "no value begins"),
        (b"$x\r\n", "b'x' is no size"),
        (b"$-2\r\n", "b'-2' is no size"),
        (b"~-1\r\n", "b'-1' is no size"),
        (b"%-1\r\n", "b'-1' is no size"),
        (b"!-1\r\n", "b'-1' is no size"),
        (b"*99999999999\r\n", "is no size"),
        (b"$?\r\n", r"b'\?' is no size"),
        (b":1.5\r\n", "is no integer"),
        (b":\r\n", "is no integer"),
        (b"$" + b"1" * 40, "a size has no end"),
        (b"$2\r\nabc\r\n", "a string of 2 bytes is longer"),
        (b"$2000\r\n", "longer than the bound of 1000 bytes"),
        (b"*400\r\n", "longer than the bound of 1000 bytes"),
        (b"%200\r\n", "longer than the bound of 1000 bytes"),
        (b"+" + b"a" * 1001, "longer than the bound of 1000 bytes"),
        (b"*2\r\n$600\r\n" + b"a" * 600 + b"\r\n$500\r\n", "longer than the bound of 1000 bytes"),
        (b"*1\r\n" * 9, "deeper than the bound of 8"),
    ],
)  # fmt: skip
def test_what_is_refused(data: bytes, told: str) -> None:
    """What is no RESP or past a bound is refused as soon as it can be known."""
    with pytest.raises(RespError, match=told):
        ReplyScanner(RespLimits(1000, 8)).feed(data)


def test_the_time_is_linear() -> None:
    """A long line or string that comes in small pieces costs little more than in one."""
    for value in (b"+" + b"a" * 2_000_000 + b"\r\n", b"*1\r\n" + bulk(b"$", b"b" * 2_000_000)):
        scanner, start = ReplyScanner(), time.process_time()
        pieces = [value[i : i + 100] for i in range(0, len(value), 100)]
        assert [v for piece in pieces for v in scanner.feed(piece)] == [value]
        assert time.process_time() - start < 2.0


COMMANDS = st.lists(st.binary(max_size=30), min_size=1, max_size=5).map(
    lambda arguments: aggregate(b"*", 1, [bulk(b"$", b"x" + one) for one in arguments])
)


@given(st.lists(COMMANDS, min_size=1, max_size=5), st.data())
def test_commands_are_counted(commands: list[bytes], data: st.DataObject) -> None:
    """A query of whole commands has as many as were put together; a cut one is refused."""
    query = b"".join(commands)
    assert count_commands(query) == len(commands)
    with pytest.raises(RespError):
        count_commands(query[: -data.draw(st.integers(1, len(commands[-1]) - 1))])


@given(st.binary(max_size=100))
def test_any_query_is_counted_or_refused(query: bytes) -> None:
    """Nothing but RespError is raised."""
    with contextlib.suppress(RespError):
        assert count_commands(query) > 0


@pytest.mark.parametrize(
    "query",
    [
        b"", b"PING\r\n", b"+PING\r\n", b"*0\r\n", b"*-1\r\n", b"*1\r\n$-1\r\n", b"*1\r\n:1\r\n",
        b"*1\r\n$4\r\nPING", b"*1\r\n$4\r\nPINGxx", b"*2\r\n$4\r\nPING\r\n",
        b"*1\r\n$5\r\nPING\r\n",
        b"*1\r\n$4\r\nPING\r\nPING\r\n",
    ],
)  # fmt: skip
def test_a_query_that_is_no_commands_is_refused(query: bytes) -> None:
    """Inline commands, empty ones and halves are refused with the byte."""
    with pytest.raises(RespError):
        count_commands(query)


@pytest.mark.parametrize(
    "words", [(b"subscribe", b"a"), (b"MONITOR",), (b"Psync", b"?"), (b"client", b"reply", b"off")]
)
def test_commands_without_exactly_one_reply_are_refused(words: tuple[bytes, ...]) -> None:
    """After them, replies would go to the wrong calls."""
    with pytest.raises(RespError, match="does not answer exactly once"):
        count_commands(aggregate(b"*", 1, [bulk(b"$", word) for word in words]))
