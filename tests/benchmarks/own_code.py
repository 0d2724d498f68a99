"""How long modules run in their own code, as the host sees it.

Every export and every host call is timed. The time in an export, without that in the host calls and
without what it takes to cross between the two, is the module's own. What a crossing takes (and the
timing itself) is measured by a module that does nothing but cross.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any
from unittest import mock

from mixer.proxywasm import loading
from mixer.proxywasm.callbacks import _Lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.vm import HostFunction

CROSSINGS = 1000
CROSSING = f"""
(module
  (import "env" "proxy_get_log_level" (func $level (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $left i32)
    (local.set $left (i32.const {CROSSINGS}))
    (loop $again
      (drop (call $level (i32.const 16)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_delete") (param i32)))
"""
"""A module that makes `CROSSINGS` host calls which do next to nothing."""


class OwnCode:
    """Times what is loaded while it is entered.

    Args:
        crossing_ns: Nanoseconds to take off for each host call.

    Attributes:
        host_calls: Since the last reset.
    """

    def __init__(self, crossing_ns: float = 0.0) -> None:
        self._crossing_ns = crossing_ns
        self._patches: list[Any] = []
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        self.host_calls = self._host_ns = self._export_ns = self._depth = 0

    @property
    def microseconds(self) -> float:
        """In the modules' own code."""
        own = self._export_ns - self._host_ns - self.host_calls * self._crossing_ns
        return own / 1000

    def __enter__(self) -> OwnCode:
        exported, functions = _Lazy._exported, loading.host_calls

        def timed_export(callbacks: _Lazy, name: str) -> Callable[..., int] | None:
            found = exported(callbacks, name)
            return None if found is None else self._export(found)

        def timed_host() -> list[HostFunction]:
            return [replace(one, call=self._host(one.call)) for one in functions()]

        self._patches = [
            mock.patch.object(_Lazy, "_exported", timed_export),
            mock.patch.object(loading, "host_calls", timed_host),
        ]
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        for patch in self._patches:
            patch.stop()

    def _export(self, call: Callable[..., int]) -> Callable[..., int]:
        def timed(*arguments: int) -> int:
            if self._depth:
                return call(*arguments)
            began = perf_counter_ns()
            try:
                return call(*arguments)
            finally:
                self._export_ns += perf_counter_ns() - began

        return timed

    def _host(self, call: Callable[..., int | None]) -> Callable[..., int | None]:
        def timed(*arguments: Any) -> int | None:
            self.host_calls += 1
            self._depth += 1
            began = perf_counter_ns()
            try:
                return call(*arguments)
            finally:
                self._host_ns += perf_counter_ns() - began
                self._depth -= 1

        return timed
