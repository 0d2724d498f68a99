"""One host call of the ABI, before it is bound to a linker."""

from collections.abc import Callable
from dataclasses import dataclass

from mixer.proxywasm.abi import Status
from mixer.vm import I32, I64, HostFunction, Signature

_TYPES = {"i": I32, "L": I64}


@dataclass(frozen=True, slots=True)
class HostCall:
    """A host call.

    Attributes:
        name: Import name.
        params: One letter for each parameter: ``i`` for i32, ``L`` for i64.
        call: Takes the context and the parameters; returns the status.
    """

    name: str
    params: str
    call: Callable[..., int]

    def function(self) -> HostFunction:
        """The host function that modules import from ``env``."""
        signature = Signature(tuple(_TYPES[p] for p in self.params), (I32,))
        return HostFunction(
            "env", self.name, signature, self.call, fault=Status.INVALID_MEMORY_ACCESS
        )
