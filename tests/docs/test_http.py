"""The page about HTTP tells the truth."""

import asyncio
import re
from pathlib import Path

from mixer.config import loads
from mixer.engine import Engine
from mixer.transport.http_endpoints import ENDPOINTS, HEALTH
from mixer.transport.http_server import HttpServer

_PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", _PAGE, flags=re.DOTALL)


async def test_the_example() -> None:
    """The call that is shown gets the answer that is shown, with the configuration above it."""
    (text,), (exchange,) = _blocks("yaml"), _blocks("http")
    sent, _, shown = exchange.partition("\n\n")
    configuration = loads(text.replace("127.0.0.1:9001", "127.0.0.1:0"))
    (listener,) = configuration.mixer.listeners
    with Engine(configuration) as engine:
        async with HttpServer(engine, listener, configuration.mixer) as server:
            host, _, port = server.address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent.replace("\n", "\r\n").encode() + b"\r\n\r\n")
            async with asyncio.timeout(30):
                answer = await reader.readuntil(b"\r\n\r\n")
            writer.close()
    assert answer.decode().split() == shown.split()


def test_the_paths() -> None:
    """Every path is in the table, and no other one."""
    table = _PAGE.partition("## Paths")[2].partition("The tests")[0]
    own = {one.path + ("/..." if one.takes_below else "") for one in ENDPOINTS}
    assert set(re.findall(r"^\| `([^`]+)`", table, flags=re.MULTILINE)) == {*own, HEALTH}
