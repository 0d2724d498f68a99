"""What a foreign function is."""

from collections.abc import Callable

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context

ForeignFunction = Callable[[Context, bytes], bytes | Status]
"""Takes the context and the arguments; returns its result, or a status where it has none.

The context is the effective one; ``context.vm.current`` is that of the callback.
"""
