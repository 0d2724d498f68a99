"""What is known of a bucket's limit, from the decision about it."""

from dataclasses import dataclass
from enum import Enum, auto

from google.rpc import code_pb2

from mixer.engine import Decision, QuotaStanding, Verdict


class Rule(Enum):
    """What holds for a bucket."""

    UNLIMITED = auto()
    SHARED = auto()
    """Its limit is divided among those who asked."""
    EXHAUSTED = auto()
    """Nothing is left until the window ends."""
    FAILED = auto()
    """Nobody could tell: nothing may pass."""


RETRY_S = 5
"""Seconds after which an adapter that failed is asked again."""
_LEAST_WAIT_S = 1
_UNTOLD = QuotaStanding()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a bucket stands.

    Attributes:
        rule: What holds.
        limit: Requests in a window; 0 where there is no limit.
        window: Nanoseconds.
        ask_again: Seconds after which it must be asked anew; None where reports will do.
        is_served: Whether there is an adapter for it.
    """

    rule: Rule
    limit: int = 0
    window: int = 0
    ask_again: int | None = None
    is_served: bool = True


UNLIMITED = Standing(Rule.UNLIMITED)
UNSERVED = Standing(Rule.UNLIMITED, is_served=False)
FAILED = Standing(Rule.FAILED, ask_again=RETRY_S)


def standing_of(decision: Decision) -> Standing:
    """What a decision says of a bucket; what is no clear answer denies."""
    if decision.verdict is not Verdict.ALLOW:
        return UNSERVED if decision.code == code_pb2.NOT_FOUND else FAILED
    if decision.granted is None:
        return FAILED if decision.adapters else UNLIMITED
    told = decision.quota or _UNTOLD
    if told.limit is None:
        return UNLIMITED
    if not told.window:
        return FAILED
    if told.remaining == 0:
        wait = max(_LEAST_WAIT_S, told.reset or 0)
        return Standing(Rule.EXHAUSTED, told.limit, told.window, wait)
    return Standing(Rule.SHARED, told.limit, told.window)
