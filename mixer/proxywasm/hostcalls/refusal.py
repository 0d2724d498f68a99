"""What a bound of this host refuses, where Envoy has none."""

from mixer.proxywasm.abi import LogLevel, Status
from mixer.proxywasm.contexts import Context


def refuse(context: Context, call: str, why: str) -> Status:
    """Answer INTERNAL_FAILURE, and say why once for each call and VM."""
    if call not in context.vm.refused_calls:
        context.vm.refused_calls.add(call)
        context.log(LogLevel.WARN, f"{call} answers INTERNAL_FAILURE: {why}")
    return Status.INTERNAL_FAILURE
