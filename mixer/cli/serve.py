"""``mixer serve``: answer proxies."""

import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixer.cli.failure import fail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mixer.config import Listener
    from mixer.engine import Adapter, Engine
    from mixer.transport.serve import Told
    from mixer.transport.servers import Addresses

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def serve(
    config: Annotated[
        Path,
        typer.Option(
            "--config",
            "-c",
            help="A YAML file, or a folder: the .yaml and .yml files directly in it.",
        ),
    ],
    continue_on_errors: Annotated[
        bool,
        typer.Option(
            help="Serve even if an adapter with failStrategy FAIL_CLOSE does not load; "
            "requests that it is for are then refused."
        ),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every decision.")] = False,
) -> None:
    """Answer proxies until SIGTERM or Ctrl-C.

    Over gRPC: Envoy's external authorization and processing, rate limits and quotas, network
    filters and access logs, OTLP logs, Istio's Mixer. Over HTTP: external authorization for nginx,
    HAProxy, Caddy and others, and AuthZEN.

    Exit status: 0 after a stop, 1 if it could not start.

    Examples: `mixer serve -c mixer.yaml`; `mixer serve -c /etc/mixer`
    """
    # Else gRPC writes lines of handshakes, errors among them, which anybody can make happen.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format=_FORMAT, stream=sys.stderr
    )
    logging.getLogger("grpc").setLevel(logging.WARNING)
    _serve(config, continue_on_errors=continue_on_errors)


def _serve(config: Path, *, continue_on_errors: bool) -> None:
    """Load and serve; whatever keeps it from that is told as every command tells it."""
    import uvloop

    from mixer.callouts.tls import TlsFilesError
    from mixer.cli.configuration import load_or_fail, refuse
    from mixer.config import ConfigError
    from mixer.state import StoreError
    from mixer.transport import (
        BrokenAdaptersError,
        DecisionLogError,
        ListenError,
        OtlpLibraryError,
    )
    from mixer.transport import serve as serve_until_stopped

    configuration = load_or_fail(config)
    try:
        uvloop.run(
            serve_until_stopped(
                configuration,
                partial(_announce, configuration.mixer.listeners),
                continue_on_errors=continue_on_errors,
            )
        )
    except ConfigError as error:
        refuse(error)
    except (
        BrokenAdaptersError,
        DecisionLogError,
        ListenError,
        OtlpLibraryError,
        StoreError,
        TlsFilesError,
    ) as error:
        fail(f"mixer serve: {error}")


def _announce(
    listeners: "tuple[Listener, ...]",
    engine: "Engine",
    addresses: "Addresses",
    told: "Told",
) -> None:
    lines = [f"{_describe(slot.adapter)}{_ruled(slot.rules)}" for slot in engine.slots] or [
        "no adapters: every request is allowed"
    ]
    lines += [f"rule {rule}" for rule in engine.rules or ()]
    if told.metrics is not None:
        lines.append(f"serving /metrics on {told.metrics}")
    if told.admin is not None:
        lines.append(f"mixer explain can ask at {told.admin}")
    lines += _listening(listeners, addresses)
    print("\n".join(lines), file=sys.stderr)


def _listening(listeners: "tuple[Listener, ...]", addresses: "Addresses") -> list[str]:
    from mixer.config import Protocol
    from mixer.transport.front_ends import SERVICES

    lines = []
    if addresses.grpc:
        grpc = (one for one in listeners if one.protocol is Protocol.GRPC)
        lines.append(f"serving gRPC on {_guarded(grpc, addresses.grpc)}")
        lines += (f"  {one}" for one in SERVICES)
    if addresses.http:
        http = (one for one in listeners if one.protocol is Protocol.HTTP)
        lines.append(f"serving HTTP on {_guarded(http, addresses.http)}")
    return lines


def _guarded(listeners: "Iterable[Listener]", addresses: tuple[str, ...]) -> str:
    pairs = zip(listeners, addresses, strict=True)
    return ", ".join(f"{address}{_guards(listener)}" for listener, address in pairs)


def _guards(listener: "Listener") -> str:
    if listener.tls is None:
        return ""
    parts = ["TLS"]
    if listener.tls.client_ca_file is not None:
        parts.append("client certificates")
    if listener.callers is not None:
        count = len(listener.callers)
        parts.append(f"{count} caller{'' if count == 1 else 's'}")
    return f" ({', '.join(parts)})"


def _ruled(rules: int) -> str:
    return f", {rules} rule{'' if rules == 1 else 's'}" if rules else ""


def _describe(adapter: "Adapter") -> str:
    spec = adapter.plugin.spec
    head = f"adapter {adapter.name}: {spec.phase.value}, {spec.fail_strategy.value}"
    if adapter.module is None or adapter.error:
        return f"{head}, BROKEN: {adapter.error}"
    module = adapter.module
    return (
        f"{head}, ABI {module.abi}, sha256:{module.module.digest[:12]}, "
        f"{adapter.memory_bytes / (1 << 20):.1f} MiB of memory, {spec.url}"
    )
