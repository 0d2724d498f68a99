"""envoy.service.auth.v3.Authorization on grpc.aio."""

import asyncio
import logging

import grpc
import grpc.aio

from mixer.api import ext_authz
from mixer.engine import Decision, Engine, PendingDecision, Request
from mixer.shedding import Kind, Shedder
from mixer.transport.overload import deny_overloaded, shedding
from mixer.transport.waiting import settled

_log = logging.getLogger(__name__)


def handler(
    engine: Engine, shedder: Shedder | None = None
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler: bytes in, bytes out, and a plain function call between them.

    Nothing is answered by a gRPC status, not even a defect of our own: a proxy that is configured
    to fail open takes that for a service that is down, and lets the request pass.
    """

    async def check(data: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            request = ext_authz.decode(data)
            if request is None:
                return ext_authz.refuse(ext_authz.NO_HTTP)
            decision = engine.decide(request)
            if isinstance(decision, PendingDecision):
                decision = await _settled(request, decision, engine.decision_timeout)
            if _log.isEnabledFor(logging.DEBUG):
                _log_decision(request, decision)
            return ext_authz.encode(decision)
        except ext_authz.MalformedRequestError as error:
            return ext_authz.refuse(str(error))
        except Exception:
            _log.exception("a check failed")
            return ext_authz.refuse("internal error", status=503)

    gate = None if shedder is None else shedder.gate("ext_authz", Kind.CHECK)
    method = grpc.unary_unary_rpc_method_handler(shedding(gate, check, deny_overloaded))
    return grpc.method_handlers_generic_handler(ext_authz.SERVICE, {ext_authz.METHOD: method})


async def _settled(request: Request, pending: PendingDecision, timeout_s: float) -> Decision:
    try:
        return await settled(pending, timeout_s)
    except asyncio.CancelledError:
        if pending.decision is not None and _log.isEnabledFor(logging.DEBUG):
            _log_decision(request, pending.decision)
        raise


def _log_decision(request: Request, decision: Decision) -> None:
    """Log who decided what and why; no header of the request, since those hold secrets."""
    _log.debug(
        "%s %r: %s by %s%s",
        request.attributes.get("request.method"),
        request.attributes.get("request.url_path"),
        decision.verdict,
        decision.adapter or "no adapter",
        decision.reason and f": {decision.reason}",
    )
