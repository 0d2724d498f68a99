"""nginx, HAProxy and Caddy of Debian, as child processes with the configurations of deploy/."""

import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mixer.study.client import get
from mixer.study.http1 import HttpError
from mixer.study.process import ChildProcess, ProcessError

DEPLOY = Path(__file__).parents[2] / "deploy"
_START_TIMEOUT_S = 30.0
_ATTEMPTS = 5


@dataclass(frozen=True)
class Ports:
    """What the three addresses of a configuration become, all of 127.0.0.1."""

    own: str
    service: str
    upstream: str

    def put_into(self, text: str) -> str:
        """The configuration with these addresses."""
        for old, new in ((8080, self.own), (9001, self.service), (8000, self.upstream)):
            text, count = re.subn(rf":{old}\b", f":{new.rpartition(':')[2]}", text)
            assert count >= 1, old
        return text


def _nginx(program: str, text: str, folder: Path) -> Sequence[str]:
    # As any user, in a folder of its own: temporary files, the log, and no second process.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    file = folder / "nginx.conf"
    file.write_text(text.replace("http {", f"http {{\naccess_log off;\n{places}", 1))
    options = f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;"
    return (program, "-c", str(file), "-e", "stderr", "-g", options)


def _haproxy(program: str, text: str, folder: Path) -> Sequence[str]:
    file = folder / "haproxy.cfg"
    # A slow machine is not what is tested.
    script = (DEPLOY / "haproxy/mixer.lua").read_text()
    patient = script.replace("TIMEOUT_MS = 500", "TIMEOUT_MS = 5000")
    assert patient != script
    (folder / "mixer.lua").write_text(patient)
    file.write_text(text.replace("deploy/haproxy/", f"{folder}/"))
    return (program, "-db", "-f", str(file))


def _caddy(program: str, text: str, folder: Path) -> Sequence[str]:
    file = folder / "Caddyfile"
    file.write_text(text)
    return (program, "run", "--config", str(file), "--adapter", "caddyfile")


@dataclass(frozen=True)
class Kind:
    """A proxy of Debian.

    Attributes:
        name: Of the package and of the program.
        config: In deploy/.
        command: Writes the configuration, and tells what starts the program.
    """

    name: str
    config: str
    command: Callable[[str, str, Path], Sequence[str]]

    def installed(self) -> str | None:
        """Its path, or None."""
        return shutil.which(self.name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")

    def program(self) -> str:
        """Its path; a test without one is skipped, except in CI."""
        found = self.installed()
        if found is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"no {self.name}: install Debian's {self.name}")
            pytest.skip(f"needs Debian's {self.name}")
        return found

    def text(self) -> str:
        """The configuration of deploy/."""
        return (DEPLOY / self.config).read_text()


NGINX = Kind("nginx", "nginx/nginx.conf", _nginx)
HAPROXY = Kind("haproxy", "haproxy/haproxy.cfg", _haproxy)
CADDY = Kind("caddy", "caddy/Caddyfile", _caddy)
KINDS = (NGINX, HAPROXY, CADDY)


@asynccontextmanager
async def running_proxy(
    kind: Kind, folder: Path, service: str, upstream: str, text: str | None = None
) -> AsyncIterator[str]:
    """Starts a proxy; told is where it listens.

    Args:
        kind: Which one.
        folder: For its files.
        service: Address of the service.
        upstream: Address of the upstream.
        text: Its configuration, with the addresses of deploy/; that of deploy/ unless given.
    """
    process, address = await _start(kind, _folder(folder), service, upstream, text or kind.text())
    try:
        yield address
    finally:
        await process.stop()


def _folder(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


async def _start(
    kind: Kind, folder: Path, service: str, upstream: str, text: str
) -> tuple[ChildProcess, str]:
    """None of the three tells a port that the system chose: another may take it in between."""
    program = kind.program()
    for left in reversed(range(_ATTEMPTS)):
        address = free_address()
        argv = kind.command(program, Ports(address, service, upstream).put_into(text), folder)
        environment = {**os.environ, "HOME": str(folder)}
        log = folder / f"{kind.name}.log"
        process = await ChildProcess.start(kind.name, argv, log, environment=environment)
        try:
            await process.until(lambda at=address: _answers(at), _START_TIMEOUT_S)  # type: ignore[misc]
        except BaseException as error:
            await process.stop()
            if left == 0 or not isinstance(error, ProcessError):
                raise
        else:
            return process, address
    raise AssertionError


def free_address() -> str:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def _answers(address: str) -> bool:
    try:
        await get(address, "/")
    except (OSError, HttpError):
        return False
    return True
