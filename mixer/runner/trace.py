"""Every callback and host call of a run: what strace is for system calls."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from mixer.proxywasm import Callbacks, Status, export_of
from mixer.runner.trace_shapes import name_of, shape_of
from mixer.vm import GuestFunction, HostFunction, MemoryAccessError


@dataclass(slots=True)
class TraceLine:
    """One call.

    Attributes:
        name: Of the callback or the host call.
        arguments: As text; what a pointer points at rather than the pointer.
        depth: 0 for a callback, 1 for a host call from it, and so on.
        result: The status or the value, as text; the name of the exception that ended the call;
            empty where there is none.
        returned: What the host wrote back, as text.
        seconds: How long it took, what happened within it included.
    """

    name: str
    arguments: tuple[str, ...]
    depth: int
    result: str = ""
    returned: tuple[str, ...] = ()
    seconds: float = 0.0

    def __str__(self) -> str:
        result = f" = {self.result}" if self.result else ""
        returned = f" {', '.join(self.returned)}" if self.returned else ""
        call = f"{'  ' * self.depth}{self.name}({', '.join(self.arguments)})"
        return f"{call}{result}{returned}  [{self.seconds * 1e6:.1f} us]"

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "name": self.name,
            "arguments": list(self.arguments),
            "depth": self.depth,
            "result": self.result or None,
            "returned": list(self.returned),
            "us": round(self.seconds * 1e6, 1),
        }


class Trace:
    """Notes the calls of one VM.

    Attributes:
        lines: In the order in which the calls began.
    """

    def __init__(self) -> None:
        self.lines: list[TraceLine] = []
        self._depth = 0

    def functions(self, functions: list[HostFunction]) -> list[HostFunction]:
        """The host functions, each of which notes its calls."""
        return [replace(one, call=self._host_call(one)) for one in functions]

    def callbacks(self, callbacks: Callbacks) -> Callbacks:
        """The callbacks of a module, each of which notes its calls."""
        found: dict[str, Any] = {f.name: getattr(callbacks, f.name) for f in fields(Callbacks)}
        told = {
            name: self._callback(export_of(name), function)
            for name, function in found.items()
            if name.startswith("on_") and callbacks.makes(name)
        }
        return Callbacks(**(found | told))

    def _host_call(self, function: HostFunction) -> Callable[..., int | None]:
        shape, call = shape_of(function), function.call
        fault = shape.result(function.fault)

        def traced(context: Any, *args: int) -> int | None:
            memory = context.vm.instance.memory
            line = self._begin(function.name, tuple(shape.arguments(memory, args)))
            with _Noted(self, line, fault):
                result = call(context, *args)
            if result is not None:
                line.result = shape.result(result)
            if result == Status.OK:
                line.returned = tuple(shape.returned(memory, args))
            return result

        return traced

    def _callback(self, name: str, call: GuestFunction) -> GuestFunction:
        def traced(*args: int) -> int:
            line = self._begin(name, tuple(str(int(arg)) for arg in args))
            with _Noted(self, line):
                result = call(*args)
            line.result = name_of(name, result)
            return result

        return traced

    def _begin(self, name: str, arguments: tuple[str, ...]) -> TraceLine:
        line = TraceLine(name, arguments, self._depth)
        self.lines.append(line)
        self._depth += 1
        return line

    def end(self) -> None:
        """A call has returned."""
        self._depth -= 1


class _Noted:
    """Measures one call, also one that ends with an exception."""

    def __init__(self, trace: Trace, line: TraceLine, fault: str = "") -> None:
        self._trace = trace
        self._line = line
        self._fault = fault

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        self._line.seconds = time.perf_counter() - self._began
        if kind is MemoryAccessError:
            self._line.result = self._fault  # the VM answers so
        elif kind is not None:
            self._line.result = kind.__name__
        self._trace.end()
