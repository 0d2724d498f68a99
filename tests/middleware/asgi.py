"""An application of ASGI, and a server that is a function."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Headers = Sequence[tuple[bytes, bytes]]
PATIENCE_S = 30.0


@dataclass
class Reply:
    """What a client got.

    Attributes:
        status: Of HTTP; 0 if there was none.
        headers: In order.
        body: As far as it came.
        complete: Whether its end came.
    """

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        return [v for n, v in self.headers if n == name]

    @property
    def seen(self) -> Any:
        """What the echo saw."""
        return json.loads(self.body)

    def take(self, message: Any) -> None:
        kind = message["type"].removeprefix("websocket.")
        if kind == "http.response.start":
            self.status = message["status"]
            self.headers = [(bytes(n), bytes(v)) for n, v in message.get("headers", ())]
        elif kind == "http.response.body":
            self.body += message.get("body", b"")
            self.complete = not message.get("more_body", False)
        elif kind == "http.response.trailers":
            self.trailers += message["headers"]


def scope(
    path: str = "/",
    *,
    method: str = "GET",
    query: bytes = b"",
    headers: Headers = (),
    kind: str = "http",
    **more: Any,
) -> dict[str, Any]:
    """As a server makes it."""
    found = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"shop"), *headers],
        "client": ("10.0.0.9", 40000),
        "server": ("10.0.0.1", 8000),
        "extensions": {},
    }
    if kind == "websocket":
        del found["method"]
    return found | more


async def call(
    app: Any,
    path: str = "/",
    *,
    chunks: Sequence[bytes] = (),
    reply: Reply | None = None,
    **more: Any,
) -> Reply:
    """Send one request, its body in pieces, and read the whole response."""
    found = reply if reply is not None else Reply()
    pieces = list(chunks)
    body = b"".join(pieces)
    headers = list(more.pop("headers", ()))
    is_announced = more.get("http_version", "1.1") == "1.1"
    if (
        body
        and is_announced
        and not any(n in (b"content-length", b"transfer-encoding") for n, _ in headers)
    ):
        headers.append((b"content-length", b"%d" % len(body)))
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}
        if not receive_state["ended"]:
            receive_state["ended"] = True
            if not body:
                return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    receive_state = {"ended": False}

    async def send(message: Any) -> None:
        found.take(message)
        if found.complete:
            gone.set()

    async with asyncio.timeout(PATIENCE_S):
        await app(scope(path, headers=headers, **more), receive, send)
    return found


class Echo:
    """Answers with what it was asked, and keeps it."""

    def __init__(self, headers: Headers = ((b"x-app", b"1"),)) -> None:
        self.headers = headers
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.scopes.append(scope)
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        seen = {
            "method": scope["method"],
            "path": scope["path"],
            "raw_path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "scheme": scope["scheme"],
            "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in scope["headers"]],
            "body": body.decode("latin-1"),
        }
        await send({"type": "http.response.start", "status": 200, "headers": [*self.headers]})
        answer = json.dumps(seen).encode()
        await send({"type": "http.response.body", "body": answer[:10], "more_body": True})
        await send({"type": "http.response.body", "body": answer[10:]})


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start an application, and stop it in the end."""
    to_app: asyncio.Queue[Any] = asyncio.Queue()
    from_app: asyncio.Queue[Any] = asyncio.Queue()
    task = asyncio.ensure_future(app({"type": "lifespan"}, to_app.get, from_app.put))
    async with asyncio.timeout(PATIENCE_S):
        await to_app.put({"type": "lifespan.startup"})
        started = await from_app.get()
    if started["type"] != "lifespan.startup.complete":
        await task
        raise RuntimeError(started["message"])
    try:
        yield
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await to_app.put({"type": "lifespan.shutdown"})
            assert (await from_app.get())["type"] == "lifespan.shutdown.complete"
            await task
