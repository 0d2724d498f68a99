"""A real Redis server, asked in raw RESP."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixer.testing.callouts import FakeRedisCall
from tests.support.redis_server import redis_running

_ANSWERS_S = 30.0
_BLOCK = 1 << 16


class Redis:
    """Answers the Redis callouts of plugins.

    Args:
        path: The server's socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def ask(self, query: bytes) -> bytes:
        """The answer to one command; short enough to come at once."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWERS_S)
            connection.connect(self._path)
            connection.sendall(query)
            return connection.recv(_BLOCK)

    def answer(self, call: FakeRedisCall) -> None:
        """Pass a callout on."""
        call.respond(self.ask(call.query))


@contextmanager
def running() -> Iterator[Redis]:
    """A server that keeps nothing; a test without one is skipped, except in CI."""
    with redis_running() as server:
        yield Redis(server.socket)
