"""The linear memory of a fast instance."""

import ctypes
import struct
from ctypes import byref
from typing import Any

from mixer.vm import capi
from mixer.vm.errors import MemoryAccessError

_pack_u32 = struct.Struct("<I").pack_into
_pack_u64 = struct.Struct("<Q").pack_into


class FastMemory:
    """Linear memory through a memoryview over its pages.

    The engine is configured so that a memory never moves, and memories never shrink: a view is
    valid for as long as its store. It can only be too short, after the guest grew its memory; so
    the size is asked for anew exactly when an access lies outside the view.
    """

    __slots__ = ("_context", "_handle", "_handle_address", "_size", "_view")

    def __init__(self, context: int, handle: Any) -> None:
        self._context = context
        self._handle = handle
        self._handle_address = byref(handle)
        self._size = 0
        self._view = memoryview(bytearray())
        self._refresh()

    def _refresh(self) -> None:
        size = capi.memory_data_size(self._context, self._handle_address)
        if size != self._size:
            base = capi.memory_data(self._context, self._handle_address)
            self._view = memoryview((ctypes.c_char * size).from_address(base)).cast("B")
            self._size = size

    def check(self, pointer: int, size: int) -> None:
        """See `mixer.vm.model.Memory.check`."""
        if pointer + size <= self._size:
            return
        self._refresh()
        if pointer + size > self._size:
            raise MemoryAccessError(
                f"{size} bytes at {pointer:#x} lie outside the memory of {self._size} bytes"
            )

    def read(self, pointer: int, size: int) -> bytes:
        """See `mixer.vm.model.Memory.read`."""
        end = pointer + size
        if end > self._size:
            self.check(pointer, size)
        return self._view[pointer:end].tobytes()

    def write(self, pointer: int, data: bytes) -> None:
        """See `mixer.vm.model.Memory.write`."""
        end = pointer + len(data)
        if end > self._size:
            self.check(pointer, len(data))
        self._view[pointer:end] = data

    def write_u32(self, pointer: int, value: int) -> None:
        """See `mixer.vm.model.Memory.write_u32`."""
        if pointer + 4 > self._size:
            self.check(pointer, 4)
        _pack_u32(self._view, pointer, value)

    def write_u64(self, pointer: int, value: int) -> None:
        """See `mixer.vm.model.Memory.write_u64`."""
        if pointer + 8 > self._size:
            self.check(pointer, 8)
        _pack_u64(self._view, pointer, value)

    def size(self) -> int:
        """See `mixer.vm.model.Memory.size`."""
        self._refresh()
        return self._size
