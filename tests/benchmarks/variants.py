"""What is compared: one configuration of the service each, and the request to ask."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime
import yaml
from envoy.service.auth.v3 import external_auth_pb2

from mixer.demo.configuration import auth_configuration
from mixer.demo.credentials import Credentials

EMPTY = """
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_delete") (param i32)))
"""

_TEN = """
(module
  (import "env" "proxy_get_header_map_value"
    (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "user-agent")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $n i32)
    (loop $again
      (drop (call $get (i32.const 0) (i32.const 64) (i32.const 10) (i32.const 0) (i32.const 4)))
      (br_if $again
        (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10))))
    (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_delete") (param i32)))
"""

_BROWSER = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-US,en;q=0.9,de;q=0.8",
    "accept-encoding": "gzip, deflate, br, zstd",
    "cookie": "session=6f1ed002ab5595859014ebf0951522d9; theme=dark; consent=all",
    "x-forwarded-for": "198.51.100.7",
    "x-forwarded-proto": "https",
    "x-request-id": "6e9f5b2a-7a6f-4d0f-9f0a-2f8f0b6f2f5e",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One placement of work in the service.

    Attributes:
        name: What is printed.
        plugin: ``spec`` of its WasmPlugin, or None for no adapter.
        headers: Request headers beyond those of a browser; asked in turns.
    """

    name: str
    plugin: dict[str, Any] | None
    headers: tuple[dict[str, str], ...] = ({},)

    def documents(self, address: str) -> str:
        """The configuration file of the service."""
        mixer = {
            "apiVersion": "mixer.dev/v1alpha1",
            "kind": "Mixer",
            "metadata": {"name": "benchmark"},
            "spec": {"listeners": [{"name": "grpc", "address": address}]},
        }
        plugin = {
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": {"name": "adapter"},
            "spec": self.plugin,
        }
        return yaml.safe_dump_all([mixer, plugin] if self.plugin else [mixer])

    def requests(self) -> list[bytes]:
        """CheckRequests as Envoy sends them."""
        return [self._request(headers) for headers in self.headers]

    def _request(self, own: dict[str, str]) -> bytes:
        message = external_auth_pb2.CheckRequest()
        http = message.attributes.request.http
        http.method, http.path, http.host, http.scheme = "GET", "/orders?page=2", "a.b", "https"
        pseudo = {":method": "GET", ":path": "/orders?page=2", ":authority": "a.b",
                  ":scheme": "https"}  # fmt: skip
        http.headers.update({**pseudo, **_BROWSER, **own})
        address = message.attributes.source.address.socket_address
        address.address, address.port_value = "127.0.0.1", 40_000
        return bytes(message.SerializeToString())


def variants(folder: Path, credentials: Credentials) -> list[Variant]:
    """The variants, cheapest first; writes their modules to a folder."""
    auth = {
        "url": "builtin://auth",
        "phase": "AUTHN",
        "pluginConfig": auth_configuration(credentials),
    }
    return [
        Variant("parse and answer, no adapter", None),
        Variant("empty module", {"url": _module(folder, "empty", EMPTY)}),
        Variant("module with ten host calls", {"url": _module(folder, "ten", _TEN)}),
        Variant("auth, API key", auth, ({"x-api-key": credentials.api_key},)),
        Variant("auth, ES256 token seen before", auth, (_bearer(credentials.token),)),
        Variant("auth, ES256 token never seen", auth, tuple(map(_bearer, credentials.more_tokens))),
    ]


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _module(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    return f"file://{path}"
