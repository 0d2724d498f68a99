"""Requests of the rate limit service, and an engine of a few lines that answers them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from envoy.service.ratelimit.v3 import rls_pb2
from google.protobuf.internal.encoder import TagBytes
from google.protobuf.internal.wire_format import WIRETYPE_VARINT

from mixer.api.rate_limit import Answer, Asked, answering
from mixer.engine import Decision, QuotaStanding, Request, Verdict

MINUTE = 60 * 10**9
Pairs = tuple[tuple[str, str], ...]


def request_bytes(
    *descriptors: Pairs, domain: str = "edge", hits: int = 0, **own_hits: int
) -> bytes:
    """A RateLimitRequest.

    Args:
        descriptors: Their entries.
        domain: Of the request.
        hits: ``hits_addend`` of the request.
        own_hits: ``hits_addend`` of descriptors, by ``d0``, ``d1`` and so on.
    """
    message = rls_pb2.RateLimitRequest(domain=domain, hits_addend=hits)
    for at, pairs in enumerate(descriptors):
        descriptor = message.descriptors.add()
        for key, value in pairs:
            descriptor.entries.add(key=key, value=value)
        if f"d{at}" in own_hits:
            descriptor.hits_addend.value = own_hits[f"d{at}"]
    return bytes(message.SerializeToString())


def negative(descriptor: Any) -> None:
    """Set what newer proxies have for hits that come back."""
    descriptor.MergeFromString(TagBytes(4, WIRETYPE_VARINT) + b"\x01")


@dataclass
class Limits:
    """An engine with a limit for each descriptor; None is none.

    Attributes:
        limits: By the first value of a descriptor.
        asked: The amounts that it was asked for, in order.
    """

    limits: dict[str, int | None]
    asked: list[tuple[str, int]] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)

    def allocate(self, request: Request, quota: str) -> Decision:
        told: Any = request.attributes.get("mixer.rate_limit")
        amount = int(request.attributes.get("mixer.quota")["amount"])  # type: ignore[index, call-overload]
        name = next(iter(told["descriptor"].values()))
        self.asked.append((name, amount))
        limit = self.limits[name]
        if limit is None:
            return Decision(Verdict.ALLOW, adapters=("q",), adapter="q", granted=max(0, amount))
        used = self.used.get(name, 0)
        granted = amount if used + amount <= limit else 0
        self.used[name] = used = max(0, used + granted)
        standing = QuotaStanding(limit, limit - used, 30, MINUTE, name)
        return Decision(
            Verdict.ALLOW, adapters=("q",), adapter="q", granted=max(0, granted), quota=standing
        )


def answer(asked: Asked, allocate: Callable[[Request, str], Decision]) -> Answer:
    """Drive the questions of a request."""
    steps = answering(asked)
    question = next(steps)
    while True:
        try:
            question = steps.send(allocate(question.request, question.quota))
        except StopIteration as end:
            found: Answer = end.value
            return found
