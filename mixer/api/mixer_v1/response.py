"""From decisions to the bytes of a CheckResponse."""

from collections.abc import Iterable

from google.rpc import code_pb2

from mixer.api.mixer_v1.check import Check, Question, note_told
from mixer.api.mixer_v1.directive import write_directive
from mixer.api.mixer_v1.errors import InexpressibleError
from mixer.api.mixer_v1.quota import Allocation, write_allocation
from mixer.api.mixer_v1.status import code_of, message_of
from mixer.api.mixer_v1.validity import write_duration, write_validity
from mixer.engine import Decision, Response, Verdict
from mixer.wire import mixer_v1_pb2 as pb

_FAILED = 503


def encode_check(
    check: Check, question: Question, decision: Decision, allocations: Iterable[Allocation] = ()
) -> bytes:
    """Write a CheckResponse.

    Args:
        check: What was asked.
        question: As the engine was asked it.
        decision: Whether the request may go on.
        allocations: What it gets of each quota; none unless it may.
    """
    response = pb.CheckResponse()
    _precondition(response.precondition, question, decision)
    references = response.precondition.referenced_attributes
    question.references.write(references, check.known_words)
    for one in allocations:
        write_allocation(response.quotas[one.quota.name], one, check.known_words)
    return response.SerializeToString()


def as_sent(check: Check, decision: Decision) -> Decision:
    """What `encode_check` sends: an ERROR in place of a decision that callers cannot be told.

    Args:
        check: What was asked; nothing is noted as looked up.
        decision: What came of it.
    """
    try:
        write_directive(pb.RouteDirective(), decision, check.question().request.headers)
    except InexpressibleError as error:
        return _failed(decision, error)
    return decision


def _failed(decision: Decision, error: InexpressibleError) -> Decision:
    return Decision(
        Verdict.ERROR, adapter=decision.adapter, reason=str(error), response=Response(_FAILED)
    )


def _precondition(
    result: pb.CheckResponse.PreconditionResult, question: Question, decision: Decision
) -> None:
    if decision.adapters:
        note_told(question)
    directive = pb.RouteDirective()
    try:
        write_directive(directive, decision, question.request.headers)
    except InexpressibleError as error:
        decision = _failed(decision, error)
        directive = pb.RouteDirective(direct_response_code=_FAILED)
    result.status.SetInParent()
    result.status.code = code_of(decision)
    result.status.message = message_of(decision)
    write_validity(result, decision, volatile=question.references.volatile)
    if directive.ByteSize():
        result.route_directive.CopyFrom(directive)


def refuse_check(reason: str, *, code: int = code_pb2.UNAVAILABLE, status: int = _FAILED) -> bytes:
    """The answer to a check that failed: deny. A gRPC error would let it pass in many a proxy.

    Args:
        reason: Why.
        code: Of ``google.rpc.Code``.
        status: HTTP status for the downstream.
    """
    response = pb.CheckResponse()
    result = response.precondition
    result.status.code = code
    result.status.message = reason
    result.route_directive.direct_response_code = status
    write_duration(result.valid_duration, 0)
    return response.SerializeToString()
