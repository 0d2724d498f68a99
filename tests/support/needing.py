"""A service whose adapters each need one backend, and one that needs none, chosen by the path."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from envoy.service.auth.v3 import external_auth_pb2

from tests.api.mixer_calls import report_bytes
from tests.e2e.calls import CHECK, check_request
from tests.e2e.stack import Document, adapter
from tests.support import adapters as do
from tests.support.backend_process import Backend, BackendProcess
from tests.support.compile import wasm
from tests.support.identity_provider import key, key_set, token
from tests.support.postgresql_server import PostgresqlServer
from tests.support.redis_server import RedisServer

BACKENDS = {
    "redis": "Redis, quotas",
    "store": "Redis, shared data",
    "postgresql": "PostgreSQL, ledger",
    "jwks": "JWKS server",
    "collector": "collector",
}
"""Their names, with what is behind each."""

_REPORT = "/istio.mixer.v1.Mixer/Report"
_API_KEY = "demo-key"
_SIGNER = key("k1")

Call = tuple[str, bytes]
"""A method of gRPC, and its request."""


@dataclass(frozen=True, slots=True)
class Backends:
    """Five that are running, each named as in `BACKENDS`."""

    redis: RedisServer
    store: RedisServer
    postgresql: PostgresqlServer
    jwks: BackendProcess
    collector: BackendProcess

    def named(self, name: str) -> Backend:
        """One of them."""
        found: Backend = getattr(self, name)
        return found


@contextmanager
def backends_running() -> Iterator[Backends]:
    """Start all of them."""
    with ExitStack() as stack:
        folders = [
            Path(stack.enter_context(TemporaryDirectory(prefix="mixer-faults-"))) for _ in range(3)
        ]
        keys = key_set(_SIGNER)[1]
        yield Backends(
            stack.enter_context(RedisServer(folders[0])),
            stack.enter_context(RedisServer(folders[1])),
            stack.enter_context(PostgresqlServer()),
            stack.enter_context(BackendProcess("jwks", folders[2], keys)),
            stack.enter_context(BackendProcess("collector", folders[2])),
        )


def spec(backends: Backends, timeout_s: int | None = None) -> dict[str, Any]:
    """Of the Mixer document.

    Args:
        backends: What is needed.
        timeout_s: What calls that wait may take; None is the default of each.
    """
    bounded = {} if timeout_s is None else {"timeout": f"{timeout_s}s"}
    quotas = {"redis": {"url": backends.redis.url, **bounded}}
    traces = {"endpoint": f"http://{backends.collector.address}", "interval": "100ms"}
    return {
        "state": {
            "store": {"redis": {"url": backends.store.url}},
            "quota": {"store": quotas, "onUnavailable": "CLOSED"},
        },
        "ledger": {"postgresql": {"dsn": backends.postgresql.dsn, **bounded}},
        "clusters": [
            {"name": name, "endpoints": [address]}
            for name, address in (
                ("jwks", backends.jwks.address),
                ("collector", backends.collector.address),
            )
        ],
        "telemetry": {"metrics": {"address": "127.0.0.1:0"}, "traces": traces | {"sampling": 1}},
    }


def adapters(folder: Path, timeout_s: int = 5) -> list[Document]:
    """One for each backend, and one that needs none.

    Args:
        folder: For the module that reads shared data.
        timeout_s: Seconds that a fetch of keys may take.
    """
    reads = folder / "reads.wasm"
    reads.write_bytes(wasm(do.adapter(do.when_shared("key", do.deny(403)))))
    uri = {"uri": "http://jwks/keys", "cluster": "jwks", "timeout_seconds": timeout_s}
    kept = {"cache_duration_seconds": 2, "stale_duration_seconds": 0}
    provider = {"issuer": "i", "audiences": ["*"], "remote_jwks": {"http_uri": uri, **kept}}
    api_key = {"sha256": sha256(_API_KEY.encode()).hexdigest(), "consumer": "alice"}
    limit = {"name": "requests", "max": 10**9, "window": "1h"}
    log = {"name": "access", "output": "OTLP", "fields": {"path": "request.path"}}
    sent = {"cluster": "collector", "interval": "50ms"}
    return [
        _on("redis", "builtin://quota", {"quotas": [limit]}),
        _on("store", reads),
        _on("postgresql", "builtin://billing", {"subject": '"acme"', "recordOn": "request"}),
        _on("jwks", "builtin://auth", {"jwt": {"providers": [provider]}}),
        _on("collector", "builtin://telemetry", {"istio": False, "logs": [log], "otlp": sent}),
        _on("others", "builtin://auth", {"api_keys": {"keys": [api_key]}}),
    ]


def _on(name: str, module: Path | str, configuration: Mapping[str, Any] | None = None) -> Document:
    """An adapter for one path only."""
    chosen = {"match": f'request.path == "/{name}"'}
    return adapter(name, module, configuration, annotations=chosen)


def others() -> Call:
    """What needs no backend."""
    return CHECK, check_request("/others", x_api_key=_API_KEY)


def needing(name: str) -> Call:
    """What needs one: a request, or for the collector a report of one."""
    if name == "collector":
        return _REPORT, report_bytes([{"request.path": "/collector"}])
    return CHECK, check_request(f"/{name}", authorization=f"Bearer {token(_SIGNER)}")


def passes(call: Call, answer: bytes) -> bool:
    """Whether the answer lets the request pass; a report is taken if it is answered."""
    if call[0] != CHECK:
        return True
    message = external_auth_pb2.CheckResponse.FromString(answer)
    return bool(message.status.code == 0)
