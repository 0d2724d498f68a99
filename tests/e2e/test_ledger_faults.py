"""The ledger of a running service fails: who asks is to try again, and nothing told is lost."""

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

import grpc.aio
import pytest
import pytest_asyncio
from envoy.service.ext_proc.v3 import external_processor_pb2 as ext_proc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as otlp

from mixer.state.ledger import LedgerReader
from mixer.state.ledger.postgresql import PostgresqlOptions, PostgresqlReader
from mixer.state.ledger.sqlite import SqliteReader
from mixer.state.ledger.verification import verify
from mixer.study.service import ServiceProcess
from tests.api.mixer_calls import report_bytes
from tests.e2e.calls import CHECK, TIMEOUT_S, channel, check, check_request
from tests.e2e.guests import Guests
from tests.e2e.stack import Document, Services, adapter
from tests.e2e.test_metrics import scrape, telemetry
from tests.e2e.test_mixer_v1 import REPORT
from tests.support.ledger_entries import usage
from tests.support.postgresql_server import PostgresqlServer
from tests.support.recorder import recorder

_PROCESS = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
_EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


pytestmark = pytest.mark.asyncio(loop_scope="module")


class Running(NamedTuple):
    """A service with a ledger.

    Attributes:
        process: The service.
        channel: To it.
        reader: Opens its ledger.
    """

    process: ServiceProcess
    channel: grpc.aio.Channel
    reader: Callable[[], LedgerReader]


def _adapters(guests: Guests) -> list[Document]:
    """One that records for a request's headers, one that fails open, and one for what is over."""
    headers, opened, logged = (
        guests.file(name, recorder(header=header, on_headers=not log, on_log=log))
        for name, header, log in (
            ("records", "x-entry", False),
            ("fails-open", "x-open-entry", False),
            ("logs", "x-log-entry", True),
        )
    )
    return [
        adapter("records", headers),
        adapter("fails-open", opened, failStrategy="FAIL_OPEN"),
        adapter("logs", logged),
    ]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sqlite(
    services: Services, guests: Guests, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    file = tmp_path_factory.mktemp("ledger") / "usage.db"
    process = services.service("sqlite", _adapters(guests), telemetry=telemetry(),
                               ledger={"sqlite": {"path": str(file)}})  # fmt: skip
    async with process as service, channel(service.address) as opened:
        yield Running(service, opened, lambda: SqliteReader(file))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_postgresql(
    services: Services, guests: Guests, postgresql: PostgresqlServer
) -> AsyncIterator[Running]:
    options = PostgresqlOptions(postgresql.dsn)
    ledger = {"postgresql": {"dsn": postgresql.dsn, "timeout": "2s"}}
    process = services.service("postgresql", _adapters(guests), ledger=ledger)
    async with process as service, channel(service.address) as opened:
        yield Running(service, opened, lambda: PostgresqlReader(options))


def _limit(service: ServiceProcess, size: int) -> None:
    """Let no file of a process grow beyond a size: what it writes fails as on a full disk."""
    _, hard = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (size, hard))


@contextmanager
def _full(running: Running) -> Iterator[None]:
    """There is no room on the disk."""
    _limit(running.process, 1)
    try:
        yield
    finally:
        _limit(running.process, resource.RLIM_INFINITY)


async def _asks(running: Running, key: str) -> int:
    """Have a request checked; the gRPC code of the decision."""
    answer = await check(running.channel, check_request(x_entry=usage(key).hex()))
    return int(answer.status.code)


async def _tells(running: Running, *keys: str) -> grpc.StatusCode:
    """Report requests; the gRPC code."""
    records = [{"request.headers": {"x-log-entry": usage(key).hex()}} for key in keys]
    return await _code(running, REPORT, report_bytes(records))


async def _code(running: Running, method: str, request: bytes) -> grpc.StatusCode:
    try:
        await running.channel.unary_unary(method)(request, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - another process has no Event
            await asyncio.sleep(0.02)


async def _recovers(running: Running, key: str) -> None:
    async def passes() -> bool:
        return await _asks(running, key) == 0

    await _until(passes)


def _keys(running: Running) -> set[str]:
    """What the ledger has; each is there once, and the chain is whole."""
    reader = running.reader()
    keys = [row.key.decode()[1:] for row in reader.rows()]
    verify(reader)
    reader.close()
    assert len(set(keys)) == len(keys)
    return set(keys)


async def test_a_disk_that_fills(sqlite: Running) -> None:
    """What was let pass is stored; the others are refused, and all goes on once there is room."""
    _limit(sqlite.process, 300_000)
    passed = list[str]()
    async with asyncio.timeout(60):
        while await _asks(sqlite, key := f"fills-{len(passed)}") == 0:
            passed.append(key)
    _limit(sqlite.process, resource.RLIM_INFINITY)
    assert passed
    await _recovers(sqlite, "filled")
    assert {*passed, "filled"} <= _keys(sqlite)


async def test_a_full_disk(sqlite: Running) -> None:
    """Checks are refused, reports are to be sent again, and all goes on once there is room."""
    with _full(sqlite):
        assert await _asks(sqlite, "full-check") == 14
        assert await _tells(sqlite, "full-report") is grpc.StatusCode.UNAVAILABLE
        assert (await scrape(sqlite.process))["mixer_ledger_failing", ()] == 1
    await _recovers(sqlite, "full-after")
    assert await _tells(sqlite, "full-report") is grpc.StatusCode.OK
    assert (await scrape(sqlite.process))["mixer_ledger_failing", ()] == 0
    stored = _keys(sqlite)
    assert {"full-report", "full-after"} <= stored
    assert "full-check" not in stored


def _headers(**headers: str) -> bytes:
    message = ext_proc.ProcessingRequest()
    told = message.request_headers.headers.headers
    pseudo = {":method": "GET", ":path": "/", ":authority": "test", ":scheme": "http"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in (pseudo | named).items():
        told.add(key=name, raw_value=value.encode())
    message.request_headers.end_of_stream = True
    return bytes(message.SerializeToString())


async def _processes(running: Running, key: str) -> ext_proc.ProcessingResponse:
    call = running.channel.stream_stream(_PROCESS)(timeout=TIMEOUT_S)
    await call.write(_headers(x_entry=usage(key).hex()))
    answer = ext_proc.ProcessingResponse.FromString(await call.read())
    call.cancel()
    return answer


async def test_ext_proc_waits(sqlite: Running) -> None:
    """A stream's answer comes once its record is stored, and is an error where that fails."""
    assert (await _processes(sqlite, "stream")).WhichOneof("response") == "request_headers"
    assert "stream" in _keys(sqlite)
    with _full(sqlite):
        refused = await _processes(sqlite, "stream-full")
        assert refused.immediate_response.status.code == 503
    await _recovers(sqlite, "stream-after")
    assert "stream-full" not in _keys(sqlite)


async def test_ext_proc_logs(sqlite: Running) -> None:
    """What is recorded as a stream is logged is stored before its call ends with OK."""
    call = sqlite.channel.stream_stream(_PROCESS)(timeout=TIMEOUT_S)
    await call.write(_headers(x_log_entry=usage("stream-log").hex()))
    await call.read()
    await call.done_writing()
    assert await call.code() is grpc.StatusCode.OK
    assert "stream-log" in _keys(sqlite)


async def test_otlp_waits(sqlite: Running) -> None:
    """An export is acknowledged once its records are stored, and else is to be sent again."""
    request = otlp.ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    value = record.attributes.add(key="http.request.header.x-log-entry").value.array_value
    value.values.add().string_value = usage("export").hex()
    export = request.SerializeToString()
    with _full(sqlite):
        assert await _code(sqlite, _EXPORT, export) is grpc.StatusCode.UNAVAILABLE
    await _recovers(sqlite, "export-after")
    assert await _code(sqlite, _EXPORT, export) is grpc.StatusCode.OK
    assert "export" in _keys(sqlite)


async def test_a_postgresql_that_fails(
    on_postgresql: Running, postgresql: PostgresqlServer
) -> None:
    """Crashed, frozen and started anew under load, it has what was acknowledged, each once."""
    running = on_postgresql
    acknowledged = set[str]()

    async def load(name: str) -> None:
        for number in count():
            key = f"{name}-{number}"
            if await _asks(running, key) == 0:
                acknowledged.add(key)

    async def more(number: int) -> None:
        goal = len(acknowledged) + number

        async def reached() -> bool:
            return len(acknowledged) >= goal

        await _until(reached)

    callers = [asyncio.ensure_future(load(f"caller-{n}")) for n in range(8)]
    try:
        for _ in range(2):
            await more(50)
            postgresql.kill()
            assert await _tells(running, "while-down") is grpc.StatusCode.UNAVAILABLE
            postgresql.start()
            await more(50)
            postgresql.freeze()
            frozen = asyncio.ensure_future(_tells(running, "while-frozen"))
            await asyncio.sleep(0)
            postgresql.thaw()
            assert await frozen is grpc.StatusCode.OK
        await more(50)
    finally:
        for one in callers:
            one.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    assert acknowledged | {"while-frozen"} <= _keys(running)


async def test_a_postgresql_that_does_not_answer(
    on_postgresql: Running, postgresql: PostgresqlServer
) -> None:
    """What records nothing is answered meanwhile, and what fails open passes in time."""
    running = on_postgresql
    await _recovers(running, "slow-before")
    postgresql.freeze()
    try:
        request = check_request(x_open_entry=usage("slow-open").hex())
        waits = running.channel.unary_unary(CHECK)(request, timeout=2.0)
        answer = await check(running.channel, check_request())
        assert answer.status.code == 0
        assert type(answer).FromString(await waits).status.code == 0
    finally:
        postgresql.thaw()
    await _recovers(running, "slow-after")
    assert {"slow-before", "slow-open", "slow-after"} <= _keys(running)
