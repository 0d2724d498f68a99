"""What this host refuses, where another has it or has no bound."""

from mixer.proxywasm.abi import LogLevel, Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.taking import note_volatile


def refuse(context: Context, call: str, why: str) -> Status:
    """Answer INTERNAL_FAILURE, and say why once for each call and VM.

    Most bounds are of what all requests take together, so that another time it may be otherwise.
    """
    note_volatile(context)
    if call not in context.vm.refused_calls:
        context.vm.refused_calls.add(call)
        context.log(LogLevel.WARN, f"{call} answers INTERNAL_FAILURE: {why}")
    return Status.INTERNAL_FAILURE


def unimplemented(context: Context, call: str) -> Status:
    """Answer UNIMPLEMENTED, and say so once for each call and VM."""
    if call not in context.vm.refused_calls:
        context.vm.refused_calls.add(call)
        context.log(LogLevel.WARN, f"{call} is not supported yet: it answers UNIMPLEMENTED")
    return Status.UNIMPLEMENTED
