"""The two placements of one configuration."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio

from mixer.client import ClientSettings
from mixer.config import Configuration
from mixer.embedded import EmbeddedDecider
from mixer.engine import Engine
from mixer.middleware import Decider, ServiceDecider
from mixer.transport import mixer_v1

PLACEMENTS = ("service", "embedded")
TIMEOUT_S = 20.0


def settings(address: str, **more: Any) -> ClientSettings:
    """For a machine that is busy."""
    return ClientSettings(address=address, **({"timeout": TIMEOUT_S} | more))


@asynccontextmanager
async def serving(engine: Engine) -> AsyncIterator[str]:
    """The address of a service with an engine."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((mixer_v1.handler(engine),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def placed(
    placement: str, configuration: Configuration, **more: Any
) -> AsyncIterator[Decider]:
    """A decider; the service runs in this process as well, behind a real connection."""
    if placement == "embedded":
        yield EmbeddedDecider(configuration)
        return
    with Engine(configuration) as engine:
        async with serving(engine) as address:
            yield ServiceDecider(settings(address), **more)
