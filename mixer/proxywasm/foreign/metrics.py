"""``mixer_record_metrics``: several metrics by one call."""

from struct import Struct

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction

MAX_METRICS = 1024
"""That one call changes."""

_ENTRY = Struct("<IQ")


def record_metrics(context: Context, arguments: bytes) -> bytes | Status:
    """Do what ``proxy_record_metric`` does, for each of several metrics or for none.

    The arguments are the id of each metric, a number of 32 bits, and the value, of 64 bits, both
    little-endian. There is no result.
    """
    count, rest = divmod(len(arguments), _ENTRY.size)
    if rest or count > MAX_METRICS:
        return Status.BAD_ARGUMENT
    find, reads = context.vm.metrics.find, context.reads
    told = [(find(metric_id), value) for metric_id, value in _ENTRY.iter_unpack(arguments)]
    known = [(metric, value) for metric, value in told if metric is not None]
    if len(known) < len(told):
        return Status.BAD_ARGUMENT
    for metric, value in known:
        if reads is not None:
            reads.changed_metric(metric.record, value)
        metric.record(value)
    return b""


FUNCTIONS: dict[str, ForeignFunction] = {"mixer_record_metrics": record_metrics}
