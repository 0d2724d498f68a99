"""CPU of a check without any transport: bytes in, bytes out, in this process."""

import statistics
import time
from collections.abc import Sequence
from itertools import cycle, islice

from mixer.api import ext_authz
from mixer.config import loads
from mixer.engine import Engine, Request
from tests.benchmarks.variants import Variant

_ROUNDS = 7


def measure(variants: Sequence[Variant], checks: int) -> list[tuple[str, float]]:
    """The median microseconds for each variant, in turns."""
    engines = [Engine(loads(v.documents("127.0.0.1:0"))) for v in variants]
    figures: list[list[float]] = [[] for _ in variants]
    for number in range(_ROUNDS + 1):
        for engine, variant, figure in zip(engines, variants, figures, strict=True):
            spent = _ask(engine, variant.requests(), checks)
            if number:
                figure.append(spent / checks * 1e6)
    for engine in engines:
        engine.close()
    return [(v.name, statistics.median(f)) for v, f in zip(variants, figures, strict=True)]


def _ask(engine: Engine, requests: list[bytes], checks: int) -> float:
    began = time.process_time()
    for data in islice(cycle(requests), checks):
        request = ext_authz.decode(data)
        assert isinstance(request, Request)
        ext_authz.encode(engine.decide(request))
    return time.process_time() - began
