"""`sign` and `verify_signature`: what does the work is imported for the first of them.

That takes a tenth of a second, which no service without such a module has to wait for.
"""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction


def sign(context: Context, arguments: bytes) -> bytes | Status:
    """See `mixer.proxywasm.foreign.signatures.sign`."""
    from mixer.proxywasm.foreign import signatures

    if context.reads is not None:
        context.reads.saw_random()  # as ECDSA does
    return signatures.sign(context, arguments)


def verify_signature(context: Context, arguments: bytes) -> bytes | Status:
    """See `mixer.proxywasm.foreign.signatures.verify_signature`."""
    from mixer.proxywasm.foreign import signatures

    return signatures.verify_signature(context, arguments)


FUNCTIONS: dict[str, ForeignFunction] = {"sign": sign, "verify_signature": verify_signature}
