"""The takes of one VM that are answered later, each told to the context that asked.

Unlike a callout, a take belongs to its stream: once that is gone, nobody is told.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mixer.proxywasm.abi import BufferType
from mixer.proxywasm.callout_view import of_buffer
from mixer.vm import TrapError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.proxywasm.contexts import Context
    from mixer.proxywasm.wasm_vm import WasmVm
    from mixer.state.quota import Answer, Later

MAX_OPEN_TAKES = 16_384
"""Takes of one VM that are not answered yet."""

_MAX_NUMBER = 0x7FFF_FFFF


class VmTakes:
    """The takes of one VM that wait for a store.

    Args:
        vm: Whose.
    """

    def __init__(self, vm: WasmVm) -> None:
        self._vm = vm
        self._open: dict[int, tuple[Context, Later]] = {}
        self._of: dict[Context, set[int]] = {}
        self._last = 0

    def __len__(self) -> int:
        """How many are not answered yet."""
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether no more may wait."""
        return len(self._open) >= MAX_OPEN_TAKES

    def keep(self, context: Context, later: Later, encode: Callable[[Answer], bytes]) -> int:
        """Wait for an answer; the number by which it is told, never 0.

        Args:
            context: To be told; the plugin itself where it is none that lives in the VM.
            later: The answer.
            encode: Makes of it what the module reads.
        """
        self._last = self._last % _MAX_NUMBER + 1
        while self._last in self._open:
            self._last = self._last % _MAX_NUMBER + 1
        told = context if self._vm.contexts.get(context.id) is context else context.root
        self._open[self._last] = told, later
        self._of.setdefault(told, set()).add(self._last)
        later.wait(partial(self._done, self._last, encode))
        return self._last

    def _done(self, number: int, encode: Callable[[Answer], bytes], answer: Answer) -> None:
        context, _ = self._open.pop(number)
        self._answered(context, number)
        try:
            self._tell(context, number, encode(answer))
        except TrapError as trap:
            self._vm.close()
            self._vm.services.failed(trap)
        if self._vm.retired:
            self._vm.release()

    def _answered(self, context: Context, number: int) -> None:
        numbers = self._of[context]
        numbers.remove(number)
        if not numbers:
            del self._of[context]

    def _tell(self, context: Context, number: int, data: bytes) -> None:
        callback = self._vm.callbacks.on_foreign_function
        context.root.callout = of_buffer(BufferType.CALL_DATA, data)
        try:
            self._vm.call(context, callback, context.id, number, len(data))
        finally:
            context.root.callout = None

    def forget(self, context: Context) -> None:
        """A context is gone: nobody is told of what it asked for."""
        for number in self._of.pop(context, ()):
            self._open.pop(number)[1].cancel()

    def close(self) -> None:
        """Nobody is told of anything any more."""
        for _, later in self._open.values():
            later.cancel()
        self._open.clear()
        self._of.clear()
