"""From a decision about a quota to its QuotaResult.

Istio's proxies look at the granted amount, and take UNAVAILABLE for as good as granted: no failure
of ours is told by that code.
"""

from dataclasses import dataclass

from google.rpc import code_pb2

from mixer.api.mixer_v1.check import Question, Quota, note_told
from mixer.api.mixer_v1.references import References
from mixer.api.mixer_v1.status import code_of, message_of
from mixer.api.mixer_v1.validity import write_duration
from mixer.engine import Decision, Verdict
from mixer.wire import mixer_v1_pb2 as pb


@dataclass(frozen=True, slots=True)
class Allocation:
    """What came of a quota.

    Attributes:
        quota: What was asked for.
        code: gRPC code.
        message: Why not all of it was granted, for people.
        granted: How much was.
        duration: Nanoseconds that it holds.
        references: What this follows from.
    """

    quota: Quota
    code: int
    message: str = ""
    granted: int = 0
    duration: int = 0
    references: References | None = None


def refused(quota: Quota) -> Allocation | None:
    """What comes of a quota that nobody is asked about; None where adapters are to be asked."""
    if quota.amount >= 0:
        return None
    message = f"{quota.amount} is no amount: must be 0 or more"
    return Allocation(quota, code_pb2.INVALID_ARGUMENT, message)


def allocation(quota: Quota, question: Question, decision: Decision) -> Allocation:
    """What comes of what adapters said.

    Args:
        quota: What was asked for.
        question: As the engine was asked it.
        decision: Its answer.
    """
    if decision.adapters:
        note_told(question)
    references = question.references
    if decision.verdict is not Verdict.ALLOW:
        return Allocation(quota, _code(decision), message_of(decision), references=references)
    if decision.granted is None:
        message = "no adapter said how much it grants"
        return Allocation(quota, code_pb2.INTERNAL, message, references=references)
    granted = max(0, min(decision.granted, quota.amount))
    if granted < quota.amount and (not quota.best_effort or not granted):
        return Allocation(quota, code_pb2.RESOURCE_EXHAUSTED, "exhausted", references=references)
    duration = 0 if decision.validity is None else decision.validity.duration
    return Allocation(quota, code_pb2.OK, "", granted, duration, references)


def _code(decision: Decision) -> int:
    code = code_of(decision)
    return code_pb2.INTERNAL if code == code_pb2.UNAVAILABLE else code


def write_allocation(
    result: pb.CheckResponse.QuotaResult, one: Allocation, known_words: int
) -> None:
    """Write a result.

    Args:
        result: Where to.
        one: What came of the quota.
        known_words: How many words of the global dictionary the caller knows.
    """
    result.status.SetInParent()
    result.status.code, result.status.message = one.code, one.message
    result.granted_amount = one.granted
    write_duration(result.valid_duration, one.duration)
    result.referenced_attributes.SetInParent()
    if one.references is not None:
        one.references.write(result.referenced_attributes, known_words)
