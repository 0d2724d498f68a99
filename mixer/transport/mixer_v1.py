"""istio.mixer.v1.Mixer on grpc.aio."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import grpc
import grpc.aio

from mixer.api import mixer_v1
from mixer.api.mixer_v1 import Allocation, CallRefusedError, Check, Report
from mixer.engine import Decision, Engine, PendingDecision, Verdict
from mixer.shedding import Gate, Kind, Refusal, Shedder
from mixer.transport import decision_log
from mixer.transport.caller import caller_of
from mixer.transport.overload import abort_overloaded, shedding
from mixer.transport.slices import slices_of_this_loop
from mixer.transport.telling import Telling
from mixer.transport.waiting import HasDeadline, patience, settled

_log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[bytes, bytes]
_QUOTAS_AT_ONCE = 4
_CANCELLED: int = grpc.StatusCode.CANCELLED.value[0]
_UNAVAILABLE: int = grpc.StatusCode.UNAVAILABLE.value[0]
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def handler(
    engine: Engine, shedder: Shedder | None = None
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler.

    What Mixer refuses by a gRPC status, this does too. A defect of our own denies the request: a
    proxy that is configured to fail open takes a status for a service that is down.
    """

    checks, reports = _gate(shedder, Kind.CHECK), _gate(shedder, Kind.REPORT)

    async def check(data: bytes, context: _Context) -> bytes:
        try:
            asked = mixer_v1.decode_check(data, engine.admission, caller_of(context))
            return await _check(engine, asked, context)
        except CallRefusedError as error:
            return await _abort(context, error)
        except Exception:
            _log.exception("a check failed")
            return mixer_v1.refuse_check("internal error")

    async def report(data: bytes, context: _Context) -> bytes:
        try:
            told = mixer_v1.decode_report(data, engine.admission, caller_of(context))
            ticket = nullcontext() if reports is None else reports.admit(max(1, len(told.frames)))
            if isinstance(ticket, Refusal):
                return await abort_overloaded(context, ticket)
            with ticket:
                await _report(engine, told, context)
        except CallRefusedError as error:
            return await _abort(context, error)
        return b""

    methods = {
        mixer_v1.CHECK: shedding(checks, check, abort_overloaded),
        mixer_v1.REPORT: report,
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()
    }
    return grpc.method_handlers_generic_handler(mixer_v1.SERVICE, handlers)


def _gate(shedder: Shedder | None, kind: Kind) -> Gate | None:
    return None if shedder is None else shedder.gate("mixer_v1", kind)


async def _abort(context: _Context, error: CallRefusedError) -> bytes:
    _log.debug("a call is refused: %s", error)
    await context.abort(_CODES[error.code], error.message)


async def _check(engine: Engine, asked: Check, call: HasDeadline) -> bytes:
    question = asked.question()
    gone = partial(_log_check, engine, asked)
    decision = await _decided(engine, engine.decide(question.request), gone, call)
    _log_check(engine, asked, decision)
    allowed = decision.verdict is Verdict.ALLOW
    allocations = await _allocate_all(engine, asked, call) if allowed else []
    return mixer_v1.encode_check(asked, question, decision, allocations)


async def _allocate_all(engine: Engine, asked: Check, call: HasDeadline) -> list[Allocation]:
    """Ask for each quota, with the loop's other work in between where there are many."""
    found = list[Allocation]()
    for quota in asked.quotas:
        found.append(await _allocate(engine, asked, quota, call))
        if len(found) % _QUOTAS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


async def _allocate(
    engine: Engine, asked: Check, quota: mixer_v1.Quota, call: HasDeadline
) -> Allocation:
    refused = mixer_v1.refused(quota)
    if refused is not None:
        _log_quota(engine, asked, refused, Decision(Verdict.ERROR, reason=refused.message))
        return refused
    question = asked.quota_question(quota)
    gone = partial(_log_quota, engine, asked, Allocation(quota, _CANCELLED))
    decision = await _decided(engine, engine.allocate(question.request, quota.name), gone, call)
    found = mixer_v1.allocation(quota, question, decision)
    _log_quota(engine, asked, found, decision)
    return found


async def _decided(
    engine: Engine,
    decision: Decision | PendingDecision,
    gone: Callable[[Decision], None],
    call: HasDeadline,
) -> Decision:
    if isinstance(decision, PendingDecision):
        return await settled(decision, patience(call, engine.decision_timeout), gone)
    return decision


def _log_check(engine: Engine, asked: Check, decision: Decision) -> None:
    def told() -> decision_log.Told:
        return decision_log.Told(asked.question().request, mixer_v1.as_sent(asked, decision))

    decision_log.log_decision(engine, "mixer_v1", decision, told)


def _log_quota(engine: Engine, asked: Check, found: Allocation, decision: Decision) -> None:
    """Log what came of a quota; what is looked up for it is no part of the answer."""

    def told() -> decision_log.Told:
        outcome = decision_log.quota_outcome(found.quota.name, found.granted, found.quota.amount)
        sent = decision
        if sent.verdict is Verdict.ALLOW:
            sent = replace(sent, reason=sent.reason or found.message)
        return decision_log.Told(asked.question().request, sent, outcome)

    decision_log.log_decision(engine, "mixer_v1", decision, told)


async def _report(engine: Engine, told: Report, call: HasDeadline) -> None:
    """Tell of each record, with the loop's other work in between, and wait for the ledger.

    Raises:
        CallRefusedError: A record is malformed, and nothing was told; or a defect of our own kept
            some from being told; or the ledger did not take what adapters recorded.
    """
    slices = slices_of_this_loop()
    await slices.work(told.check())
    telling = Telling(engine)
    await slices.work(telling.tell(told.records()))
    if telling.defects:
        telling.log_defect("a report of Mixer v1")
        untold = f"{telling.defects} of {len(told.frames)} records"
        raise CallRefusedError(f"internal error: {untold} were not told")
    if not await telling.stored(patience(call, engine.decision_timeout)):
        raise CallRefusedError("the ledger is not available: try again", _UNAVAILABLE)
