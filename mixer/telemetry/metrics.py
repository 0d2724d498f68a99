"""All metrics, read in pieces: what reads them has to let requests go on in between."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from mixer.engine import Engine
from mixer.shedding import Shedder
from mixer.telemetry.access import Access
from mixer.telemetry.calls import Calls
from mixer.telemetry.family import Family, Kind
from mixer.telemetry.modules import HISTOGRAM_SUFFIXES, ModuleMetrics
from mixer.telemetry.observed import Observed, SpanCounts
from mixer.telemetry.own import OWN

_NAMED_AT_ONCE = 250
_READ_AT_ONCE = 25
"""Samples; a large family is read in parts of more."""
_HISTOGRAMS_AT_ONCE = 12


class Metrics:
    """The metrics of one engine; belongs to its thread.

    Args:
        engine: Counts.
        shedder: Counts what is refused; None where nothing is.
        access: Knows the certificates of listeners, and counts who may not ask.
        calls: What front ends count.
        spans: What became of spans.
    """

    def __init__(
        self,
        engine: Engine,
        shedder: Shedder | None = None,
        access: Access | None = None,
        calls: Calls | None = None,
        spans: SpanCounts | None = None,
    ) -> None:
        self._modules = ModuleMetrics(engine.services.metrics, _reserved())
        self._observed = Observed(engine, self._modules, shedder, access, calls, spans)

    def pieces(self) -> Iterator[list[Family]]:
        """Every family once, some at a time, at most a few milliseconds' work for each step.

        A step reads what is true when it is taken. A family that comes up meanwhile is left for
        the next time.
        """
        while self._modules.take_over(_NAMED_AT_ONCE):
            yield []
        last = len(self._modules)
        for first in range(0, len(OWN), _READ_AT_ONCE):
            own = OWN[first : first + _READ_AT_ONCE]
            families = [one.family(self._observed) for one in own]
            yield [one for one in families if one.kind is not Kind.HISTOGRAM]
            for one in families:
                if one.kind is Kind.HISTOGRAM:
                    yield from _split(one)
        yield from _grouped(chain.from_iterable(map(self._modules.parts, range(last))))

    def is_taken(self, name: str) -> bool:
        """Whether a sample of any family has the name."""
        return name in self._modules.taken


def _reserved() -> Iterator[str]:
    """Names of samples that are the service's own."""
    for one in OWN:
        suffixes = HISTOGRAM_SUFFIXES if one.kind is Kind.HISTOGRAM else ("",)
        yield from (one.name + suffix for suffix in suffixes)


def _split(family: Family) -> Iterator[list[Family]]:
    """A family of histograms, of which each is twenty lines, in parts."""
    for first in range(0, max(1, len(family.samples)), _HISTOGRAMS_AT_ONCE):
        some = family.samples[first : first + _HISTOGRAMS_AT_ONCE]
        yield [replace(family, samples=some, continued=first > 0)]


def _grouped(parts: Iterable[Family]) -> Iterator[list[Family]]:
    piece: list[Family] = []
    for part in parts:
        piece.append(part)
        if sum(len(one.samples) for one in piece) >= _READ_AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece
