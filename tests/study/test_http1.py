import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import h11
import pytest

from mixer.study.client import HttpConnection, Request, Response, get
from mixer.study.http1 import HttpError


@asynccontextmanager
async def server(*answers: bytes, ends: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers one request after the other with these bytes; yields its address, and requests."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(answers[len(requests) - 1])
                if ends:
                    break
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as running:
        host, port = running.sockets[0].getsockname()
        yield f"{host}:{port}", requests


async def answer(data: bytes, method: str = "GET") -> Response:
    async with server(data, ends=True) as (address, _), HttpConnection(address) as connection:
        return await connection.send(Request(method, "/"))


async def test_request_goes_out_as_told() -> None:
    """Odd targets, the case of header names, repeated headers and Latin-1 values are kept."""
    headers = (("X-A", "1"), ("x-a", "2"), ("x-caf", "caf\xe9"), ("empty", ""))
    async with (
        server(b"HTTP/1.1 204 No Content\r\n\r\n") as (address, requests),
        HttpConnection(address) as connection,
    ):
        assert (await connection.send(Request("PUT", "/a;/../b%2f?&&", headers))).body == b""
    lines = b"host: demo.mixer.dev", b"X-A: 1", b"x-a: 2", b"x-caf: caf\xe9", b"empty: "
    assert requests == [b"\r\n".join([b"PUT /a;/../b%2f?&& HTTP/1.1", *lines, b"", b""])]


async def test_request_that_would_be_two_is_not_sent() -> None:
    """A line end in a header is an error of the caller."""
    async with server() as (address, _), HttpConnection(address) as connection:
        with pytest.raises(h11.LocalProtocolError):
            await connection.send(Request("GET", "/", (("a", "b\r\nc: d"),)))


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"content-length: 4\r\n\r\nabcd", b"abcd"),
        (b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: 1\r\n\r\n", b"abc"),
        (b"\r\nuntil the end", b"until the end"),
    ],
)
async def test_body_is_read_whole(data: bytes, body: bytes) -> None:
    """However a body is framed, it is read to its end; an interim response is passed over."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await answer(interim + b"HTTP/1.1 200 OK\r\n" + data)).body == body


async def test_response_headers_are_in_lower_case_with_repeated_ones() -> None:
    """Names are in lower case; the values of one name are kept apart and in order."""
    got = await answer(b"HTTP/1.1 302 Found\r\nA: 1\r\nb: 2\r\na: 3\r\ncontent-length: 0\r\n\r\n")
    assert got.status == 302
    assert got.headers == (("a", "1"), ("b", "2"), ("a", "3"), ("content-length", "0"))
    assert (got.header("a"), got.header("absent")) == ("1, 3", None)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 O", id="head cut off"),
        pytest.param(b"hello\r\n\r\n", id="no status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\na : b\r\n\r\n", id="space before the colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 40_000, id="too long"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", id="body cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", id="bad length"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nz\r\n", id="bad chunk"),
    ],
)
async def test_what_is_no_response_is_an_error(data: bytes) -> None:
    """Bytes that are no response, or not all of one, raise HttpError."""
    with pytest.raises(HttpError):
        await answer(data)


async def test_connection_is_opened_again_after_an_error() -> None:
    """A broken exchange does not spoil the next one on the same HttpConnection."""
    good = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    async with (
        server(b"nonsense\r\n\r\n", good, ends=True) as (address, _),
        HttpConnection(address) as connection,
    ):
        with pytest.raises(HttpError):
            await connection.send(Request("GET", "/"))
        assert (await connection.send(Request("GET", "/"))).status == 200


async def test_server_that_does_not_answer_is_given_up() -> None:
    """The whole exchange is bounded in time."""
    async with server(b"HTTP/1.1 200 OK\r\n") as (address, _):
        with pytest.raises(TimeoutError):
            await get(address, "/", timeout_s=0.05)
