"""Load shedding at the front ends: from the configuration to the answers."""

import math
from collections.abc import Awaitable, Callable
from functools import lru_cache

import grpc
import grpc.aio

from mixer.api import ext_authz
from mixer.config import LoadShedding, RateShedding, SheddingMode
from mixer.shedding import Bounds, Gate, RateBound, Reason, Refusal, Shedder, WaitBound

Context = grpc.aio.ServicerContext[bytes, bytes]
Serve = Callable[[bytes, Context], Awaitable[bytes]]
Refuse = Callable[[Context, Refusal], Awaitable[bytes]]

PUSHBACK = "grpc-retry-pushback-ms"
"""Trailer that tells a client when to try again (gRPC's proposal A6)."""

_UNAVAILABLE = 503


def shedder_for(settings: LoadShedding) -> Shedder | None:
    """What the configuration asks for; None where it asks for nothing."""
    if settings.mode is SheddingMode.DISABLED:
        return None
    latency, rate = settings.latency, settings.rate
    return Shedder(
        Bounds(
            enforced=settings.mode is SheddingMode.ENFORCE,
            max_concurrent=settings.max_concurrent,
            wait=WaitBound(latency.threshold, latency.window) if latency else None,
            rate=_rate(rate) if rate else None,
        )
    )


def _rate(settings: RateShedding) -> RateBound:
    return RateBound(settings.requests_per_second, settings.burst or settings.requests_per_second)


def shedding(gate: Gate | None, serve: Serve, refuse: Refuse) -> Serve:
    """Serve calls of one unit that the gate admits; without a gate, all of them.

    Args:
        gate: Is asked before the call is read.
        serve: For those that are admitted.
        refuse: For the others.
    """
    if gate is None:
        return serve

    async def admit_and_serve(data: bytes, context: Context) -> bytes:
        ticket = gate.admit()
        if isinstance(ticket, Refusal):
            return await refuse(context, ticket)
        with ticket:
            return await serve(data, context)

    return admit_and_serve


async def deny_overloaded(_context: Context, refusal: Refusal) -> bytes:
    """The answer to a check of ext_authz: a denial.

    No gRPC status, which a proxy that is configured to fail open takes for an allow.
    """
    return _denial(refusal.reason, math.ceil(refusal.retry_after))


@lru_cache(maxsize=512)
def _denial(reason: Reason, seconds: int) -> bytes:
    retry = (b"retry-after", str(seconds).encode())
    return ext_authz.refuse(f"overload_{reason}", status=_UNAVAILABLE, headers=(retry,))


async def abort_overloaded(context: Context, refusal: Refusal) -> bytes:
    """End a call of Mixer v1 in the way that its clients know to try again.

    UNAVAILABLE, as Mixer itself: it is what gRPC's retry policies and Envoy's ``retry_on:
    unavailable`` repeat. RESOURCE_EXHAUSTED may also mean that a message is too large, which no
    repetition makes better. To the proxy of Istio 1.x every gRPC status is a failed transport,
    about which its ``network_fail_policy`` decides.
    """
    milliseconds = str(math.ceil(refusal.retry_after * 1000))
    await context.abort(
        grpc.StatusCode.UNAVAILABLE,
        f"overloaded ({refusal.reason}): try again later",
        trailing_metadata=((PUSHBACK, milliseconds),),
    )
