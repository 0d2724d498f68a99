"""Every front end answers once the ledger has what was recorded, and refuses where it has not."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import pytest
import yaml
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from envoy.service.ext_proc.v3 import external_processor_pb2 as ext_proc
from envoy.service.network_ext_proc.v3 import network_external_processor_pb2 as network
from envoy.service.rate_limit_quota.v3 import rlqs_pb2
from envoy.service.ratelimit.v3 import rls_pb2
from envoy.type.v3.ratelimit_strategy_pb2 import RateLimitStrategy
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as otlp

from mixer.config import loads
from mixer.embedded.decider import EmbeddedRunning
from mixer.engine import Engine
from mixer.middleware.asgi import MixerMiddleware
from mixer.state.ledger import LedgerUnavailableError, Record
from mixer.state.ledger.sqlite import SqliteLedger
from mixer.study.client import HttpConnection, Request
from mixer.transport.front_ends import FRONT_ENDS
from mixer.wire import mixer_v1_pb2 as mixer_v1
from tests.api.ext_proc.proxy import GET, headers
from tests.api.mixer_calls import check_bytes, report_bytes
from tests.api.rate_limit_calls import request_bytes
from tests.e2e.calls import CHECK, check_request
from tests.middleware.asgi import Echo, call, lifespan
from tests.support.ledger_entries import usage
from tests.support.recorder import always_recorder
from tests.transport.test_http_server import TOLD, serving

_TIMEOUT_S = 30.0
_MIXER = "/istio.mixer.v1.Mixer/"
_PROCESS = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
_NETWORK = "/envoy.service.network_ext_proc.v3.NetworkExternalProcessor/Process"
_RATE_LIMIT = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
_QUOTAS = "/envoy.service.rate_limit_quota.v3.RateLimitQuotaService/StreamRateLimitQuotas"
_EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


class Ledger(NamedTuple):
    """An engine with a ledger that does what it is told.

    Attributes:
        engine: Records each request and connection.
        file: Of the ledger.
        fail: Has commits fail, or not.
    """

    engine: Engine
    file: Path
    fail: Callable[[bool], None]

    def keys(self) -> list[bytes]:
        with closing(sqlite3.connect(self.file)) as connection:
            return [key for (key,) in connection.execute("SELECT key FROM mixer_ledger_entries")]


def _documents(pending: int) -> str:
    def plugin(name: str, **spec: str) -> dict[str, object]:
        named = {"name": name, "annotations": {"mixer.dev/quotas": "*"}}
        return {
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": named if not spec else {"name": name},
            "spec": {"url": "./recorder.wasm", "failStrategy": "FAIL_CLOSE", **spec},
        }

    mixer = {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "Mixer",
        "metadata": {"name": "mixer"},
        "spec": {"ledger": {"sqlite": {"path": "usage.db"}, "maxPendingRecords": pending}},
    }
    return yaml.safe_dump_all([mixer, plugin("http"), plugin("tcp", type="NETWORK")])


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ledger]]:
    """Makes an engine with a ledger; in the thread of the event loop."""
    append, state, made = SqliteLedger.append, [False], list[Engine]()

    def may(self: SqliteLedger, records: list[Record]) -> object:
        if state[0]:
            raise LedgerUnavailableError("database or disk is full")
        return append(self, records)

    def build(pending: int = 1000) -> Ledger:
        monkeypatch.setattr(SqliteLedger, "append", may)
        (tmp_path / "recorder.wasm").write_bytes(always_recorder(usage("a")))
        made.append(Engine(loads(_documents(pending), base=tmp_path, environ={})))
        return Ledger(made[-1], tmp_path / "usage.db", lambda to: state.__setitem__(0, to))

    yield build
    for one in made:
        one.close()


@asynccontextmanager
async def _channel(engine: Engine) -> AsyncIterator[Any]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(tuple(one.handler(engine, None) for one in FRONT_ENDS))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)


async def _unary(engine: Engine, method: str, message: bytes) -> bytes:
    async with _channel(engine) as channel:
        answer: bytes = await channel.unary_unary(method)(message, timeout=_TIMEOUT_S)
    return answer


async def _stream(engine: Engine, method: str, message: bytes) -> bytes:
    async with _channel(engine) as channel:
        stream = channel.stream_stream(method)(timeout=_TIMEOUT_S)
        await stream.write(message)
        answer: bytes = await stream.read()
        stream.cancel()
    return answer


async def _acknowledged(engine: Engine, method: str, message: bytes) -> bool:
    try:
        await _unary(engine, method, message)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    return True


async def ext_authz(engine: Engine) -> bool:
    answer = await _unary(engine, CHECK, check_request())
    return bool(CheckResponse.FromString(answer).status.code == 0)


async def ext_processing(engine: Engine) -> bool:
    message = ext_proc.ProcessingRequest(request_headers=headers(GET, end=True))
    answer = await _stream(engine, _PROCESS, message.SerializeToString())
    kind = ext_proc.ProcessingResponse.FromString(answer).WhichOneof("response")
    return bool(kind == "request_headers")


async def connections(engine: Engine) -> bool:
    message = network.ProcessingRequest(read_data=network.Data(data=b"one"))
    answer = network.ProcessingResponse.FromString(
        await _stream(engine, _NETWORK, message.SerializeToString())
    )
    return bool(answer.read_data.data == b"one")


async def mixer_check(engine: Engine) -> bool:
    answer = await _unary(engine, f"{_MIXER}Check", check_bytes({"request.path": "/"}))
    return bool(mixer_v1.CheckResponse.FromString(answer).precondition.status.code == 0)


async def mixer_report(engine: Engine) -> bool:
    return await _acknowledged(engine, f"{_MIXER}Report", report_bytes([{"request.path": "/"}]))


async def otlp_export(engine: Engine) -> bool:
    request = otlp.ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.attributes.add(key="url.path").value.string_value = "/"
    return await _acknowledged(engine, _EXPORT, request.SerializeToString())


async def rate_limit(engine: Engine) -> bool:
    answer = await _unary(engine, _RATE_LIMIT, request_bytes((("key", "value"),)))
    code = rls_pb2.RateLimitResponse.FromString(answer).overall_code
    return bool(code == rls_pb2.RateLimitResponse.OK)


async def rate_limit_quota(engine: Engine) -> bool:
    message = rlqs_pb2.RateLimitQuotaUsageReports(domain="edge")
    message.bucket_quota_usages.add(num_requests_allowed=1).bucket_id.bucket["name"] = "a"
    answer = rlqs_pb2.RateLimitQuotaResponse.FromString(
        await _stream(engine, _QUOTAS, message.SerializeToString())
    )
    strategy = answer.bucket_action[0].quota_assignment_action.rate_limit_strategy
    return bool(strategy.blanket_rule != RateLimitStrategy.DENY_ALL)


async def forward_auth(engine: Engine) -> bool:
    async with serving(engine) as server, HttpConnection(server.address, _TIMEOUT_S) as connection:
        return (await connection.send(Request("GET", "/forward_auth", TOLD))).status == 200


async def embedded(engine: Engine) -> bool:
    class Having:
        @asynccontextmanager
        async def running(self) -> AsyncIterator[EmbeddedRunning]:
            yield EmbeddedRunning(engine)

    app = MixerMiddleware(Echo(), Having())
    async with lifespan(app):
        return (await call(app)).status == 200


@pytest.mark.parametrize(
    "passes",
    [
        ext_authz,
        ext_processing,
        connections,
        mixer_check,
        mixer_report,
        otlp_export,
        rate_limit,
        rate_limit_quota,
        forward_auth,
        embedded,
    ],
)
async def test_a_front_end_waits(
    opened: Callable[..., Ledger], passes: Callable[[Engine], Awaitable[bool]]
) -> None:
    """What it lets pass or acknowledges is stored by then, and nothing is while commits fail."""
    ledger = opened()
    assert await passes(ledger.engine)
    assert ledger.keys() == [b"ua"]
    ledger.fail(True)
    assert not await passes(ledger.engine)
    ledger.fail(False)


@pytest.mark.parametrize("acknowledged", [mixer_report, otlp_export])
async def test_a_report_for_which_there_is_no_room(
    opened: Callable[..., Ledger], acknowledged: Callable[[Engine], Awaitable[bool]]
) -> None:
    """It is to be sent again: a module that logs what is over has no way to refuse it."""
    ledger = opened(pending=1)
    ledger.fail(True)
    assert not await acknowledged(ledger.engine)
    commits = ledger.engine.commits
    assert commits is not None
    assert (commits.pending, commits.stats.refused) == (1, 0)
    assert not await acknowledged(ledger.engine)
    assert (commits.pending, commits.stats.refused) == (1, 1)
    ledger.fail(False)
