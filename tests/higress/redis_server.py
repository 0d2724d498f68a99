"""A real Redis server, asked in raw RESP."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mixer.testing.callouts import FakeRedisCall

_START_S = 30.0
_BLOCK = 1 << 16


class RedisServer:
    """Answers the Redis callouts of plugins.

    Args:
        path: Its socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def ask(self, query: bytes) -> bytes:
        """The answer to one command; short enough to come at once."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_START_S)
            connection.connect(self._path)
            connection.sendall(query)
            return connection.recv(_BLOCK)

    def answer(self, call: FakeRedisCall) -> None:
        """Pass a callout on."""
        call.respond(self.ask(call.query))


@contextmanager
def running() -> Iterator[RedisServer]:
    """A server that keeps nothing; a test without one is skipped, except in CI."""
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no redis-server: install Debian's redis-server")
        pytest.skip("needs Debian's redis-server")
    with tempfile.TemporaryDirectory(prefix="mixer-redis-") as folder:
        path = Path(folder) / "redis.sock"
        command = [program, "--port", "0", "--unixsocket", str(path), "--save", ""]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder) as process:
            try:
                _wait_for(path, process)
                yield RedisServer(path)
            finally:
                process.terminate()


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_S
    while not path.exists():
        assert process.poll() is None, "redis-server ended at once"
        assert time.monotonic() < end, "redis-server does not start"
        time.sleep(0.01)
