"""What the engine is asked for a request, and what comes of it.

Every descriptor must pass, and where one refuses, nothing is taken of the others: each is looked
at first. envoyproxy/ratelimit takes of all; then a client that keeps knocking at a limit of a
second uses up its limit of a day with requests that were refused. What others take between the
look and the taking can still refuse a descriptor; what was taken before it is not given back then,
since that could land in the next window: never is more granted than there is.
"""

from collections.abc import Generator
from dataclasses import dataclass

from mixer.api.rate_limit.request import Asked, Descriptor
from mixer.api.rate_limit.status import Status, status_of
from mixer.attributes import RATE_LIMIT_RESOLVERS, AttributeBag, HeaderMap, RateLimitSource
from mixer.engine import Decision, Request


@dataclass(frozen=True, slots=True)
class Question:
    """What `Engine.allocate` is asked.

    Attributes:
        request: For the engine.
        quota: The domain.
    """

    request: Request
    quota: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request.

    Attributes:
        statuses: One for each descriptor, in order.
    """

    statuses: tuple[Status, ...]

    @property
    def is_over_limit(self) -> bool:
        """Whether a descriptor refuses the request."""
        return any(one.is_over_limit for one in self.statuses)


def answering(asked: Asked) -> Generator[Question, Decision, Answer]:
    """Give each question, take its decision, and return the answer."""
    statuses: list[Status] = []
    if len(asked.descriptors) > 1:
        for descriptor in asked.descriptors:
            decision = yield _question(asked, descriptor, 0)
            statuses.append(status_of(decision, 0, descriptor.hits))
        if any(one.is_over_limit for one in statuses):
            return Answer(tuple(statuses))
    for at, descriptor in enumerate(asked.descriptors):
        if statuses and (descriptor.hits == 0 or not statuses[at].is_served):
            continue
        decision = yield _question(asked, descriptor, descriptor.hits)
        statuses[at : at + 1] = [status_of(decision, descriptor.hits, descriptor.hits)]
        if statuses[at].is_over_limit:
            break
    return Answer(tuple(statuses))


def _question(asked: Asked, descriptor: Descriptor, amount: int) -> Question:
    rate_limit: dict[str, object] = {"domain": asked.domain, "descriptor": descriptor.entries}
    limit = descriptor.limit
    if limit is not None:
        rate_limit["limit"] = {"requests_per_unit": limit.requests_per_unit, "unit": limit.unit}
    quota = {"name": asked.domain, "amount": amount, "best_effort": False}
    source = RateLimitSource(quota, rate_limit, asked.caller)
    request = Request(HeaderMap.of(), AttributeBag(RATE_LIMIT_RESOLVERS, source))
    return Question(request, asked.domain)
