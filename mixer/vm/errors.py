"""What can go wrong in a VM, told apart by what the caller must do about it."""

from enum import StrEnum


class VmError(Exception):
    """Base of everything this package raises."""


class ModuleError(VmError):
    """The bytes are not a module that can be compiled, linked or instantiated."""


class PoolExhaustedError(ModuleError):
    """Every place for an instance is taken: it may be made later."""


class TrapKind(StrEnum):
    """Why the guest stopped."""

    DEADLINE = "deadline"
    STACK_OVERFLOW = "stack_overflow"
    UNREACHABLE = "unreachable"
    OUT_OF_BOUNDS = "out_of_bounds"
    HOST_CALL = "host_call"
    OTHER = "other"


class TrapError(VmError):
    """The guest trapped: its VM must not be entered again.

    Args:
        kind: What stopped it.
        message: wasmtime's message, with the backtrace inside the guest.
    """

    def __init__(self, kind: TrapKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class MemoryAccessError(VmError):
    """A pointer or length that came from the guest lies outside its memory."""


class HostCallError(VmError):
    """A host call refuses to go on: the guest traps with this message.

    For misuse that the real Envoy answers by ending the VM, such as a host call from within the
    guest's allocator.
    """
