"""A Starlette application behind the middleware, served by uvicorn to real clients."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mixer.middleware.asgi import MixerMiddleware
from mixer.study.client import HttpConnection, Request
from tests.engine.conftest import Plugins
from tests.middleware.placements import PLACEMENTS, placed
from tests.middleware.served import served
from tests.support import adapters as do
from tests.support.adapters import adapter

GATE = adapter(
    do.where_header("x-key", "good", do.remove("x-key"), do.add("x-user", "ann")),
    do.where_header("x-key", "bad", do.deny(401, "who are you")),
    do.where_header(":path", "/moved?a=1", do.replace(":path", "/echo?b=2")),
    do.where_header(":path", "/private", do.deny(404, "nothing")),
    do.set_property("mixer.response_header.x-said", "1"),
)


async def echo(request: Asked) -> JSONResponse:
    body = (await request.body()).decode()
    return JSONResponse(
        {"path": str(request.url.path), "query": request.url.query, "body": body}
        | {"user": request.headers.get("x-user"), "key": request.headers.get("x-key")}
    )


async def stream(request: Asked) -> StreamingResponse:
    body = [piece async for piece in request.stream()]

    async def pieces() -> AsyncIterator[bytes]:
        for piece in body:
            yield piece

    return StreamingResponse(pieces(), media_type="text/plain")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(socket.headers.get("x-user", "nobody"))
    await socket.send_text(await socket.receive_text())
    await socket.close()


@asynccontextmanager
async def running(placement: str, plugins: Plugins, **settings: Any) -> AsyncIterator[str]:
    configuration = plugins.configuration(plugins.plugin("gate", GATE))
    routes = [
        Route("/echo", echo, methods=["GET", "POST"]),
        Route("/stream", stream, methods=["POST"]),
        WebSocketRoute("/talk", talk),
    ]
    async with placed(placement, configuration) as decider:
        app = Starlette(routes=routes)
        app.add_middleware(MixerMiddleware, decider=decider)
        async with served(app, **settings) as address:
            yield address


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_requests(placement: str, http: str, plugins: Plugins) -> None:
    """On one connection: allowed, changed, moved, refused, and with bodies."""
    async with (
        running(placement, plugins, http=http) as address,
        HttpConnection(address, 30.0) as connection,
    ):

        async def send(method: str, target: str, *headers: Any, body: bytes = b"") -> Any:
            return await connection.send(Request(method, target, headers, body))

        good, bad = ("x-key", "good"), ("x-key", "bad")
        allowed = await send("POST", "/echo?c=3", good, body=b"hello")
        assert (allowed.status, dict(allowed.headers)["x-said"]) == (200, "1")
        assert json.loads(allowed.body) == {
            "path": "/echo", "query": "c=3", "body": "hello", "user": "ann", "key": None,
        }  # fmt: skip
        moved = json.loads((await send("GET", "/moved?a=1")).body)
        assert (moved["path"], moved["query"]) == ("/echo", "b=2")
        refused = await send("GET", "/echo", bad)
        assert (refused.status, refused.body) == (401, b"who are you")
        for spelling in ("/private", "/%70rivate", "/priv%61te"):
            assert (await send("GET", spelling)).body == b"nothing"
        piped = await send("POST", "/stream", body=b"x" * 100_000)
        assert piped.body == b"x" * 100_000


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_websockets(placement: str, plugins: Plugins) -> None:
    """The handshake is decided about; what is said afterwards passes."""
    async with running(placement, plugins) as address:
        url = f"ws://{address}/talk"
        async with asyncio.timeout(30), connect(url, additional_headers={"x-key": "good"}) as talk:
            assert talk.response is not None
            assert talk.response.headers["x-said"] == "1"
            await talk.send("hello")
            assert [await talk.recv(), await talk.recv()] == ["ann", "hello"]
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers={"x-key": "bad"}):
                pass
        assert (refused.value.response.status_code, refused.value.response.body) == (
            401, b"who are you",
        )  # fmt: skip
