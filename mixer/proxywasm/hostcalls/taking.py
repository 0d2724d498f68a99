"""Taking bytes over from a guest, within what the modules of one request may hand over."""

from mixer.proxywasm.contexts import Context

_LARGE = 64 * 1024


def note_volatile(context: Context) -> None:
    """Record that what the module does follows from more than its request."""
    if context.reads is not None:
        context.reads.saw_volatile()


def take(context: Context, *spans: int) -> list[bytes] | None:
    """Copy spans of guest memory; None where they would exceed the bound.

    Nothing large is copied before it is known to be allowed: a guest that asks for it over and over
    would spend the host's time and memory.

    Args:
        context: On whose behalf.
        spans: Pointer and size, for each span.

    Raises:
        MemoryAccessError: A span lies outside the memory.
    """
    memory = context.vm.instance.memory
    pointers, sizes = spans[::2], spans[1::2]
    total = sum(sizes)
    if total > _LARGE:
        for pointer, size in zip(pointers, sizes, strict=True):
            memory.check(pointer, size)
    if not context.charge(total):
        return None
    return [memory.read(pointer, size) for pointer, size in zip(pointers, sizes, strict=True)]
