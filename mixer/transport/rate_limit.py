"""envoy.service.ratelimit.v3.RateLimitService on grpc.aio."""

import asyncio
import logging
import math
from functools import partial

import grpc
import grpc.aio

from mixer.api import rate_limit
from mixer.api.rate_limit import Answer, Asked, Question
from mixer.engine import Decision, Engine, PendingDecision
from mixer.shedding import Kind, Refusal, Shedder
from mixer.transport import decision_log
from mixer.transport.caller import Context, caller_of
from mixer.transport.overload import shedding
from mixer.transport.unserved import Unserved
from mixer.transport.waiting import HasDeadline, patience, settled

_log = logging.getLogger(__name__)

_QUESTIONS_AT_ONCE = 8


def handler(
    engine: Engine, shedder: Shedder | None = None
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler.

    Nothing is answered by a gRPC status: an Envoy without ``failure_mode_deny``, which is the
    default, lets the request pass then.
    """
    unserved = Unserved()

    async def should_rate_limit(data: bytes, context: Context) -> bytes:
        try:
            asked = rate_limit.decode(data, caller_of(context))
            answer = await _answer(engine, asked, context)
            if not all(one.is_served for one in answer.statuses):
                unserved.note(asked.domain)
            return rate_limit.encode(answer, engine.rate_limit.response_headers)
        except rate_limit.MalformedRequestError as error:
            return rate_limit.refuse(str(error))
        except Exception:
            _log.exception("a rate limit request failed")
            return rate_limit.refuse("internal error")

    gate = None if shedder is None else shedder.gate("rate_limit", Kind.CHECK)
    serve = shedding(gate, should_rate_limit, _over_limit)
    method = grpc.unary_unary_rpc_method_handler(serve)
    return grpc.method_handlers_generic_handler(rate_limit.SERVICE, {rate_limit.METHOD: method})


async def _over_limit(_context: Context, refusal: Refusal) -> bytes:
    return rate_limit.refuse(f"overload_{refusal.reason}", math.ceil(refusal.retry_after))


async def _answer(engine: Engine, asked: Asked, call: HasDeadline) -> Answer:
    """Ask the engine all it takes, with the loop's other work in between where that is much."""
    steps = rate_limit.answering(asked)
    question = next(steps)
    number = 0
    while True:
        decision = await _decided(engine, question, call)
        number += 1
        if number % _QUESTIONS_AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            question = steps.send(decision)
        except StopIteration as end:
            answer: Answer = end.value
            return answer


async def _decided(engine: Engine, question: Question, call: HasDeadline) -> Decision:
    decision = engine.allocate(question.request, question.quota)
    gone = partial(_log_decision, engine, question)
    if isinstance(decision, PendingDecision):
        decision = await settled(decision, patience(call, engine.decision_timeout), gone)
    _log_decision(engine, question, decision)
    return decision


def _log_decision(engine: Engine, question: Question, decision: Decision) -> None:
    """Log what came of a descriptor; no values of it, which may be secrets."""

    def told() -> decision_log.Told:
        quota = question.request.attributes.get("mixer.quota")
        amount = quota["amount"] if isinstance(quota, dict) else 0
        outcome = decision_log.quota_outcome(question.quota, decision.granted or 0, amount)
        return decision_log.Told(question.request, decision, outcome)

    decision_log.log_decision(engine, "rate_limit", decision, told)
