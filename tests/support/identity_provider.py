"""An identity provider that a test kills, slows, restarts and has answer rubbish."""

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

from joserfc import jwk, jwt

if TYPE_CHECKING:
    from collections.abc import Callable

FAR = 4_000_000_000
"""An expiry time beyond every test."""

Answer = tuple[int, bytes]


def key(name: str) -> jwk.ECKey:
    """A new key for ES256 with this `kid`."""
    return jwk.ECKey.generate_key("P-256", {"kid": name, "alg": "ES256", "use": "sig"})


def key_set(*keys: jwk.ECKey) -> Answer:
    """The public parts, as a server answers them."""
    return 200, json.dumps({"keys": [one.as_dict(private=False) for one in keys]}).encode()


def token(signed_by: jwk.ECKey, **claims: Any) -> str:
    """A JWT of the issuer `i`, for `al` unless told otherwise."""
    return jwt.encode(
        {"alg": "ES256", "kid": signed_by.kid}, {"iss": "i", "sub": "al", "exp": FAR} | claims,
        signed_by,
    )  # fmt: skip


def active(**claims: Any) -> Answer:
    """What is said of an active token."""
    return 200, json.dumps({"active": True, "sub": "al", "aud": "shop"} | claims).encode()


INACTIVE: Answer = (200, b'{"active": false}')


class IdentityProvider:
    """Serves key sets at ``/keys`` and introspection at ``/introspect``.

    Attributes:
        keys: What is answered to a GET of the key set.
        known: What is answered of a token; `INACTIVE` of any other.
        asked: The tokens that were asked about, in order.
        fetched: How often the key set was.
        headers: Of the last request.
        silent: While this is set, requests are read and not answered.
        port: The same after a restart.
    """

    def __init__(self, keys: Answer = (404, b"")) -> None:
        self.keys = keys
        self.known: Callable[[str], Answer] | dict[str, Answer] = {}
        self.asked: list[str] = []
        self.fetched = 0
        self.headers: dict[str, str] = {}
        self.silent = False
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        """Listen no more, and break every connection off."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                while True:
                    await self._exchange(reader, writer)
            finally:
                writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(self.headers.get("content-length", 0)))
        status, answer = self._answer(head[0], body.decode())
        while self.silent:  # noqa: ASYNC110 - a test's switch, without an event of its own
            await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(answer)))
        writer.write(answer)
        await writer.drain()

    def _answer(self, line: str, body: str) -> Answer:
        if line.startswith("GET /keys"):
            self.fetched += 1
            return self.keys
        asked = parse_qs(body)["token"][0]
        self.asked.append(asked)
        if callable(self.known):
            return self.known(asked)
        return self.known.get(asked, INACTIVE)
