import asyncio
import hashlib
import json
from typing import Any

from mixer.study.client import HttpConnection, Request, get
from mixer.study.upstream import EchoUpstream


async def echo(connection: HttpConnection, request: Request) -> dict[str, Any]:
    response = await connection.send(request, "here")
    assert response.status == 200
    assert response.header("content-type") == "application/json"
    return json.loads(response.body)  # type: ignore[no-any-return]


async def test_upstream_tells_what_it_got() -> None:
    """The answer has method, path, headers in order, and the body's length and digest."""
    payload = bytes(range(256)) * 1000
    async with EchoUpstream() as upstream, HttpConnection(upstream.address) as connection:
        seen = await echo(connection, Request("PUT", "/a?b=%20", (("X-B", "2"),), payload))
    assert (seen["method"], seen["path"]) == ("PUT", "/a?b=%20")
    assert seen["headers"] == [["host", "here"], ["X-B", "2"], ["content-length", "256000"]]
    assert seen["body_length"] == 256_000
    assert seen["body_sha256"] == hashlib.sha256(payload).hexdigest()


async def test_connection_is_kept() -> None:
    """One connection serves many requests, also a HEAD, whose answer has no body."""
    async with EchoUpstream() as upstream, HttpConnection(upstream.address) as connection:
        assert (await connection.send(Request("HEAD", "/"), "here")).body == b""
        for number in range(5):
            assert (await echo(connection, Request("GET", f"/{number}")))["path"] == f"/{number}"


async def test_closed_connection_is_opened_again() -> None:
    """After an answer that ends the connection the client connects anew."""
    last = Request("GET", "/", (("connection", "close"),))
    async with EchoUpstream() as upstream, HttpConnection(upstream.address) as connection:
        for _ in range(3):
            await echo(connection, last)


async def test_bad_request_gets_400_and_others_go_on() -> None:
    """What is no HTTP ends its own connection only."""
    async with EchoUpstream() as upstream:
        host, port = upstream.address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await writer.wait_closed()
        assert (await get(upstream.address, "/")).status == 200


async def test_leaving_ends_open_connections() -> None:
    """Leaving the context does not wait for clients that stay connected."""
    async with EchoUpstream() as upstream:
        connection = HttpConnection(upstream.address)
        await connection.__aenter__()
        await echo(connection, Request("GET", "/"))
    await connection.__aexit__(None, None, None)
