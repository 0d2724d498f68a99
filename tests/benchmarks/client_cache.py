"""Time of a check that `mixer.client` answers from its cache, and of what it is made of."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from mixer.attributes import Timestamp
from mixer.client import ClientSettings, MixerClient
from tests.client.answers import ABSENCE, EXACT, answer, exact
from tests.client.scripted import ScriptedServer

_ROUNDS = 7
_REQUESTS = 1000

_REFERENCES = [
    *exact("destination.service.host", "source.namespace", "request.method", "request.path"),
    ("request.headers", "x-tenant", EXACT),
    ("request.headers", "authorization", EXACT),
    ("request.headers", "x-forwarded-for", ABSENCE),
    ("request.auth.principal", None, ABSENCE),
]


@dataclass(frozen=True, slots=True)
class CacheCost:
    """One way to find an answer.

    Attributes:
        name: Which.
        us: Microseconds of CPU, the median of several rounds.
    """

    name: str
    us: float


def measure(checks: int) -> list[CacheCost]:
    """A bare look-up in a dict, which is the baseline, and the client's.

    Args:
        checks: In each round.
    """
    requests = [_request(number) for number in range(_REQUESTS)]
    table = {request["request.path"]: True for request in requests}
    server = ScriptedServer(lambda _: answer(_REFERENCES))
    with server, MixerClient(ClientSettings(address=server.address)) as client:
        for request in requests:
            client.check(request)
        again = [_request(number) for number in range(_REQUESTS)]
        assert all(client.check(request).from_cache for request in again)
        return [
            CacheCost(
                "a look-up in a dict", _cost(lambda r: table[r["request.path"]], again, checks)
            ),
            CacheCost("MixerClient.check", _cost(client.check, again, checks)),
        ]


def _cost(ask: Callable[[dict[str, Any]], Any], requests: list[Any], checks: int) -> float:
    figures = []
    for _ in range(_ROUNDS):
        asked = list(islice(cycle(requests), checks))
        began = time.process_time()
        for request in asked:
            ask(request)
        figures.append((time.process_time() - began) / checks * 1e6)
    return statistics.median(figures)


def _request(number: int) -> dict[str, Any]:
    """What an Istio proxy tells of a request: 30 attributes, with its headers in one of them."""
    path = f"/orders/{number}"
    headers = {
        ":authority": "orders.shop.example",
        ":method": "GET",
        ":path": path,
        "accept": "*/*",
        "authorization": f"Bearer token-{number % 50}",
        "user-agent": "curl/8.5",
        "x-request-id": f"request-{number}",
        "x-tenant": f"tenant-{number % 10}",
    }
    texts = {
        f"{side}.{name}": f"{side} {name}"
        for side in ("source", "destination")
        for name in ("namespace", "name", "uid", "principal", "owner", "workload.name")
    }
    return texts | {
        "connection.mtls": True,
        "context.protocol": "http",
        "context.reporter.kind": "inbound",
        "context.time": Timestamp(number),
        "destination.ip": b"\x0a\0\0\x01",
        "destination.port": 8080,
        "destination.service.host": "orders.shop.svc.cluster.local",
        "destination.service.name": "orders",
        "destination.service.namespace": "shop",
        "request.headers": headers,
        "request.host": "orders.shop.example",
        "request.id": f"request-{number}",
        "request.method": "GET",
        "request.path": path,
        "request.scheme": "http",
        "request.size": 0,
        "request.time": Timestamp(number),
        "source.ip": b"\x0a\0\0\x02",
    }
