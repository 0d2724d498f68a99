"""One host call of the ABI, before it is bound to a linker."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mixer.proxywasm.abi import Status
from mixer.vm import I32, I64, HostFunction, Signature

_TYPES = {"i": I32, "L": I64}


def signature(params: str) -> Signature:
    """Of a function that returns one i32.

    Args:
        params: One letter for each parameter: ``i`` for i32, ``L`` for i64.
    """
    return Signature(tuple(_TYPES[p] for p in params), (I32,))


@dataclass(frozen=True, slots=True)
class HostCall:
    """A host call.

    Attributes:
        name: Import name.
        params: As `signature` takes them.
        call: Takes the context and the parameters; returns the status.
    """

    name: str
    params: str
    call: Callable[..., int]

    def function(self) -> HostFunction:
        """The host function that modules import from ``env``."""
        return HostFunction(
            "env", self.name, signature(self.params), self.call, fault=Status.INVALID_MEMORY_ACCESS
        )

    def without_result(self) -> HostFunction:
        """The same for modules that import it as a function without a result."""
        return replace(self.function(), signature=replace(signature(self.params), results=()))
