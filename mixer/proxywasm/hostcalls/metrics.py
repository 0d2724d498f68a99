"""Metrics."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import note_volatile
from mixer.proxywasm.metrics import MAX_NAME_BYTES, MetricType, type_of

_MAX_TYPE = max(MetricType)
_SIGN = 1 << 63
_DEFINE = "proxy_define_metric"


def define_metric(context: Context, kind: int, name: int, name_size: int, metric: int) -> int:
    """``proxy_define_metric``: a new id, even for a name that is known."""
    context.require_started()
    memory = context.vm.instance.memory
    memory.check(name, name_size)
    if kind > _MAX_TYPE:
        return Status.BAD_ARGUMENT
    if name_size > MAX_NAME_BYTES:
        return refuse(context, _DEFINE, f"a name has over {MAX_NAME_BYTES} bytes")
    text = memory.read(name, name_size).decode("utf-8", "replace")
    metric_id = context.vm.metrics.define(MetricType(kind), text)
    if metric_id is None:
        return refuse(context, _DEFINE, "there are too many metrics")
    memory.write_u32(metric, metric_id)
    return Status.OK


def increment_metric(context: Context, metric_id: int, delta: int) -> int:
    """``proxy_increment_metric``: a counter only goes up."""
    context.require_started()
    signed = delta - 2 * _SIGN if delta & _SIGN else delta
    if type_of(metric_id) in (MetricType.HISTOGRAM, None):
        return Status.BAD_ARGUMENT
    metric = context.vm.metrics.find(metric_id)
    if metric is None:
        return Status.NOT_FOUND
    if metric.type is MetricType.COUNTER and signed <= 0:
        return Status.BAD_ARGUMENT
    if context.reads is not None:
        context.reads.changed_metric(metric.add, signed)
    metric.add(signed)
    return Status.OK


def record_metric(context: Context, metric_id: int, value: int) -> int:
    """``proxy_record_metric``: adds to a counter, sets a gauge, puts into a histogram."""
    context.require_started()
    metric = context.vm.metrics.find(metric_id)
    if metric is None:
        return Status.NOT_FOUND
    if context.reads is not None:
        context.reads.changed_metric(metric.record, value)
    metric.record(value)
    return Status.OK


def get_metric(context: Context, metric_id: int, value: int) -> int:
    """``proxy_get_metric``: of a counter or gauge."""
    context.require_started()
    if type_of(metric_id) in (MetricType.HISTOGRAM, None):
        return Status.BAD_ARGUMENT
    metric = context.vm.metrics.find(metric_id)
    if metric is None:
        return Status.NOT_FOUND
    note_volatile(context)
    context.vm.instance.memory.write_u64(value, metric.value)
    return Status.OK


CALLS = (
    HostCall(_DEFINE, "iiii", define_metric),
    HostCall("proxy_increment_metric", "iL", increment_metric),
    HostCall("proxy_record_metric", "iL", record_metric),
    HostCall("proxy_get_metric", "ii", get_metric),
)
