"""What `mixer serve` says of its listeners, and what callers can have it say."""

import asyncio
import re
import ssl

import pytest

from mixer.study.process import ChildProcess, ProcessError
from mixer.study.service import SERVE
from tests.e2e.stack import START_TIMEOUT_S, Services, adapter
from tests.support.authority import Authority

_ID = "spiffe://example.org/a"


async def test_listeners_with_tls(services: Services) -> None:
    """Each tells how it is guarded, and a caller that asks for another name writes no line."""
    authority = Authority()
    ca_file = services.folder / "ca.pem"
    ca_file.write_bytes(authority.pem)
    cert_file, key_file = authority.leaf(dns=["localhost"]).files(services.folder)
    tls = {"certFile": str(cert_file), "keyFile": str(key_file)}
    mutual = tls | {"clientCaFile": str(ca_file)}
    any_port = {"address": "127.0.0.1:0"}
    listeners = [
        any_port | {"name": "plain"},
        any_port | {"name": "tls", "tls": tls},
        any_port | {"name": "web", "protocol": "HTTP", "tls": mutual, "callers": [_ID]},
    ]
    config = services.configure("guarded", [], listeners=listeners)
    process = await ChildProcess.start(
        "mixer", [*SERVE, str(config)], services.folder / "guarded.log"
    )
    try:

        async def listens() -> bool:
            return "serving HTTP on" in process.log_text()

        await process.until(listens, START_TIMEOUT_S)
        grpc, _, http = process.log_text().partition("serving gRPC on ")[2].partition("serving ")
        plain, encrypted = grpc.splitlines()[0].split(", ")
        assert "(" not in plain
        address, _, guards = encrypted.partition(" ")
        assert guards == "(TLS)"
        assert http.splitlines()[0].endswith(" (TLS, client certificates, 1 caller)")
        await _greet(address)
    finally:
        await process.stop(30.0)
    assert "server name" not in process.log_text()


async def test_what_may_not_work(services: Services) -> None:
    """Adapters tell of their memory; what they name that is not there is told before there is a
    request."""
    document = adapter("told", "builtin://telemetry", {"otlp": {"cluster": "away"}})
    async with services.service("told", [document]) as service:
        async with asyncio.timeout(30.0):
            while "MiB of memory, builtin://telemetry" not in service.log_text():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert "spec.pluginConfig.otlp.cluster: no cluster 'away'" in service.log_text()


async def test_a_decision_log_that_cannot_be_written(services: Services) -> None:
    """The service does not start, and says which folder is missing."""
    path = services.folder / "no" / "decisions.jsonl"
    document = adapter("told", "builtin://telemetry", {})
    telemetry = {"decisionLog": {"file": {"path": str(path)}}}
    why = f"decisionLog.file.path: {path}: its folder {path.parent} does not exist: make it"
    with pytest.raises(ProcessError, match=re.escape(why)):
        async with services.service("told", [document], telemetry=telemetry):
            pass


async def _greet(address: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(
        host, int(port), ssl=context, server_hostname="another.example"
    )
    await reader.read(1)  # after the handshake the server speaks first
    writer.close()
