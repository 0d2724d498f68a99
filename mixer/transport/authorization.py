"""envoy.service.auth.v3.Authorization on grpc.aio."""

import logging
from functools import partial

import grpc
import grpc.aio

from mixer.api import ext_authz
from mixer.engine import Decision, Engine, PendingDecision, Request
from mixer.shedding import Kind, Shedder
from mixer.transport import decision_log
from mixer.transport.caller import caller_of
from mixer.transport.overload import deny_overloaded, shedding
from mixer.transport.waiting import HasDeadline, patience, settled

_log = logging.getLogger(__name__)


def handler(
    engine: Engine, shedder: Shedder | None = None
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    """The service's handler: bytes in, bytes out, and a plain function call between them.

    Nothing is answered by a gRPC status, not even a defect of our own: a proxy that is configured
    to fail open takes that for a service that is down, and lets the request pass.
    """

    async def check(data: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            request = ext_authz.decode(data, caller_of(context))
            if isinstance(request, ext_authz.Connection):
                return await _check_connection(engine, request, context)
            decision = engine.decide(request)
            if isinstance(decision, PendingDecision):
                gone = partial(_log_sent, engine, request)
                wait = patience(context, engine.decision_timeout)
                decision = await settled(decision, wait, gone)
            _log_sent(engine, request, decision)
            return ext_authz.encode(decision)
        except ext_authz.MalformedRequestError as error:
            return ext_authz.refuse(str(error))
        except Exception:
            _log.exception("a check failed")
            return ext_authz.refuse("internal error", status=503)

    gate = None if shedder is None else shedder.gate("ext_authz", Kind.CHECK)
    method = grpc.unary_unary_rpc_method_handler(shedding(gate, check, deny_overloaded))
    return grpc.method_handlers_generic_handler(ext_authz.SERVICE, {ext_authz.METHOD: method})


async def _check_connection(
    engine: Engine, connection: ext_authz.Connection, call: HasDeadline
) -> bytes:
    decision = engine.check_connection(connection.attributes)
    log = partial(decision_log.log_connection, connection.attributes)
    if isinstance(decision, PendingDecision):
        decision = await settled(decision, patience(call, engine.decision_timeout), log)
    log(decision)
    return ext_authz.encode(decision)


def _log_sent(engine: Engine, request: Request, decision: Decision) -> None:
    def told() -> decision_log.Told:
        return decision_log.Told(request, ext_authz.as_sent(decision))

    decision_log.log_decision(engine, "ext_authz", decision, told)
