import asyncio

import pytest

from mixer.study.http1 import MAX_HEAD_BYTES, Head, HttpError, read_body, read_head


def reader(data: bytes) -> asyncio.StreamReader:
    stream = asyncio.StreamReader(limit=MAX_HEAD_BYTES)
    stream.feed_data(data)
    stream.feed_eof()
    return stream


async def body(data: bytes, *headers: tuple[str, str], until_close: bool = False) -> bytes:
    head = Head(("POST", "/", "HTTP/1.1"), headers)
    return b"".join([b async for b in read_body(reader(data), head, until_close=until_close)])


async def test_head_keeps_order_case_and_repeated_headers() -> None:
    """A head is read as it was sent, with only the space around values gone."""
    head = await read_head(reader(b"GET /a?b HTTP/1.1\r\nX-A: 1\r\nhost:h\r\nx-a:  2 \r\n\r\n"))
    assert head is not None
    assert head.start == ("GET", "/a?b", "HTTP/1.1")
    assert head.headers == (("X-A", "1"), ("host", "h"), ("x-a", "2"))
    assert head.values("x-a") == ["1", "2"]


async def test_end_before_a_head_is_no_error() -> None:
    """A connection that ends between messages gives None."""
    assert await read_head(reader(b"")) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HT", id="cut off"),
        pytest.param(b"hello\r\n\r\n", id="no first line"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", id="no colon"),
        pytest.param(b"GET / HTTP/1.1\r\na : b\r\n\r\n", id="space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 40_000, id="too long"),
    ],
)
async def test_bad_head_is_refused(data: bytes) -> None:
    """What is no head raises HttpError, whatever is wrong with it."""
    with pytest.raises(HttpError):
        await read_head(reader(data))


async def test_body_with_a_length_ends_there() -> None:
    """content-length bytes are read and no more."""
    assert await body(b"abcdef", ("content-length", "4")) == b"abcd"


async def test_chunks_are_joined_and_trailers_skipped() -> None:
    """A chunked body comes without its framing, extensions and trailers."""
    data = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nt: 1\r\n\r\n"
    assert await body(data, ("transfer-encoding", "chunked")) == b"abc0123456789"


async def test_body_without_framing_depends_on_the_side() -> None:
    """Without framing a request has no body, and a response goes on to the end."""
    assert await body(b"abc") == b""
    assert await body(b"abc", until_close=True) == b"abc"


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (b"ab", ("content-length", "3")),
        (b"ab", ("content-length", "-1")),
        (b"zz\r\n", ("transfer-encoding", "chunked")),
        (b"3\r\nab", ("transfer-encoding", "chunked")),
    ],
)
async def test_bad_body_is_refused(data: bytes, header: tuple[str, str]) -> None:
    """A body that does not fit its framing raises HttpError."""
    with pytest.raises(HttpError):
        await body(data, header)
