"""The page about AuthZEN tells the truth."""

import asyncio
import re
from pathlib import Path

from mixer.api.authzen import ENDPOINTS
from mixer.api.authzen.batch import MOST_EVALUATIONS
from mixer.api.authzen.evaluation import MOST_TEXT
from mixer.api.authzen.strict_json import MOST_DEPTH, MOST_PARTS
from mixer.config import loads
from mixer.engine import Engine
from mixer.transport.http_server import HttpServer

_PAGE = (Path(__file__).parents[2] / "docs" / "authzen.md").read_text()


def _block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", _PAGE, flags=re.DOTALL)
    return str(found)


async def test_the_example() -> None:
    """The call that is shown gets the answer that is shown, with the configuration above it."""
    sent, shown = _block("http").split("\n\nHTTP/1.1")
    head, _, body = sent.partition("\n\n")
    assert f"Content-Length: {len(body)}" in head, len(body)
    configuration = loads(_block("yaml").replace("127.0.0.1:9001", "127.0.0.1:0"))
    (listener,) = configuration.mixer.listeners
    with Engine(configuration) as engine:
        async with HttpServer(engine, listener, configuration.mixer) as server:
            host, _, port = server.address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode())
            async with asyncio.timeout(30):
                answer = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", answer)
                assert length is not None
                answer += await reader.readexactly(int(length[1]))
            writer.close()
    assert answer.decode().split() == f"HTTP/1.1{shown}".split()


def test_the_paths() -> None:
    """Every path is in the table, and no other one."""
    table = _PAGE.partition("## Paths")[2].partition("##")[0]
    found = set(re.findall(r"^\| `(\w+) ([^`]+)`", table, flags=re.MULTILINE))
    assert found == {(next(iter(one.methods or ())), one.path) for one in ENDPOINTS}


def test_the_bounds() -> None:
    """Those of the code."""
    assert f"up to {MOST_EVALUATIONS}," in _PAGE
    assert f"more than {MOST_DEPTH} levels or {MOST_PARTS:,} commas" in _PAGE
    assert f"more than {MOST_TEXT} characters" in _PAGE
