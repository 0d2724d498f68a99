"""The decision log of a running service, and ``mixer explain``."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as messages
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as services_pb2_grpc

from mixer.study.service import ServiceProcess
from tests.api.mixer_calls import check_bytes
from tests.api.rate_limit_calls import request_bytes
from tests.e2e.calls import call, channel, check, check_request
from tests.e2e.stack import Document, Services, adapter
from tests.e2e.test_bad_start import refusal
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIXER = "/istio.mixer.v1.Mixer/Check"
RATE_LIMIT = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
KEY = "demo-key"
AUTH = {
    "api_keys": {
        # printf demo-key | sha256sum
        "keys": [
            {
                "sha256": "c48a01f49fd0f2cc404bc3cbbc80e91457a3d41bb429a695243de4c61794155c",
                "consumer": "alice",
            }
        ]
    }
}
QUOTA = {"quotas": [{"name": "rps", "max": 4, "window": "1h"}]}


class Receiver(services_pb2_grpc.LogsServiceServicer):
    """Keeps the log records that it gets."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        services_pb2_grpc.add_LogsServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    def Export(  # noqa: N802
        self, request: messages.ExportLogsServiceRequest, _context: grpc.ServicerContext
    ) -> messages.ExportLogsServiceResponse:
        for of_resource in request.resource_logs:
            for of_scope in of_resource.scope_logs:
                self.records += of_scope.log_records
        return messages.ExportLogsServiceResponse()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """A receiver of OTLP that is running."""
    running = Receiver()
    running.server.start()
    yield running
    running.server.stop(None).wait()


def adapters() -> list[Document]:
    return [
        adapter("auth", "builtin://auth", AUTH, phase="AUTHN"),
        adapter("limit", "builtin://quota", QUOTA, annotations={"quotas": "rps"}, phase="STATS"),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(services: Services, receiver: Receiver) -> AsyncIterator[ServiceProcess]:
    """A service that tells every decision, with its story."""
    log = {
        "file": {"path": "./decisions.jsonl"},
        "stdout": {},
        "otlp": {"endpoint": f"http://127.0.0.1:{receiver.port}"},
        "sampling": {"story": 100},
        "values": True,
    }
    told = {"admin": {"address": f"unix:{services.folder}/admin.sock"},
            "telemetry": {"decisionLog": log}}  # fmt: skip
    async with services.service("explained", adapters(), **told) as running:
        yield running


@pytest.fixture
def decisions(services: Services) -> Path:
    """Where the service tells its decisions."""
    return services.folder / "decisions.jsonl"


def told(file: Path, identity: str) -> list[dict[str, Any]]:
    """The decisions about requests with an id."""
    text = file.read_text() if file.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [one for one in map(json.loads, lines) if one.get("id") == identity]


async def once_told(file: Path, identity: str) -> dict[str, Any]:
    await asyncio.to_thread(eventually, lambda: told(file, identity))
    (found,) = told(file, identity)
    return found


async def explain(services: Services, *arguments: str) -> tuple[int, str, str]:
    """Exit status and output of ``mixer explain``."""
    argv = [sys.executable, "-m", "mixer", "explain", *arguments]
    if "-a" not in arguments:
        argv += ["-a", f"unix:{services.folder}/admin.sock"]
    done = await asyncio.to_thread(
        subprocess.run, argv, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


async def test_a_denial(service: ServiceProcess, decisions: Path, receiver: Receiver) -> None:
    """It is told in the file, on standard output and by OTLP, and no secret is in it."""
    request = check_request("/a?token=hush", x_request_id="denied", x_api_key="hush-key")
    async with channel(service.address) as opened:
        await check(opened, request)
    entry = await once_told(decisions, "denied")
    assert (entry["front_end"], entry["verdict"], entry["adapter"]) == ("ext_authz", "deny", "auth")
    assert (entry["reason"], entry["status"]) == ("api_key_unknown", 401)
    assert (entry["subject"], entry["caller"]) == ("GET '/a'", "unix")
    (auth,) = entry["adapters"]
    assert auth["reads"]['request.headers["x-api-key"]'] == "***"
    await asyncio.to_thread(
        eventually, lambda: [one for one in receiver.records if "denied" in str(one)]
    )
    (record,) = (one for one in receiver.records if "denied" in str(one))
    assert record.body.string_value == "GET '/a': deny"
    assert record.event_name == "mixer.decision"
    assert json.dumps(entry, separators=(",", ":")) in service.log_text()
    written = service.log_text() + "".join(map(str, told(decisions, "denied")))
    assert "hush" not in written + str(receiver.records)


async def test_each_front_end(service: ServiceProcess, decisions: Path) -> None:
    """Decisions are told whoever asked, and quotas with what came of them."""
    about = {"request.headers": {"x-request-id": "by-mixer", "x-api-key": KEY}}
    async with channel(service.address) as opened:
        await call(opened, check_bytes(about, quotas={"rps": (1, False)}), MIXER)
        await call(opened, request_bytes((("k", "v"),), domain="rps"), RATE_LIMIT)
    await asyncio.to_thread(eventually, lambda: len(told(decisions, "by-mixer")) == 2)
    check_entry, quota_entry = told(decisions, "by-mixer")
    assert (check_entry["front_end"], check_entry["verdict"]) == ("mixer_v1", "allow")
    assert quota_entry["outcome"] == "1 of 1 of quota 'rps'"
    assert [one["name"] for one in quota_entry["adapters"]] == ["limit"]

    def limits() -> list[str]:
        return [one for one in decisions.read_text().splitlines() if '"rate_limit"' in one]

    await asyncio.to_thread(eventually, limits)
    (line,) = limits()
    assert json.loads(line)["subject"] == "rate limit 'rps' [k]"


async def test_what_would_be_decided(service: ServiceProcess, services: Services) -> None:
    """The whole story is printed, and the exit status tells the verdict; nothing is charged."""
    assert service.exit_status is None
    for _ in range(6):  # more than the quota has
        status, text, _ = await explain(services, "/x?q=hush", "-H", f"x-api-key: {KEY}")
        assert status == 0
    assert text.startswith("GET '/x': ALLOW, by all of auth, limit\n")
    for line in (
        "  host: localhost",
        '    read request.headers["x-api-key"] = ***',
        "    read mixer.operation = explain",
        "  set x-consumer: alice",
    ):
        assert line in text.splitlines()
    assert "hush" not in text
    assert KEY not in text
    status, text, _ = await explain(services, "/x")
    assert status == 1
    assert text.startswith("GET '/x': DENY by auth: api_key_missing\n")
    assert "  limit: did not run: not reached" in text.splitlines()


async def test_as_json(service: ServiceProcess, services: Services) -> None:
    """Programs get all of it."""
    assert service.exit_status is None
    status, text, _ = await explain(services, "https://shop.example/x?y", "-X", "POST", "--json")
    found = json.loads(text)
    (decision,) = found["decisions"]
    assert (status, decision["host"], decision["subject"]) == (1, "shop.example", "POST '/x'")
    assert found["not_run"] == {"limit": "not reached"}
    assert found["answer"][0] == "HTTP status 401"


async def test_what_was_decided(
    service: ServiceProcess, services: Services, decisions: Path
) -> None:
    """A decision that was made is found by its id."""
    async with channel(service.address) as opened:
        await check(opened, check_request("/past", x_request_id="past"))
    await once_told(decisions, "past")
    status, text, _ = await explain(services, "--id", "past")
    assert status == 1
    assert text.startswith("GET '/past': DENY by auth: api_key_missing\n")
    status, _, error = await explain(services, "--id", "never")
    assert (status, error) == (
        1, "mixer explain: no decision with the id 'never' is remembered\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("ftp://x",), 2, "'ftp://x' must be a path"),
        (("/", "-H", "bad"), 2, "NAME: VALUE"),
        (("/", "--source", "here"), 2, "--source 'here' must be IP:PORT"),
        (("/", "--context-extension", "x"), 2, "must be NAME=VALUE"),
        (("/", "-a", "unix:/nobody/there.sock"), 3, "nobody answers"),
    ],
)
async def test_what_cannot_be_explained(
    services: Services, arguments: tuple[str, ...], status: int, message: str
) -> None:
    """The message says what is wrong, and what to do."""
    found, _, error = await explain(services, *arguments)
    assert found == status
    assert message in error


async def test_the_wrong_address(service: ServiceProcess, services: Services) -> None:
    """That of a listener is told as such."""
    status, _, error = await explain(services, "/", "-a", service.address)
    assert status == 3
    assert "who answers is no admin address" in error


async def test_a_log_that_cannot_be_written(services: Services) -> None:
    """The service does not start."""
    log = {"file": {"path": "./no/decisions.jsonl"}}
    text = await refusal(services.configure("unwritten", [], telemetry={"decisionLog": log}))
    assert text == (
        f"mixer serve: spec.telemetry.decisionLog.file.path: {services.folder}/no/decisions.jsonl: "
        f"its folder {services.folder}/no does not exist: make it, or name a file elsewhere\n"
    )


async def test_an_address_that_is_taken(service: ServiceProcess, services: Services) -> None:
    """A second service does not take it over."""
    assert service.exit_status is None
    admin = {"address": f"unix:{services.folder}/admin.sock"}
    text = await refusal(services.configure("second", [], admin=admin))
    assert "spec.admin: unix:" in text
    assert "it is in use by another process" in text
