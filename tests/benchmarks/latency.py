"""Latency through the real Envoy: without a filter, asking the service, and in the proxy."""

import statistics
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from mixer.demo.configuration import ASKED, IN_PROXY, PLAIN
from mixer.demo.credentials import Credentials
from mixer.demo.stack import running_stack
from mixer.study.client import HttpConnection, Request

_WARM_UP = 50


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one request at one listener.

    Attributes:
        request: What was sent.
        listener: ``plain``, ``asked`` or ``in-proxy``.
        p50: Microseconds.
        p99: Microseconds.
    """

    request: str
    listener: str
    p50: float
    p99: float


async def measure(
    credentials: Credentials, exchanges: int, progress: Callable[[str], None]
) -> list[Latency]:
    """One connection to each listener, in turns."""
    requests = {
        "API key": Request("GET", "/orders", (("x-api-key", credentials.api_key),)),
        "ES256 token": Request(
            "GET", "/orders", (("authorization", f"Bearer {credentials.token}"),)
        ),
    }
    async with running_stack(credentials, progress) as stack, AsyncExitStack() as opened:
        connections = {
            name: await opened.enter_async_context(HttpConnection(stack.envoy.address(name)))
            for name in (PLAIN, ASKED, IN_PROXY)
        }
        return [
            latency
            for name, request in requests.items()
            for latency in await _measure(name, request, connections, exchanges)
        ]


async def _measure(
    name: str, request: Request, connections: dict[str, HttpConnection], exchanges: int
) -> list[Latency]:
    times: dict[str, list[float]] = {listener: [] for listener in connections}
    for number in range(exchanges + _WARM_UP):
        for listener, connection in connections.items():
            began = time.perf_counter()
            response = await connection.send(request)
            took = time.perf_counter() - began
            assert response.status == 200, response
            if number >= _WARM_UP:
                times[listener].append(took * 1e6)
    return [
        Latency(name, listener, statistics.median(t), statistics.quantiles(t, n=100)[98])
        for listener, t in times.items()
    ]
