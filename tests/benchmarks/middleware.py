"""CPU that an application in Python spends on a request: alone, asking a service, or deciding here.

The application is called as a server calls it. The service is a process of its own, whose CPU does
not count: `server_cpu` has that.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mixer.client import CheckCacheSettings, ClientSettings
from mixer.config import Configuration, loads
from mixer.embedded import EmbeddedDecider
from mixer.middleware import Decider, ServiceDecider
from mixer.middleware.asgi import MixerMiddleware
from mixer.study.service import ServiceProcess
from tests.benchmarks.variants import Variant
from tests.middleware.asgi import Reply, lifespan, scope

_ROUNDS = 5
_VALIDITY = {"validity": {"duration_seconds": 3600}}


@dataclass(slots=True)
class MiddlewareCost:
    """One way to decide.

    Attributes:
        name: Which.
        cpu_us: Microseconds of CPU for a request, one figure for each round.
    """

    name: str
    cpu_us: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.cpu_us)


async def measure(variants: Sequence[Variant], requests: int) -> list[MiddlewareCost]:
    """Call each application in turns, the one without a middleware first.

    Args:
        variants: What to compare; those with an empty module and with an API key are taken.
        requests: In each round.
    """
    empty, key = variants[1], variants[3]
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mixer-bench-")))
        socket = f"unix:{folder}/s.sock"
        file = folder / "mixer.yaml"
        file.write_text(_kept(key).documents(socket))
        await running.enter_async_context(ServiceProcess(file, socket, folder / "log"))
        deciders: dict[str, Decider | None] = {
            "Starlette alone": None,
            "asks: answer kept": _asking(socket),
            "asks: answer kept, and reports": _asking(socket, reports=True),
            "asks each time": _asking(socket, keeps=False),
            "decides here: empty module": EmbeddedDecider(_configuration(empty)),
            "decides here: auth, API key": EmbeddedDecider(_configuration(key)),
        }
        apps = {}
        for name, decider in deciders.items():
            apps[name] = app = _application(decider)
            await running.enter_async_context(lifespan(app))
        return await _compare(apps, key.headers[0], requests)


def _kept(variant: Variant) -> Variant:
    assert variant.plugin is not None
    configuration = variant.plugin["pluginConfig"] | _VALIDITY
    return Variant(variant.name, {**variant.plugin, "pluginConfig": configuration})


def _configuration(variant: Variant) -> Configuration:
    return loads(variant.documents("127.0.0.1:0"))


def _asking(address: str, *, keeps: bool = True, reports: bool = False) -> ServiceDecider:
    cache = CheckCacheSettings(enabled=keeps)
    settings = ClientSettings(address=address, timeout=30.0, check_cache=cache)
    return ServiceDecider(settings, reports=reports)


def _application(decider: Decider | None) -> Any:
    async def orders(_: Request) -> PlainTextResponse:
        return PlainTextResponse("orders")

    app = Starlette(routes=[Route("/orders", orders)])
    if decider is not None:
        app.add_middleware(MixerMiddleware, decider=decider)
    return app


async def _compare(
    apps: dict[str, Any], headers: dict[str, str], requests: int
) -> list[MiddlewareCost]:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    costs = {name: MiddlewareCost(name) for name in apps}
    for number in range(_ROUNDS + 1):
        for name, app in apps.items():
            spent = await _spent(app, pairs, requests)
            if number:
                costs[name].cpu_us.append(spent / requests * 1e6)
    return list(costs.values())


async def _spent(app: Any, headers: list[tuple[bytes, bytes]], requests: int) -> float:
    began = time.process_time()
    for _ in range(requests):
        reply = Reply()
        await app(scope("/orders", query=b"page=2", headers=headers), _nothing, _taking(reply))
        assert reply.status == 200, reply
    await asyncio.sleep(0)
    return time.process_time() - began


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def _taking(reply: Reply) -> Any:
    async def send(message: Any) -> None:
        reply.take(message)

    return send
