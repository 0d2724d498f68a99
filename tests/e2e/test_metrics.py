"""``GET /metrics`` of a service that is running."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from mixer.study.client import HttpConnection, Request, Response
from mixer.study.service import ServiceProcess
from mixer.transport import metrics_server
from tests.e2e.calls import channel, check, check_request, health
from tests.e2e.guests import Guests
from tests.e2e.stack import Document, Services, Stack, adapter, asks, running_envoy
from tests.e2e.test_bad_start import refusal
from tests.support import adapters as do
from tests.support.adapters import adapter as module_text
from tests.support.compile import wasm
from tests.telemetry.reading import Series, open_series_of, series_of
from tests.telemetry.test_otlp import Receiver, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN_METRICS = ("accept", "application/openmetrics-text;version=1.0.0")


def counting(guests: Guests) -> Document:
    """Counts its requests, and denies those with x-deny."""
    text = module_text(do.count("seen.requests", 1), do.when("x-deny", do.deny(403, "no")))
    return adapter("counts", guests.file("counts", wasm(text)))


def telemetry(address: str = "127.0.0.1:0") -> Document:
    return {"metrics": {"address": address}}


def address_of(service: ServiceProcess) -> str:
    """Where it said last that its metrics are."""
    return service.log_text().rpartition("serving /metrics on ")[2].splitlines()[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(services: Services, guests: Guests) -> AsyncIterator[ServiceProcess]:
    async with services.service("metrics", [counting(guests)], telemetry=telemetry()) as running:
        yield running


async def ask(
    service: ServiceProcess,
    method: str = "GET",
    target: str = "/metrics",
    *headers: tuple[str, str],
) -> Response:
    async with HttpConnection(address_of(service)) as connection:
        return await connection.send(Request(method, target, headers))


async def scrape(service: ServiceProcess) -> Series:
    answer = await ask(service)
    assert answer.status == 200
    assert answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    return series_of(answer.body.decode())


async def test_what_a_module_counts(service: ServiceProcess) -> None:
    """A scrape tells what a module and the service counted for the requests before it."""
    before = await scrape(service)
    async with channel(service.address) as opened:
        for request in (check_request(), check_request(), check_request(x_deny="1")):
            await check(opened, request)
    after = await scrape(service)
    labels = (("adapter", "counts"),)
    for name, key, more in (
        ("seen_requests", (), 3),
        ("mixer_adapter_requests_total", labels, 3),
        ("mixer_adapter_denied_total", labels, 1),
        ("mixer_decisions_total", (("verdict", "allow"),), 2),
        ("mixer_decisions_total", (("verdict", "deny"),), 1),
    ):
        assert after[name, key] - before.get((name, key), 0) == more


async def test_both_formats(service: ServiceProcess) -> None:
    """Who asks for OpenMetrics gets it, with the same names."""
    answer = await ask(service, "GET", "/metrics?x=y", OPEN_METRICS)
    kind = answer.header("content-type")
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.body.endswith(b"# EOF\n")
    newer, older = open_series_of(answer.body.decode()), await scrape(service)
    assert newer.keys() == older.keys()


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("GET", "/healthz", 200, b"ok\n"),
        ("GET", "/", 404, b"there are /metrics and /healthz\n"),
        ("GET", "/metrics/", 404, b"there are /metrics and /healthz\n"),
        ("GET", "/../metrics", 404, b"there are /metrics and /healthz\n"),
        ("POST", "/metrics", 405, b"only GET and HEAD\n"),
        ("DELETE", "/healthz", 405, b"only GET and HEAD\n"),
        ("BREW", "/", 404, b"there are /metrics and /healthz\n"),
    ],
)
async def test_other_requests(
    service: ServiceProcess, method: str, target: str, status: int, body: bytes
) -> None:
    """There are two paths and one method, and the rest is told so."""
    answer = await ask(service, method, target)
    assert (answer.status, answer.body) == (status, body)
    assert answer.header("connection") == "close"
    assert answer.header("allow") == ("GET, HEAD" if status == 405 else None)


async def raw(service: ServiceProcess, data: bytes) -> bytes:
    """What comes back for any bytes, until the service ends the connection."""
    host, _, port = address_of(service).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        received = b""
        with contextlib.suppress(ConnectionError):
            while block := await reader.read(65_536):
                received += block
        return received
    finally:
        writer.close()


@pytest.mark.parametrize("path", [b"/metrics", b"/healthz", b"/none"])
async def test_head(service: ServiceProcess, path: bytes) -> None:
    """HEAD is answered without a body."""
    answer = await raw(service, b"HEAD " + path + b" HTTP/1.1\r\nhost: a\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404" if path == b"/none" else b"HTTP/1.1 200")
    assert body == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 100_000, b"431"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n", b"431"),
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /metrics HTTP/1.1\r\nhost: a\r\naccept: \xff;q=\xfe\r\n\r\n", b"200"),
        (b"POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 999999\r\n\r\nbody", b"405"),
    ],
)
async def test_hostile_bytes(service: ServiceProcess, data: bytes, status: bytes) -> None:
    """What is no request, or too large a one, is refused, and the service goes on."""
    answer = await raw(service, data)
    assert answer.partition(b"\r\n")[0].partition(b" ")[2][:3] == status
    assert (await ask(service, "GET", "/healthz")).status == 200
    assert "Traceback" not in service.log_text()


async def test_connections_that_ask_nothing(service: ServiceProcess) -> None:
    """At the bound connections are closed unanswered; those that ask nothing are cut off."""
    host, _, port = address_of(service).rpartition(":")
    bound = metrics_server.MAX_CONNECTIONS
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(bound + 1)]
    try:
        async with asyncio.timeout(60.0):
            ended = [asyncio.create_task(reader.read()) for reader, _ in opened]
            first, _ = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
            assert len(first) == 1
            async with channel(service.address) as grpc_channel:
                await check(grpc_channel, check_request())
            await asyncio.gather(*ended, return_exceptions=True)
        assert (await ask(service, "GET", "/healthz")).status == 200
    finally:
        for _, writer in opened:
            writer.close()


async def test_behind_envoy(envoy: Path, services: Services, guests: Guests) -> None:
    """While an Envoy asks for decisions, scrapes see its requests."""
    async with running_envoy([asks("asks")], {"mixer": services.address("asked")}) as proxy:
        asked = services.service("asked", [counting(guests)], telemetry=telemetry())
        async with asked as service:
            stack = Stack(proxy.envoy, service)
            scrapes = asyncio.create_task(_scrape_often(service))
            for _ in range(20):
                assert (await stack.get("asks")).status == 200
            assert (await stack.get("asks", "/", ("x-deny", "1"))).status == 403
            seen = await scrapes
            assert sorted(seen) == seen
            assert (await scrape(service))["seen_requests", ()] == 21


async def _scrape_often(service: ServiceProcess) -> list[float]:
    return [(await scrape(service)).get(("seen_requests", ()), 0) for _ in range(10)]


async def test_a_unix_socket(services: Services, guests: Guests) -> None:
    """Metrics may be on a Unix socket, which goes with the service."""
    path = services.folder / "m.sock"
    settings = telemetry(f"unix:{path}")
    async with services.service("unix", [counting(guests)], telemetry=settings) as service:
        assert address_of(service) == f"unix:{path}"
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await reader.read()).endswith(b"ok\n")
        writer.close()
    assert not path.exists()


async def test_address_in_use(services: Services, guests: Guests) -> None:
    """An address that another process listens on is named, with the field."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = services.configure("bad", [counting(guests)], telemetry=telemetry(address))
        said = await refusal(config)
    assert f"spec.telemetry.metrics: {address}: Address already in use" in said


async def test_off_unless_configured(services: Services, guests: Guests) -> None:
    """Without an address nothing listens, and nothing is imported for it."""
    async with services.service("silent", [counting(guests)]) as service:
        assert await health(service.address) == "SERVING"
        assert "/metrics" not in service.log_text()
        opened = psutil.Process(service.pid).net_connections("tcp")
        assert not [one for one in opened if one.status == psutil.CONN_LISTEN]
    names = "('opentelemetry.sdk', 'opentelemetry.exporter', 'h11', 'prometheus')"
    code = (
        "import sys, mixer.cli, mixer.transport, mixer.runner, mixer.telemetry;"
        f"print([m for m in sys.modules if m.startswith({names})])"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_metrics_are_sent(services: Services, guests: Guests) -> None:
    """A service sends what its modules count, and the rest when it is stopped."""
    receiver = Receiver()
    receiver.server.start()
    settings = {"otlp": {"endpoint": receiver.url, "interval": "1s"}}
    try:
        async with services.service("sends", [counting(guests)], telemetry=settings) as service:
            async with channel(service.address) as opened:
                await check(opened, check_request())
                await until(lambda: "wasmcustom.seen.requests" in receiver.metrics())
                await check(opened, check_request())
            assert await service.stop() == 0
            assert "Traceback" not in service.log_text()
        [point] = receiver.metrics()["wasmcustom.seen.requests"].sum.data_points
        assert point.as_int == 2
        assert receiver.resource()["service.name"] == "mixer"
    finally:
        receiver.server.stop(None).wait()
