"""A real Redis or Valkey server, as a child process."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PROGRAMS = ("valkey-server", "redis-server")
_START_TIMEOUT_S = 30.0


def installed() -> str | None:
    """The server's program, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def program() -> str:
    """The server's program; a test without one is skipped, except in CI."""
    found = installed()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("neither valkey-server nor redis-server: install Debian's redis-server")
        pytest.skip("needs Debian's redis-server or valkey-server")
    return found


class RedisServer:
    """A server in a folder of its own; what it holds outlives a restart if it is durable.

    Args:
        folder: With a path short enough for a socket.
        port: Of 127.0.0.1, beside the socket; none if 0.
        durable: Whether each write is in a file before it is answered.
        options: More of the server's own.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, durable: bool = False, options: tuple[str, ...] = ()
    ) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"redis://127.0.0.1:{port}" if port else f"unix://{self.socket}"
        self._folder = folder
        self._command = (
            *(program(), "--port", str(port), "--bind", "127.0.0.1"),
            *("--unixsocket", str(self.socket), "--dir", str(folder), "--save", ""),
            *("--appendonly", "yes" if durable else "no", "--appendfsync", "always"),
            *options,
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.01)

    def _answers(self) -> bool:
        client = redis.Redis(
            unix_socket_path=str(self.socket), socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
        )
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False
        finally:
            client.close()

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End it, at once unless told otherwise."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it as a crash does."""
        self.stop()

    def freeze(self) -> None:
        """Let it answer nothing, while it keeps its connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()


@contextmanager
def redis_running() -> Iterator[RedisServer]:
    """A server that keeps nothing, at a socket whose path is short enough."""
    with (
        tempfile.TemporaryDirectory(prefix="mixer-redis-") as folder,
        RedisServer(Path(folder)) as server,
    ):
        yield server


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
