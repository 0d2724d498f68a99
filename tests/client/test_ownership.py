"""Clients and the process that they are made in: its forks, and its end."""

import subprocess
import sys

import pytest

from tests.client.scripted import ScriptedServer

_START = """
import asyncio, os, sys
from mixer.client import AsyncMixerClient, ClientSettings, MixerClient, ReportSettings
settings = ClientSettings(address=sys.argv[1], report=ReportSettings(interval=60.0))
"""

_FORKS = {
    "sync": """
client = MixerClient(settings)
client.report({"source.name": "parent"})
child = os.fork()
for call in (client.check, client.report) if not child else ():
    try:
        call({"source.name": "child"})
    except RuntimeError as error:
        print(error, flush=True)
if child:
    os.waitpid(child, 0)
print("lost", client.close(), flush=True)
""",
    "async": """
async def main():
    client = AsyncMixerClient(settings)
    await client.report({"source.name": "parent"})
    child = os.fork()
    for call in (client.check, client.report) if not child else ():
        try:
            await call({"source.name": "child"})
        except RuntimeError as error:
            print(error, flush=True)
    if not child:
        print("lost", await client.close(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("lost", await client.close(), flush=True)
asyncio.run(main())
""",
}

_UNCLOSED = {
    "sync": """
client = MixerClient(settings)
for _ in range(250):
    client.report({"source.name": "a"})
""",
    "async": """
async def main():
    client = AsyncMixerClient(settings)
    for _ in range(250):
        await client.report({"source.name": "a"})
asyncio.run(main())
""",
}


def _run(code: str, address: str) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-W", "ignore", "-c", _START + code, address]
    return subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)


@pytest.mark.parametrize("kind", _FORKS)
def test_a_client_is_of_no_use_in_a_forked_process(kind: str) -> None:
    """It says so, and what the parent accepted is delivered once, by the parent."""
    with ScriptedServer() as server:
        told = _run(_FORKS[kind], server.address).stdout.splitlines()
    refusal = "the client was made before this process was forked: make one in each process"
    assert told == [refusal, refusal, "lost 0", "lost 0"]
    assert server.records() == [{"source.name": "parent"}]
    assert not server.checks


@pytest.mark.parametrize("kind", _UNCLOSED)
def test_reports_of_a_client_that_is_not_closed_are_not_lost_silently(kind: str) -> None:
    """The process ends at once, and says how many records were not delivered."""
    with ScriptedServer() as gone:
        address = gone.address
    told = _run(_UNCLOSED[kind], address).stderr
    assert "reports given up: 250 records, 250 in all: the client was not closed" in told
