"""A real PostgreSQL server, as a child process."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

_START_TIMEOUT_S = 60.0


def _folders() -> list[Path]:
    versions = Path("/usr/lib/postgresql")
    return sorted(versions.glob("*/bin"), reverse=True) if versions.is_dir() else []


def programs() -> Path:
    """The folder of the server's programs; a test without them is skipped, except in CI."""
    found = [one for one in _folders() if (one / "initdb").exists()]
    if not found and (initdb := shutil.which("initdb")):
        found = [Path(initdb).resolve().parent]
    if found:
        return found[0]
    if os.environ.get("CI") == "true":
        pytest.fail("no initdb: install Debian's postgresql")
    pytest.skip("needs Debian's postgresql")


class PostgresqlServer:
    """A server on a Unix socket in a folder of its own; what it holds outlives a restart.

    It does not run as root: where the tests do, it runs as ``postgres``.
    """

    def __init__(self) -> None:
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="mixer-pg-"))
        self._data = self._folder / "data"
        self._as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres").pw_uid
            os.chown(self._folder, user, -1)
            # Popen(user=...) would fork, and threads of gRPC may crash in the child.
            self._as_user = ("setpriv", f"--reuid={user}", "--clear-groups", "--")
        self.dsn = f"host={self._folder} user=mixer dbname=postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def _popen(self, *command: str | Path) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*self._as_user, *map(str, command)], stdout=log, stderr=log, cwd="/"
            )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        if not self._data.exists():
            make = self._popen(
                self._programs / "initdb", "-D", self._data, "-U", "mixer", "-A", "trust",
                "--no-sync", "-E", "UTF8", "--locale=C",
            )  # fmt: skip
            assert make.wait() == 0, self.log()
        _until(self._answers, self.log)

    def _answers(self) -> bool:
        # It does not start as long as a process of the one before it has not quite gone.
        if self._process is None or self._process.poll() is not None:
            self._process = self._popen(
                self._programs / "postgres", "-D", self._data, "-k", self._folder,
                "-c", "listen_addresses=", "-c", "max_connections=40",
            )  # fmt: skip
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, statement: str) -> None:
        """Run a statement."""
        with psycopg.connect(self.dsn, connect_timeout=5, autocommit=True) as connection:
            connection.execute(statement.encode())

    def log(self) -> str:
        """What it said."""
        return (self._folder / "log").read_text()

    def kill(self) -> None:
        """End it as a crash does: nothing is finished, and connections break."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            _signal(process, signal.SIGCONT)
            process.send_signal(signal.SIGQUIT)
            process.wait()

    def freeze(self) -> None:
        """Let it answer nothing, while it keeps its connections."""
        assert self._process is not None
        _signal(self._process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        _signal(self._process, signal.SIGCONT)

    def __enter__(self) -> "PostgresqlServer":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.kill()
        shutil.rmtree(self._folder)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a server and to all its processes."""
    parent = psutil.Process(process.pid)
    for one in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # a connection has ended meanwhile
            one.send_signal(number)


def _until(condition: Callable[[], bool], log: Callable[[], str]) -> None:
    end = time.monotonic() + _START_TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, log()
        time.sleep(0.02)
