"""A real Redis server for tests that run in an event loop."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.redis_server import RedisServer, free_port


class AskedRedis:
    """A server on a port of 127.0.0.1, which can be stopped and started again there.

    Args:
        folder: With a path short enough for a socket.
        options: Of the server.
    """

    def __init__(self, folder: Path, options: tuple[str, ...]) -> None:
        self.port = free_port()
        self._server = RedisServer(folder, port=self.port, options=options)

    async def start(self) -> None:
        """Start it and wait until it answers."""
        await asyncio.to_thread(self._server.start)

    async def stop(self) -> None:
        """Stop it, at once."""
        await asyncio.to_thread(self._server.stop)

    async def ask(self, query: bytes) -> bytes:
        """What it first sends in answer to a query on a connection of its own."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return b""
        writer.write(query)
        try:
            return await reader.read(4096)
        except OSError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def asked_redis(*options: str) -> AsyncIterator[AskedRedis]:
    """Run a server; the test is skipped where there is none, except in CI."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = AskedRedis(Path(folder), options)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
