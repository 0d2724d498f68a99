"""What the engine is asked about a bucket."""

from dataclasses import dataclass

from mixer.api.rlqs.reports import Bucket
from mixer.attributes import (
    RATE_LIMIT_RESOLVERS,
    AttributeBag,
    Caller,
    Entries,
    HeaderMap,
    RateLimitSource,
)
from mixer.engine import Request


@dataclass(frozen=True, slots=True)
class Question:
    """How a bucket stands, after an amount was taken of it.

    Attributes:
        bucket: Which.
        amount: Requests that passed already; what there is of it is taken.
        caller: Who reports them.
    """

    bucket: Bucket
    amount: int
    caller: Caller

    @property
    def quota(self) -> str:
        """What `mixer.engine.Engine.allocate` is told."""
        return self.bucket.domain

    def request(self) -> Request:
        """For the engine."""
        domain = self.bucket.domain
        quota = {"name": domain, "amount": self.amount, "best_effort": True}
        rate_limit = {"domain": domain, "bucket": Entries(self.bucket.entries)}
        source = RateLimitSource(quota, rate_limit, lambda: self.caller)
        return Request(HeaderMap.of(), AttributeBag(RATE_LIMIT_RESOLVERS, source))
