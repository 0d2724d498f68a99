"""A real Prometheus server, as a child process."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.support.redis_server import free_port

_LONG_S = 30.0
_POLL_S = 0.05


def program(name: str) -> str:
    """Prometheus' programs; a test without one is skipped, except in CI."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no {name}: install Debian's prometheus")
        pytest.skip(f"needs {name} of Debian's prometheus")
    return found


def check_config(file: Path) -> None:
    """Let Prometheus' own tool look at a configuration. Raises CalledProcessError."""
    subprocess.run([program("promtool"), "check", "config", str(file)], check=True)


class PrometheusServer:
    """A server with a configuration file, its data beside it.

    Args:
        config: The file.
    """

    def __init__(self, config: Path) -> None:
        self._folder = config.parent
        self._address = f"127.0.0.1:{free_port()}"
        self._command = (
            program("prometheus"),
            *(f"--config.file={config}", f"--storage.tsdb.path={self._folder}/data"),
            f"--web.listen-address={self._address}",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression has now."""
        return list(self._ask("query", query=expression)["result"])

    def _ask(self, what: str, **parameters: str) -> Any:
        # The address is the test's own.
        url = f"http://{self._address}/api/v1/{what}?{urlencode(parameters)}"
        with urlopen(url, timeout=_LONG_S) as answer:
            return json.load(answer)["data"]

    def until(self, expression: str, least: float) -> None:
        """Wait until an expression has a sample of at least that value."""
        end = time.monotonic() + _LONG_S
        while True:
            try:
                if any(float(one["value"][1]) >= least for one in self.query(expression)):
                    return
            except URLError:
                pass
            log = (self._folder / "prometheus.log").read_text()
            assert self._process is not None
            assert self._process.poll() is None, log
            assert time.monotonic() < end, log
            time.sleep(_POLL_S)

    def __enter__(self) -> "PrometheusServer":
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
