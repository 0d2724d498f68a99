"""An application behind a real server of ASGI."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

START_S = 120.0


@asynccontextmanager
async def served(app: Any, **settings: Any) -> AsyncIterator[str]:
    """Where uvicorn serves an application, its lifespan included."""
    config = uvicorn.Config(app, port=0, lifespan="on", log_config=None, **settings)
    server = uvicorn.Server(config)
    running = asyncio.ensure_future(server.serve())
    try:
        async with asyncio.timeout(START_S):
            while not server.started:
                assert not running.done(), "the application does not start"
                await asyncio.sleep(0.01)
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
