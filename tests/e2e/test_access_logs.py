"""The service as the receiver of access logs and of OTLP logs, without Envoy."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
import grpc.aio
import psutil
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from mixer.api import access_log, otlp_logs
from mixer.study.service import ServiceProcess
from tests.api.test_access_log import HTTP_ENTRY, entry, framed, message
from tests.api.test_otlp_logs import export, log_record
from tests.api.test_otlp_logs import framed as framed_records
from tests.benchmarks import access_logs
from tests.e2e.calls import call, channel, check, check_request, health
from tests.e2e.guests import Guests
from tests.e2e.stack import Document, Services, adapter
from tests.e2e.test_metrics import scrape, telemetry
from tests.support import adapters as do
from tests.support.compile import wasm

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAM = f"/{access_log.SERVICE}/{access_log.METHOD}"
EXPORT = f"/{otlp_logs.SERVICE}/{otlp_logs.METHOD}"
LONG_S = 60.0

TRAPS = do.adapter(log=(do.where_property("request\0path", "/trap", do.trap),))
COUNTS = {
    "metrics": [
        {
            "name": "requests_total",
            "kind": "COUNTER",
            "dimensions": {
                "code": "response.code",
                "path": "request.path",
                "log": "mixer.log.name",
                "service": 'mixer.log.resource["service.name"]',
                "body": "mixer.log.body",
            },
        }
    ]
}


def adapters(guests: Guests) -> list[Document]:
    return [
        adapter("counts", "builtin://telemetry", COUNTS),
        adapter("only-a", "builtin://telemetry", {"metrics": [{"name": "of_a", "kind": "COUNTER"}]},
                annotations={"match": 'mixer.log.name == "a"'}),
        adapter("traps", guests.file("traps", wasm(TRAPS)), failStrategy="FAIL_CLOSE"),
    ]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(services: Services, guests: Guests) -> AsyncIterator[ServiceProcess]:
    async with services.service("logs", adapters(guests), telemetry=telemetry()) as running:
        yield running


async def counted(running: ServiceProcess, name: str = "requests_total", /, **labels: str) -> float:
    """The sum of the series with these labels."""
    return sum(
        value
        for (found, pairs), value in (await scrape(running)).items()
        if found == name and labels.items() <= dict(pairs).items()
    )


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + LONG_S
    while not await true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def entries(path: str, number: int, code: int = 200, *, log_name: str = "log") -> bytes:
    """A message of entries that are alike."""
    one = entry()
    one.request.path, one.response.response_code.value = path, code
    return message(*[one] * number, log_name=log_name)


async def tell(service: ServiceProcess, messages: Sequence[bytes]) -> bytes:
    """Sends a stream of messages, and ends it."""
    async with channel(service.address) as opened:
        return await opened.stream_unary(STREAM)(iter(messages), timeout=LONG_S)


async def refusal(calling: Awaitable[Any]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await calling
    return caught.value


async def test_what_is_told_is_counted(service: ServiceProcess) -> None:
    """Each entry is a report, and the first message's name of the log is that of all."""
    first, later = entries("/counted", 3), HTTP_ENTRY(request={"path": "/counted"})
    more = framed(later.SerializeToString(), later.SerializeToString())
    assert await tell(service, [first, more]) == b""
    assert await counted(service, path="/counted", code="200", log="log") == 3
    assert await counted(service, path="/counted", code="unknown", log="log") == 2


async def test_adapters_for_one_log(service: ServiceProcess) -> None:
    """The name of the log selects adapters."""
    await tell(service, [entries("/x", 2, log_name="a")])
    await tell(service, [entries("/x", 3, log_name="b")])
    assert await counted(service, "of_a") == 2


async def test_an_adapter_that_fails(service: ServiceProcess) -> None:
    """It harms no other adapter, and no other entry."""
    await tell(service, [entries("/trap", 2) + b"", entries("/after", 1)])
    assert await counted(service, path="/trap") == 2
    assert await counted(service, path="/after") == 1
    assert await counted(service, "mixer_adapter_failures_total", adapter="traps") >= 1


async def test_a_malformed_message(service: ServiceProcess) -> None:
    """The stream ends with INVALID_ARGUMENT after what was good was told."""
    good = HTTP_ENTRY(request={"path": "/good"}).SerializeToString()
    error = await refusal(tell(service, [framed(good), framed(good, b"\xff", good)]))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "entry 2 of 3" in (error.details() or "")
    assert await counted(service, path="/good") == 2


async def test_a_stream_of_many_entries(service: ServiceProcess) -> None:
    """Checks are answered while a stream is told, and in the end nothing is missing."""
    messages = [entries("/many", 50)] * 400
    telling = asyncio.ensure_future(tell(service, messages))
    checks = 0
    async with channel(service.address) as opened:
        while not telling.done():
            await check(opened, check_request())
            checks += 1
    assert await telling == b""
    assert checks >= 3
    assert await counted(service, path="/many") == 20_000


async def test_memory_is_flat(services: Services, guests: Guests) -> None:
    """What a stream has told leaves nothing behind."""
    logs = adapter("logs", guests.file("logs", wasm(do.adapter(log=()))))
    async with services.service("logs-flat", [logs]) as running:
        messages = [access_logs.message(0)[0]] * 200
        await tell(running, messages)
        before = psutil.Process(running.pid).memory_info().rss
        for _ in range(4):
            await tell(running, messages)
        assert psutil.Process(running.pid).memory_info().rss < before + (16 << 20)
        assert await running.stop(60.0) == 0
        assert f"{5 * 200 * access_logs.message(0)[1]} reports" in running.log_text()


async def test_an_export_of_opentelemetry(service: ServiceProcess) -> None:
    """OpenTelemetry's own SDK sends its logs here, compressed too."""
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        exporter = OTLPLogExporter(endpoint=service.address, insecure=True, compression=compression)
        provider = LoggerProvider(Resource({"service.name": "shop"}))
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        record = LogRecord(
            timestamp=time.time_ns(), body="a request",
            attributes={"url.path": "/sdk", "http.response.status_code": 201},
        )  # fmt: skip
        await asyncio.to_thread(provider.get_logger("test").emit, record)
        await asyncio.to_thread(provider.shutdown)
    labels = {"path": "/sdk", "code": "201", "log": "test", "service": "shop", "body": "a request"}
    assert await counted(service, **labels) == 2


async def test_what_an_export_rejects(service: ServiceProcess) -> None:
    """Malformed records, and those that an adapter failed on, are told to the sender."""
    record = log_record({"url.path": "/otlp"}).SerializeToString()
    trap = log_record({"url.path": "/trap"}).SerializeToString()
    async with channel(service.address) as opened:
        answer = await call(opened, framed_records(record, b"\xff", trap, record), EXPORT)
    rejected = logs_service_pb2.ExportLogsServiceResponse.FromString(answer).partial_success
    assert rejected.rejected_log_records >= 2
    assert "1 malformed: record 2 of 4: not a LogRecord" in rejected.error_message
    assert "missed by adapters that failed: traps" in rejected.error_message
    assert await counted(service, path="/otlp") == 2


async def test_health(service: ServiceProcess) -> None:
    """Both services are told of by the health check."""
    for name in (access_log.SERVICE, otlp_logs.SERVICE):
        assert await health(service.address, name) == "SERVING"


async def test_overload(services: Services) -> None:
    """An export is told when to come again; one of any size is taken when there is room."""
    shedding = {"mode": "ENFORCE", "rate": {"requestsPerSecond": 1, "burst": 1}}
    counts = [adapter("counts", "builtin://telemetry", COUNTS)]
    async with (
        services.service(
            "logs-overload", counts, telemetry=telemetry(), loadShedding=shedding
        ) as running,
        channel(running.address) as opened,
    ):
        data = export(log_record({"url.path": "/a"}), log_record({"url.path": "/a"}))
        assert await call(opened, data, EXPORT) == b""
        error = await refusal(call(opened, data, EXPORT))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        trailers = dict(error.trailing_metadata())
        retry = error_details_pb2.RetryInfo()
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        assert status.details[0].Unpack(retry)
        assert retry.retry_delay.ToNanoseconds() > 0
        assert await counted(running, path="/a") == 2

        async def taken() -> bool:
            try:
                return bool(await call(opened, data, EXPORT) == b"")
            except grpc.aio.AioRpcError:
                return False

        await until(taken)
        assert await counted(running, path="/a") == 4
        await tell(running, [entries("/als", 1)])
        assert await counted(running, path="/als") == 1


async def test_the_stop_of_the_service(services: Services) -> None:
    """What was received is told, and a stream that its caller never ends is answered."""
    counts = [adapter("counts", "builtin://telemetry", COUNTS)]
    async with (
        services.service("logs-stop", counts, shutdown={"grace": "60s"}) as running,
        channel(running.address) as opened,
    ):
        stream, quiet = opened.stream_unary(STREAM)(), opened.stream_unary(STREAM)()
        await quiet.write(entries("/q", 1))
        for _ in range(100):
            await stream.write(entries("/a", 50))
        stopping = asyncio.ensure_future(running.stop(grace_s=90.0))
        assert (await stream, await quiet) == (b"", b"")
        assert await stopping == 0
        assert "adapter counts: 0 requests, 0 denied, 5001 reports" in running.log_text()
