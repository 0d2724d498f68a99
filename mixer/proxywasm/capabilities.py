"""Which host calls a module may make, and which of its callbacks are made.

As Envoy's ``capability_restriction_config``: what is not on the list stays linked, and is refused
when it is called; a callback that is not on the list is treated as if the module had none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mixer.proxywasm.abi import LogLevel, Status
from mixer.proxywasm.callbacks import CALLBACKS
from mixer.proxywasm.loading import host_functions
from mixer.vm import Linker, WasmEngine, make_linker

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.proxywasm.contexts import Context
    from mixer.vm import HostFunction, Module

Capabilities = frozenset[str]
"""Names as a module imports and exports them: ``proxy_log``, ``fd_write``, ``proxy_on_tick``.

None allows everything, and so does an empty list: as in Envoy.
"""

NOTCAPABLE = 76
"""WASI's error number for a call that is not allowed."""

_UNRESTRICTED = frozenset({"pthread_equal", "emscripten_notify_memory_growth", "envoy_resolve_dns"})


def known_capabilities() -> Capabilities:
    """The names of all host calls that can be restricted."""
    return frozenset(f.name for f in host_functions()) - _UNRESTRICTED


def unknown_capabilities(names: Capabilities) -> list[str]:
    """Those that are neither a host call nor a callback: a slip would allow less than it seems."""
    return sorted(names - known_capabilities() - CALLBACKS)


def withheld_callbacks(module: Module, allowed: Capabilities | None) -> list[str]:
    """The callbacks that a module has and that are not made, since they are not allowed."""
    exported = {e.name for e in module.exports} & CALLBACKS
    return sorted(exported - allowed) if allowed else []


def capabilities_of(module: Module) -> Capabilities:
    """What a module needs on the list to run as without one: host calls, and its callbacks."""
    calls = {wanted.name for wanted in module.imports} & known_capabilities()
    callbacks = {e.name for e in module.exports if e.name.startswith("proxy_on_")}
    return frozenset(calls | callbacks) - {"proxy_on_memory_allocate"}


def restricted(allowed: Capabilities | None) -> list[HostFunction]:
    """All host functions, of which those that are not allowed refuse."""
    functions = host_functions()
    if not allowed:
        return functions
    free = allowed | _UNRESTRICTED
    return [f if f.name in free else replace(f, call=_refusal(f)) for f in functions]


def _refusal(function: HostFunction) -> Callable[..., int]:
    status = Status.INTERNAL_FAILURE if function.module == "env" else NOTCAPABLE
    message = f"{function.name} is not among the adapter's allowed capabilities"

    def refuse(context: Context, *_args: Any) -> int:
        vm = context.vm
        if function.name not in vm.refused_calls:
            vm.refused_calls.add(function.name)
            vm.log(LogLevel.ERROR, message)
        return status

    return refuse


class HostLinkers:
    """A linker for each list of capabilities; one without restriction costs nothing more.

    Args:
        engine: The engine that compiled the modules.
    """

    def __init__(self, engine: WasmEngine) -> None:
        self._engine = engine
        self._linkers: dict[Capabilities | None, Linker] = {}

    def of(self, allowed: Capabilities | None) -> Linker:
        """The linker for modules with these capabilities."""
        key = allowed or None
        if key not in self._linkers:
            self._linkers[key] = make_linker(self._engine, restricted(key))
        return self._linkers[key]

    def close(self) -> None:
        """Free them; their instances must be closed before."""
        for linker in self._linkers.values():
            linker.close()
        self._linkers.clear()
