"""Which decisions are told."""

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType

from mixer.engine import Decision, Request, Verdict
from mixer.engine.story import Wanted

Draw = Callable[[], float]
"""A number from 0 up to 1, another one each time."""


class Sampling:
    """Draws lots.

    Args:
        story: Percentage of the requests whose story is kept.
        shares: Percentage of the decisions that are told, by verdict.
        draw: For tests.
    """

    def __init__(
        self, story: float, shares: Mapping[Verdict, float], draw: Draw = random.random
    ) -> None:
        self._story = story / 100
        self._shares = MappingProxyType({v: share / 100 for v, share in shares.items()})
        self._draw = draw

    def sampler(self, _request: Request) -> Wanted:
        """A `mixer.engine.story.Sampler`."""
        return Wanted.LOG if self._story and self._draw() < self._story else Wanted.NOTHING

    def wants(self, decision: Decision) -> bool:
        """Whether a decision is told; one whose story was kept for the log always is."""
        if decision.story is not None and Wanted.LOG in decision.story.wanted:
            return True
        share = self._shares[decision.verdict]
        return share > 0 and self._draw() < share
