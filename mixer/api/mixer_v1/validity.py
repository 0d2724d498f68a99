"""How long and how often a caller may use an answer again."""

from google.protobuf.duration_pb2 import Duration

from mixer.engine import Decision, Validity, Verdict
from mixer.wire import mixer_v1_pb2 as pb

_NS = 1_000_000_000
NO_ADAPTER = Validity(60 * _NS, 10_000)
"""What a Mixer says where no adapter was asked."""
_NEVER = Validity(0, 0)


def validity_of(decision: Decision, *, volatile: bool) -> Validity:
    """What callers are told.

    Args:
        decision: The answer.
        volatile: Whether it follows from what no reference can say.
    """
    if volatile:
        return _NEVER
    if decision.verdict is Verdict.ALLOW and not (decision.adapters or decision.failed_open):
        return NO_ADAPTER
    return decision.validity or _NEVER


def write_validity(
    result: pb.CheckResponse.PreconditionResult, decision: Decision, *, volatile: bool
) -> None:
    """Write it; see `validity_of`."""
    validity = validity_of(decision, volatile=volatile)
    write_duration(result.valid_duration, validity.duration)
    result.valid_use_count = validity.use_count


def write_duration(duration: Duration, nanoseconds: int) -> None:
    """Write a duration of no less than 0, which is there even if it is 0."""
    duration.SetInParent()
    duration.seconds, duration.nanos = divmod(nanoseconds, _NS)
