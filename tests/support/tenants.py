"""A module whose plugins act by their configurations, and rules that give them several."""

from typing import Any

_CONFIGURATION = 7

TEXT = f"""(module
(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
(import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
(import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
(import "env" "proxy_send_local_response"
  (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
(memory (export "memory") 64 64)
(data (i32.const 1024) "x-config") (data (i32.const 1040) "x-trap")
(func (export "proxy_abi_version_0_2_1"))
(global $heap (mut i32) (i32.const 65536))
(func (export "malloc") (param i32) (result i32)
  (if (i32.gt_u (i32.add (global.get $heap) (local.get 0)) (i32.const 262144))
    (then (global.set $heap (i32.const 65536))))
  (global.get $heap)
  (global.set $heap (i32.add (global.get $heap) (local.get 0))))
(func $parent (param $id i32) (result i32)
  (i32.add (i32.const 524288) (i32.mul (i32.and (local.get $id) (i32.const 65535)) (i32.const 4))))
(func $place (param $root i32) (result i32)
  (i32.add (i32.const 1048576)
    (i32.mul (i32.and (local.get $root) (i32.const 4095)) (i32.const 256))))
(func $of (param $id i32) (result i32) (call $place (i32.load (call $parent (local.get $id)))))
(func $says (param $place i32) (param $what i32) (result i32)
  (i32.eq (i32.load8_u offset=6 (local.get $place)) (local.get $what)))
(func $tell (param $place i32) (drop (call $log (i32.const 2)
  (i32.add (local.get $place) (i32.const 4)) (i32.load (local.get $place)))))
(func (export "proxy_on_context_create") (param i32 i32)
  (i32.store (call $parent (local.get 0)) (local.get 1)))
(func (export "proxy_on_configure") (param $root i32) (param $size i32) (result i32)
  (local $place i32)
  (local.set $place (call $place (local.get $root)))
  (i32.store (local.get $place) (local.get $size))
  (if (local.get $size) (then
    (drop (call $buffer (i32.const {_CONFIGURATION}) (i32.const 0) (local.get $size)
      (i32.const 0) (i32.const 4)))
    (memory.copy (i32.add (local.get $place) (i32.const 4)) (i32.load (i32.const 0))
      (local.get $size))))
  (if (call $says (local.get $place) (i32.const {ord("#")})) (then unreachable))
  (if (call $says (local.get $place) (i32.const {ord("~")}))
    (then (drop (call $tick (i32.const 1000)))))
  (i32.eqz (call $says (local.get $place) (i32.const {ord("!")}))))
(func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
  (local $place i32)
  (local.set $place (call $of (local.get $id)))
  (if (i32.eqz (call $get (i32.const 0) (i32.const 1040) (i32.const 6) (i32.const 0) (i32.const 4)))
    (then unreachable))
  (if (call $says (local.get $place) (i32.const {ord("-")})) (then
    (drop (call $respond (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const -1)))
    (return (i32.const 1))))
  (drop (call $add (i32.const 0) (i32.const 1024) (i32.const 8)
    (i32.add (local.get $place) (i32.const 4)) (i32.load (local.get $place))))
  (i32.const 0))
(func (export "proxy_on_tick") (param $root i32) (call $tell (call $place (local.get $root))))
(func (export "proxy_on_log") (param $id i32) (call $tell (call $of (local.get $id))))
)"""
"""Adds what a plugin got, of up to 250 bytes, as ``x-config``.

By the first character of the first key it does something else: ``-`` denies, ``!`` refuses the
configuration, ``#`` traps at the configuration, ``~`` asks for ticks. A request with ``x-trap``
traps. Ticks and the log tell what the plugin got.
"""


def rule(
    name: str, match: str | None = None, *adapters: dict[str, Any], **spec: Any
) -> dict[str, Any]:
    """A MixerRule about adapters."""
    given = {"match": match, "adapters": list(adapters) or None, **spec}
    return {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "MixerRule",
        "metadata": {"name": name},
        "spec": {key: value for key, value in given.items() if value is not None},
    }


def gets(adapter: str, key: str) -> dict[str, Any]:
    """That an adapter gets a configuration with one key."""
    return {"name": adapter, "pluginConfig": {key: 1}}


def off(adapter: str) -> dict[str, Any]:
    """That an adapter does not run."""
    return {"name": adapter, "disabled": True}
