"""The configurations of deploy/ that bill by access logs: Envoy asks and tells."""

import asyncio
import contextlib
import csv
import io
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess
from mixer.study.service import ServiceProcess
from mixer.study.upstream import EchoUpstream
from tests.e2e import deployed
from tests.e2e.stack import START_TIMEOUT_S, Services
from tests.e2e.test_access_logs import until
from tests.e2e.test_llm_gateway import usage

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("envoy")]

KEY = ("x-api-key", "demo-key")
SPOOFED = ("x-consumer", "mallory")


@contextlib.asynccontextmanager
async def edge(
    services: Services, ledger: Path, without: str = ""
) -> AsyncIterator[tuple[EnvoyProcess, ServiceProcess]]:
    """Both, but for one text of Envoy's configuration."""
    kept = {"sqlite": {"path": str(ledger)}}
    running = services.service(ledger.stem, deployed.adapters("billing"), ledger=kept)
    async with EchoUpstream() as upstream, running as service:
        config = deployed.envoy_configuration(
            "ext_authz_billing", mixer=service.address, upstream=upstream.address
        )
        text = json.dumps(config).replace('"0.2s"', '"10s"').replace('"1s"', '"0.05s"')
        changed = json.loads(text.replace(without, "[]") if without else text)
        async with EnvoyProcess(changed, start_timeout_s=START_TIMEOUT_S) as envoy:
            yield envoy, service


async def status(envoy: EnvoyProcess, target: str, *headers: tuple[str, str]) -> int:
    async with HttpConnection(envoy.address("ingress"), 30.0) as connection:
        return (await connection.send(Request("GET", target, headers))).status


async def sums(ledger: Path) -> list[dict[str, str]]:
    """The rows that `mixer usage sums` prints."""
    command = ("-m", "mixer", "usage", "sums", "--csv", "--per", "month", "--sqlite", str(ledger))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return [*csv.DictReader(io.StringIO(output.decode()))]


async def test_what_passed_is_billed_when_it_is_logged(services: Services, tmp_path: Path) -> None:
    """To whom the auth adapter named, whatever clients say; nothing of what was refused."""
    ledger = tmp_path / "by-logs.db"
    async with edge(services, ledger) as (envoy, service):
        assert await status(envoy, "/refused", SPOOFED) == 401
        for target in ("/a?x=1", "/b", "/b"):
            assert await status(envoy, target, KEY, SPOOFED) == 200
        found = await usage(ledger, 3)
    assert sorted(one["labels"]["path"] for one in found) == ["/a", "/b", "/b"]
    assert all(one["quantities"]["total_bytes"] > 0 for one in found)
    rows = await sums(ledger)
    calls = [(one["subject"], one["units"]) for one in rows if one["meter"] == "calls"]
    assert calls == [("alice", "3")]
    assert "said once" not in service.log_text()


async def test_a_header_that_is_not_logged(services: Services, tmp_path: Path) -> None:
    """The log of the service has what is missing, and where to put it."""
    ledger = tmp_path / "unlogged.db"
    async with edge(services, ledger, without='["x-consumer"]') as (envoy, service):
        assert await status(envoy, "/", KEY) == 200

        async def is_told() -> bool:
            return "additional_request_headers_to_log" in service.log_text()

        await until(is_told)
