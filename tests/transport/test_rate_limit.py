"""The rate limit service where it fails or refuses: never an allow by accident."""

import asyncio
import logging
from collections import namedtuple
from typing import Any

import pytest
from envoy.service.ratelimit.v3 import rls_pb2

from mixer.config import RateLimit
from mixer.engine import Decision, Verdict
from mixer.shedding import Bounds, RateBound, Shedder
from mixer.transport import rate_limit
from tests.api.rate_limit_calls import request_bytes

_Details = namedtuple("_Details", "method")
ONE = (("k", "a"),)


class Answers:
    """An engine with one answer."""

    decision_timeout = 30.0
    decision_log = None
    rate_limit = RateLimit()

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0

    def allocate(self, request: Any, quota: str) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Context:
    """Of a call."""

    def peer(self) -> str:
        return "unix:"


async def answer(engine: Answers, data: bytes, shedder: Shedder | None = None) -> Any:
    handler = rate_limit.handler(engine, shedder)  # type: ignore[arg-type]
    name = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
    found: Any = handler.service(_Details(name))  # type: ignore[arg-type]
    return rls_pb2.RateLimitResponse.FromString(await found.unary_unary(data, Context()))


def reason(message: Any) -> str:
    """Why a request is refused."""
    assert message.overall_code == rls_pb2.RateLimitResponse.OVER_LIMIT
    return str(dict(message.dynamic_metadata.items())["reason"])


def test_a_defect_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """By OVER_LIMIT: an Envoy without failure_mode_deny takes a status of gRPC for an allow."""
    with caplog.at_level(logging.ERROR):
        message = asyncio.run(answer(Answers(RuntimeError("a defect")), request_bytes(ONE)))
    assert reason(message) == "internal error"
    assert "RuntimeError: a defect" in caplog.text


def test_an_answer_that_cannot_be_written_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """A defect of our own is no status of gRPC at the end of a call either."""
    decision = Decision(Verdict.ALLOW, ("q",), "no text: \udcff", granted=1)
    with caplog.at_level(logging.ERROR):
        message = asyncio.run(answer(Answers(decision), request_bytes(ONE)))
    assert reason(message) == "internal error"
    assert "a rate limit request failed" in caplog.text


def test_what_is_no_request_is_refused() -> None:
    """With what is wrong, and without asking anybody."""
    engine = Answers(Decision(Verdict.ALLOW))
    assert reason(asyncio.run(answer(engine, b"\xff"))).startswith("not a RateLimitRequest")
    assert engine.asked == 0


def test_too_much_is_refused() -> None:
    """OVER_LIMIT, with the time to come again."""
    engine = Answers(Decision(Verdict.ALLOW))
    shedder = Shedder(Bounds(enforced=True, rate=RateBound(1, 1)))

    async def twice() -> list[Any]:
        return [await answer(engine, request_bytes(ONE), shedder) for _ in range(2)]

    first, second = asyncio.run(twice())
    assert first.overall_code == rls_pb2.RateLimitResponse.OK
    assert reason(second) == "overload_rate"
    [header] = second.response_headers_to_add
    assert (header.key, int(header.value) > 0) == ("retry-after", True)
    assert engine.asked == 1


def test_a_domain_that_nobody_limits_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its requests pass, as with others; a misspelled name must not go unnoticed."""
    engine = Answers(Decision(Verdict.ERROR, code=5))

    async def several() -> list[Any]:
        handler = rate_limit.handler(engine)  # type: ignore[arg-type]
        name = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
        found: Any = handler.service(_Details(name))  # type: ignore[arg-type]
        data = [
            request_bytes(ONE, domain=domain) for domain in ("a", "b", "a", *map(str, range(200)))
        ]
        return [await found.unary_unary(one, Context()) for one in data]

    for one in asyncio.run(several()):
        message = rls_pb2.RateLimitResponse.FromString(one)
        assert message.overall_code == rls_pb2.RateLimitResponse.OK
    assert caplog.text.count("the domain 'a'") == caplog.text.count("the domain 'b'") == 1
    assert caplog.text.count("nothing limits requests") == 100


def test_others_have_their_turn_between_descriptors() -> None:
    """A request with hundreds of them does not keep the loop."""
    engine = Answers(Decision(Verdict.ALLOW, ("q",), "q", granted=1))

    async def turns() -> int:
        data = request_bytes(*[ONE] * 200)
        answering = asyncio.ensure_future(answer(engine, data))
        number = 0
        while not answering.done():
            await asyncio.sleep(0)
            number += 1
        assert len(answering.result().statuses) == 200
        return number

    assert asyncio.run(turns()) >= 20


def test_the_decision_log_has_no_values(caplog: pytest.LogCaptureFixture) -> None:
    """They may be keys of clients: it has the domain, the keys, and which question is a look."""
    engine = Answers(Decision(Verdict.ALLOW, ("q",), "q", granted=1))
    entries = (("api_key", "secret"), ("a\nb", "secret"))
    with caplog.at_level(logging.DEBUG):
        asyncio.run(answer(engine, request_bytes(entries, hits=1)))
        asyncio.run(answer(engine, request_bytes(ONE, (("j", "b"),), hits=1)))
    lines = [one.getMessage() for one in caplog.records if one.name.endswith("decision_log")]
    assert lines[:3] == [
        r"rate limit 'edge' [api_key, a\nb]: 1 of 1 of quota 'edge' by q",
        "rate limit 'edge' [k]: look at quota 'edge' by q",
        "rate limit 'edge' [j]: look at quota 'edge' by q",
    ]
    assert "secret" not in caplog.text
