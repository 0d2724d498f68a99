"""From a decision about one descriptor to its status."""

from collections.abc import Iterable
from dataclasses import dataclass

from google.rpc import code_pb2

from mixer.engine import Decision, QuotaStanding, Verdict

_UNTOLD = QuotaStanding()


@dataclass(frozen=True, slots=True)
class Status:
    """What came of one descriptor.

    Attributes:
        is_over_limit: Whether it refuses the request.
        standing: How its limit stands.
        adapter: Which one decided; empty where none did.
        reason: Why it refuses; empty where it does not.
        is_served: Whether there is an adapter for it.
    """

    is_over_limit: bool = False
    standing: QuotaStanding = _UNTOLD
    adapter: str = ""
    reason: str = ""
    is_served: bool = True


def status_of(decision: Decision, asked: int, hits: int) -> Status:
    """What a decision says of a descriptor; what is no clear yes is OVER_LIMIT.

    Args:
        decision: About an amount of its limit.
        asked: The amount.
        hits: The amount that the request is about, where it was only looked whether there is that.
    """
    if decision.verdict is not Verdict.ALLOW:
        return _not_allowed(decision)
    standing = decision.quota or _UNTOLD
    if decision.granted is None:
        # One that ran must say what it grants; where none ran, there is no limit.
        reason = "no adapter said how much it grants" if decision.adapters else ""
    elif decision.granted < asked or _lacks(standing, hits - asked):
        reason = "exhausted"
    else:
        reason = ""
    return Status(bool(reason), standing, decision.adapter, reason)


def _not_allowed(decision: Decision) -> Status:
    if decision.code == code_pb2.NOT_FOUND:  # nothing is configured: it is not limited
        return Status(adapter=decision.adapter, is_served=False)
    reason = decision.reason or decision.verdict
    return Status(is_over_limit=True, adapter=decision.adapter, reason=reason)


def _lacks(standing: QuotaStanding, hits: int) -> bool:
    return standing.remaining is not None and hits > standing.remaining


def summary(statuses: Iterable[Status]) -> Status:
    """The one that decides: the first that refuses, else the last."""
    found = Status()
    for found in statuses:
        if found.is_over_limit:
            break
    return found
