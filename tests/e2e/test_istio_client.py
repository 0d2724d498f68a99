"""The service, asked by a client of Istio's own generated types: ``tests/e2e/istio_client``."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from mixer.study.service import ServiceProcess
from tests.e2e.guests import Guests
from tests.e2e.stack import Services
from tests.e2e.test_metrics import scrape, telemetry
from tests.e2e.test_mixer_v1 import adapters

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = Path(__file__).parent / "istio_client"
DOWNLOAD_S, BUILD_S = 120, 900


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client; the test is skipped where there is no Go, or no way to its modules."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("needs Go")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly"}
    try:
        subprocess.run(
            [go, "mod", "download"],
            cwd=SOURCE, env=environment, check=True, capture_output=True, timeout=DOWNLOAD_S,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"needs Istio's modules, and they cannot be had: {error}")
    built = tmp_path_factory.mktemp("istio-client") / "client"
    subprocess.run(
        [go, "build", "-buildvcs=false", "-o", str(built), "."],
        cwd=SOURCE, env=environment, check=True, timeout=BUILD_S,
    )  # fmt: skip
    return built


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    client: Path, services: Services, guests: Guests
) -> AsyncIterator[ServiceProcess]:
    async with services.service("go", adapters(guests), telemetry=telemetry()) as running:
        yield running


async def ask(client: Path, service: ServiceProcess, header: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        client, service.address, header, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(told)
    assert not found["Error"]
    return found


async def test_an_allowed_request(client: Path, service: ServiceProcess) -> None:
    """Every part of the answer is read: status, validity, references, directive, quotas."""
    before = await scrape(service)
    found = await ask(client, service, "x-other")
    assert (found["Code"], found["Message"]) == (0, "")
    assert 4 < found["ValidSeconds"] <= 5
    assert found["ValidUseCount"] == 1000
    assert "request.headers::x-deny ABSENCE" in found["References"]
    assert found["Request"] == [{"Name": "x-added", "Value": "1", "Operation": "REPLACE"}]
    assert found["Granted"] == {"requestcount": 3, "nosuch": 0}
    assert found["QuotaCodes"] == {"requestcount": 0, "nosuch": 5}
    assert found["QuotaSeconds"] == {"requestcount": 60, "nosuch": 0}
    assert found["ReportError"] == ""
    after = await scrape(service)
    told = {
        name: after[name, ()] - before.get((name, ()), 0)
        for name in ("told_records", "told_of_a", "told_404")
    }
    assert told == {"told_records": 2, "told_of_a": 2, "told_404": 2}


async def test_a_denied_request(client: Path, service: ServiceProcess) -> None:
    """The answer that the caller is to give, and no quota."""
    found = await ask(client, service, "x-deny")
    assert (found["Code"], found["Message"]) == (7, "decides:not you")
    assert (found["DirectCode"], found["DirectBody"]) == (403, "not you")
    assert "request.headers::x-deny EXACT" in found["References"]
    assert found["Granted"] == {}
