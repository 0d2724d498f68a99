"""A service that has no listener for gRPC."""

import asyncio
import re
import stat

import pytest

from mixer.study.client import get
from mixer.study.process import ChildProcess
from mixer.study.service import SERVE
from tests.e2e.stack import START_TIMEOUT_S, Services


async def test_a_service_with_http_alone(services: Services) -> None:
    """It says where it listens, answers there, and ends in good order at SIGTERM."""
    path = services.folder / "only.sock"
    listeners = [
        {"name": "tcp", "address": "127.0.0.1:0", "protocol": "HTTP"},
        {"name": "unix", "address": f"unix:{path}", "protocol": "HTTP", "mode": "0660"},
    ]
    config = services.configure("only", [], listeners=listeners)
    log = services.folder / "only.log"
    process = await ChildProcess.start("mixer", [*SERVE, str(config)], log)
    try:

        async def listens() -> bool:
            return f"unix:{path}\n" in process.log_text()

        await process.until(listens, START_TIMEOUT_S)
        text = process.log_text()
        said = re.search(r"^serving HTTP on (127\.0\.0\.1:\d+), unix:", text, re.MULTILINE)
        assert said is not None, text
        assert "Authorization" not in text
        assert (await get(said[1], "/healthz")).status == 200
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
    finally:
        status = await process.stop(30.0)
    assert (status, path.exists()) == (0, False)


@pytest.mark.parametrize("name", ["tcp", "unix"])
async def test_an_address_in_use(services: Services, name: str) -> None:
    """A second service at the same address says so, and does not start."""
    path = services.folder / f"{name}.sock"
    async with await asyncio.start_unix_server(lambda _r, w: w.close(), path) as unix:
        async with await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0) as tcp:
            port = tcp.sockets[0].getsockname()[1]
            address = f"unix:{path}" if name == "unix" else f"127.0.0.1:{port}"
            listener = {"name": "web", "address": address, "protocol": "HTTP"}
            config = services.configure(name, [], listeners=[listener])
            log = services.folder / f"{name}.log"
            process = await ChildProcess.start("mixer", [*SERVE, str(config)], log)
            try:
                assert await process.wait(START_TIMEOUT_S) == 1
            finally:
                await process.stop()
            assert f"mixer serve: listener web: {address}: " in process.log_text()
        assert unix.is_serving()
