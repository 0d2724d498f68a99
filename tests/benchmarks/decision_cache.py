"""CPU of an answer from the decision cache, against making it: bytes in, bytes out."""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

from mixer.api import ext_authz
from mixer.config import loads
from mixer.engine import Engine, Request
from tests.benchmarks.variants import Variant

_ROUNDS = 5
_VALIDITY = {"validity": {"duration_seconds": 3600}}


@dataclass(frozen=True, slots=True)
class CacheCost:
    """Microseconds of a check.

    Attributes:
        name: What is asked.
        made: Without the cache.
        used: From the cache.
        hits: Share of the checks that were answered from it, for the latter.
    """

    name: str
    made: float
    used: float
    hits: float


def measure(variants: Sequence[Variant], checks: int) -> list[CacheCost]:
    """What auth costs with and without a validity, in turns."""
    return [_compare(v, checks) for v in variants if v.name.startswith("auth")]


def _compare(variant: Variant, checks: int) -> CacheCost:
    assert variant.plugin is not None
    configured = {**variant.plugin, "pluginConfig": variant.plugin["pluginConfig"] | _VALIDITY}
    kept = replace(variant, plugin=configured)
    with _engine(variant) as plain, _engine(kept) as cached:
        figures: tuple[list[float], list[float]] = ([], [])
        requests = variant.requests()
        for data in (*requests, *requests):
            _ask(cached, [data], 1)
        before = cached.cache.stats.hits
        for _ in range(_ROUNDS):
            for engine, figure in zip((plain, cached), figures, strict=True):
                figure.append(_ask(engine, requests, checks) / checks * 1e6)
        share = (cached.cache.stats.hits - before) / (_ROUNDS * checks)
    return CacheCost(variant.name, *map(statistics.median, figures), hits=share)


def _engine(variant: Variant) -> Engine:
    return Engine(loads(variant.documents("127.0.0.1:0")))


def _ask(engine: Engine, requests: list[bytes], checks: int) -> float:
    asked: Iterator[bytes] = islice(cycle(requests), checks)
    began = time.process_time()
    for data in asked:
        request = ext_authz.decode(data)
        assert isinstance(request, Request)
        ext_authz.encode(engine.decide(request))
    return time.process_time() - began
