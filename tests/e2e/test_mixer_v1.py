"""The service as a Mixer: over gRPC, as ``mixc`` and proxies of Istio ask it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mixer.attributes import Value
from mixer.study.service import ServiceProcess
from mixer.wire import mixer_v1_pb2 as pb
from tests.api.mixer_calls import check_bytes, references, report_bytes
from tests.e2e.calls import TIMEOUT_S, call, channel, check, check_request
from tests.e2e.guests import Guests
from tests.e2e.stack import Document, Services, adapter
from tests.e2e.test_metrics import scrape, telemetry
from tests.e2e.test_waiting import Auth, clusters, documents
from tests.support import adapters as do
from tests.support.compile import wasm

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHECK = "/istio.mixer.v1.Mixer/Check"
REPORT = "/istio.mixer.v1.Mixer/Report"
MIXC_CHECK = bytes.fromhex(
    "0a180a0c726571756573742e706174680a022f611204080110031a093338363436363933"
    "3122140a0c7265717565737463"
    "6f756e74120408031001"
)
"""What ``mixc check -s request.path=/a -q requestcount=3`` sent."""

DECIDES = do.adapter(
    do.where_header("x-deny", None, do.deny(403, "not you", "denied")),
    do.where_header("x-who", None, do.where_property("mixer\0caller", "unix", do.deny(403, "u"))),
    do.where_header("x-trap", None, do.trap),
    do.add("x-added", "1"),
)
COUNTERS = {"told.records": 128, "told.of_a": 132, "told.404": 136, "told.as_report": 140}
"""Where the module keeps the number of each."""


def _define(name: str) -> do.Step:
    return lambda t: (
        f"(drop (call $define (i32.const 0) {t.place(name)} (i32.const {COUNTERS[name]})))"
    )


def _count(name: str) -> do.Step:
    return lambda _: (
        f"(drop (call $increment (i32.load (i32.const {COUNTERS[name]})) (i64.const 1)))"
    )


LOGS = do.adapter(
    configure=tuple(_define(name) for name in COUNTERS),
    log=(
        _count("told.records"),
        do.where_property("request\0path", "/a", _count("told.of_a")),
        do.where_property("response\0code", (404).to_bytes(8, "little"), _count("told.404")),
        do.where_property("mixer\0operation", "report", _count("told.as_report")),
    ),
)
TRAPS = do.adapter(log=(do.where_property("request\0path", "/trap", do.trap),))
GRANTS = do.adapter(
    do.where_property(
        "mixer\0operation",
        "quota",
        do.set_property("mixer.valid_duration", "1m"),
        do.set_property("mixer.quota.granted", "3"),
        do.where_property(
            "mixer\0dedup_id", "nothing", do.set_property("mixer.quota.granted", "0")
        ),
        do.where_property("source\0labels\0app", None),
    )
)


def adapters(guests: Guests) -> list[Document]:
    """What they do is in the modules' texts."""
    return [
        adapter("decides", guests.file("decides", wasm(DECIDES)),
                annotations={"valid-duration": "5s", "valid-use-count": "1000"}),
        adapter("traps", guests.file("traps", wasm(TRAPS)), priority=9,
                annotations={"valid-duration": "1h"}),
        adapter("logs", guests.file("logs", wasm(LOGS)), annotations={"valid-duration": "1h"}),
        adapter("grants", guests.file("grants", wasm(GRANTS)),
                annotations={"quotas": "requestcount", "valid-duration": "1h"}),
    ]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(services: Services, guests: Guests) -> AsyncIterator[ServiceProcess]:
    manifest = {"own.rank": "INT64"}
    async with services.service(
        "mixer-v1", adapters(guests), telemetry=telemetry(), attributeManifest=manifest
    ) as running:
        yield running


async def ask(
    service: ServiceProcess, attributes: Mapping[str, Value] | bytes, **options: Any
) -> pb.CheckResponse:
    data = attributes if isinstance(attributes, bytes) else check_bytes(attributes, **options)
    async with channel(service.address) as opened:
        return pb.CheckResponse.FromString(await call(opened, data, CHECK))


async def tell(service: ServiceProcess, *records: Mapping[str, Value], **fields: Any) -> None:
    async with channel(service.address) as opened:
        assert await call(opened, report_bytes(records, **fields), REPORT) == b""


async def refusal(service: ServiceProcess, method: str, data: bytes) -> tuple[str, str]:
    async with channel(service.address) as opened:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(opened, data, method)
    return caught.value.code().name, caught.value.details() or ""


async def test_allowed(service: ServiceProcess) -> None:
    """An answer has status, validity, references, and what is to be done to the request."""
    result = (await ask(service, {"request.headers": {":path": "/"}})).precondition
    assert (result.status.code, result.status.message) == (0, "")
    assert result.valid_use_count == 1000
    assert 4 < result.valid_duration.ToTimedelta().total_seconds() <= 5
    (added,) = result.route_directive.request_header_operations
    assert (added.name, added.value, added.operation) == ("x-added", "1", 0)
    assert references(result.referenced_attributes) == {
        ("request.headers", key, "ABSENCE")
        for key in ("x-deny", "x-who", "x-trap", "x-added", "content-length")
    }


async def test_an_answer_from_the_decision_cache(service: ServiceProcess) -> None:
    """It is the same, references included, with what is left of its validity."""
    told: dict[str, Value] = {"request.headers": {":path": "/", "x-unread": "1"}}
    first, second = [(await ask(service, told)).precondition for _ in range(2)]
    assert references(first.referenced_attributes) == references(second.referenced_attributes)
    assert second.route_directive == first.route_directive
    assert second.valid_use_count == first.valid_use_count - 1


async def test_denied(service: ServiceProcess) -> None:
    """The message begins with the adapter's name, and the caller is told what to answer."""
    result = (await ask(service, {"request.headers": {"x-deny": "1"}})).precondition
    assert (result.status.code, result.status.message) == (7, "decides:not you")
    directive = result.route_directive
    assert (directive.direct_response_code, directive.direct_response_body) == (403, "not you")
    assert ("request.headers", "x-deny", "EXACT") in references(result.referenced_attributes)


async def test_an_adapter_that_fails(service: ServiceProcess) -> None:
    """The request is denied, and not by a status that proxies take for a way out."""
    result = (await ask(service, {"request.headers": {"x-trap": "1"}})).precondition
    assert (result.status.code, result.status.message) == (14, "decides:trap_unreachable")
    assert result.route_directive.direct_response_code == 503
    assert (result.valid_duration.ToNanoseconds(), result.valid_use_count) == (0, 0)
    assert (await ask(service, {})).precondition.status.code == 0


async def test_who_asks(service: ServiceProcess) -> None:
    """Adapters are told who the caller is."""
    result = (await ask(service, {"request.headers": {"x-who": "1"}})).precondition
    assert result.status.message == "decides:u"


async def test_a_request_of_mixc(service: ServiceProcess) -> None:
    """The bytes that ``mixc`` sent are answered, in words of the message alone."""
    answer = await ask(service, MIXC_CHECK)
    assert answer.precondition.status.code == 0
    matches = answer.precondition.referenced_attributes.attribute_matches
    assert matches
    assert all(one.name < 0 and one.map_key <= 0 for one in matches)
    assert answer.quotas["requestcount"].granted_amount == 3


async def test_quotas(service: ServiceProcess) -> None:
    """Each is answered with a status of its own; an unknown one is not granted."""
    quotas = {"requestcount": (3, False), "nosuch": (3, True)}
    answer = await ask(service, {"source.labels": {"app": "a"}}, quotas=quotas)
    known, unknown = answer.quotas["requestcount"], answer.quotas["nosuch"]
    assert (known.granted_amount, known.status.code, known.valid_duration.seconds) == (3, 0, 60)
    assert (unknown.granted_amount, unknown.status.code) == (0, 5)
    assert unknown.status.message == "no adapter serves this quota"
    assert references(known.referenced_attributes) == {
        ("source.labels", "app", "EXACT"),
        ("request.headers", None, "ABSENCE"),
    }
    assert references(unknown.referenced_attributes) == set()


@pytest.mark.parametrize(
    ("amount", "best_effort", "granted", "code"),
    [(5, True, 3, 0), (5, False, 0, 8), (-1, True, 0, 3), (0, False, 0, 0)],
)
async def test_amounts(
    service: ServiceProcess, amount: int, best_effort: bool, granted: int, code: int
) -> None:
    """Less is granted only where that is welcome; negative amounts are refused."""
    answer = await ask(service, {}, quotas={"requestcount": (amount, best_effort)})
    result = answer.quotas["requestcount"]
    assert (result.granted_amount, result.status.code) == (granted, code)


async def test_the_deduplication_id_of_a_quota(service: ServiceProcess) -> None:
    """The adapter is told it, and nothing where it is empty."""
    quotas = {"requestcount": (3, True)}
    for dedup_id, granted in (("nothing", 0), ("", 3), ("other", 3)):
        answer = await ask(service, {}, quotas=quotas, dedup_id=dedup_id)
        assert answer.quotas["requestcount"].granted_amount == granted


async def test_no_quota_for_a_denied_request(service: ServiceProcess) -> None:
    """Nothing is allocated, and nothing said of it."""
    denied: dict[str, Value] = {"request.headers": {"x-deny": "1"}}
    answer = await ask(service, denied, quotas={"requestcount": (3, True)})
    assert not answer.quotas


async def test_an_attribute_of_the_wrong_type(service: ServiceProcess) -> None:
    """The service lives, uses the others, and tells the name in log and metrics."""
    name = "mixer_attributes_rejected_total"
    before = (await scrape(service))[name, ()]
    told: dict[str, Value] = {"source.user": 5, "request.headers": {"x-deny": "1"}, "own.rank": 1}
    assert (await ask(service, told)).precondition.status.code == 7
    assert (await scrape(service))[name, ()] - before == 1
    assert "attribute 'source.user' is rejected" in service.log_text()


async def test_a_header_that_is_not_utf8(service: ServiceProcess) -> None:
    """It is decided about like any other: a refused call would be a way out in many a proxy."""
    words = [b"x-deny", b"\xff"]
    attributes = b"".join(b"\x0a" + bytes([len(word)]) + word for word in words)
    entry = bytes.fromhex("08011003")  # {-1: -2}
    entries = b"\x0a" + bytes([len(entry)]) + entry
    headers = b"\x08\x1e\x12" + bytes([len(entries)]) + entries  # request.headers
    attributes += b"\x4a" + bytes([len(headers)]) + headers
    data = b"\x0a" + bytes([len(attributes)]) + attributes
    assert (await ask(service, data)).precondition.status.code == 7


@pytest.mark.parametrize("method", [CHECK, REPORT])
async def test_calls_that_are_refused(service: ServiceProcess, method: str) -> None:
    """Malformed bytes and a larger dictionary have the status and the message of a Mixer."""
    kind = pb.CheckRequest if method == CHECK else pb.ReportRequest
    larger = kind(global_word_count=223).SerializeToString()
    assert await refusal(service, method, larger) == (
        "INTERNAL",
        "inconsistent global dictionary versions used: mixer knows 222 words, caller knows 223",
    )
    code, details = await refusal(service, method, b"\x0a\x05\x0a")
    assert code == "INTERNAL"
    assert details.startswith("grpc: error unmarshalling request: ")


async def test_an_unknown_method(service: ServiceProcess) -> None:
    """It is UNIMPLEMENTED."""
    code, _ = await refusal(service, "/istio.mixer.v1.Mixer/Quota", b"")
    assert code == "UNIMPLEMENTED"


async def told_since(service: ServiceProcess, before: Mapping[Any, float]) -> dict[str, float]:
    after = await scrape(service)
    names = [name.replace(".", "_") for name in COUNTERS]
    return {name: after.get((name, ()), 0) - before.get((name, ()), 0) for name in names}


@pytest.mark.parametrize(
    ("encoding", "of_a"),
    [(pb.ReportRequest.DELTA_ENCODING, 3), (pb.ReportRequest.INDEPENDENT_ENCODING, 1)],
)
async def test_reports(service: ServiceProcess, encoding: int, of_a: int) -> None:
    """Adapters are told of each record; what a record does not repeat it inherits, or has not."""
    before = await scrape(service)
    records: list[dict[str, Value]] = [{"request.path": "/a"}, {"response.code": 404}, {}]
    await tell(service, *records, repeated_attributes_semantics=encoding)
    assert await told_since(service, before) == {
        "told_records": 3,
        "told_of_a": of_a,
        "told_404": 2 if of_a == 3 else 1,
        "told_as_report": 3,
    }


async def test_an_adapter_that_fails_on_a_record(service: ServiceProcess) -> None:
    """No other adapter and no other record is harmed."""
    before = await scrape(service)
    records: list[dict[str, Value]] = [{"request.path": p} for p in ("/a", "/trap", "/a", "/trap")]
    await tell(service, *records, repeated_attributes_semantics=1)
    told = await told_since(service, before)
    assert (told["told_records"], told["told_of_a"]) == (4, 2)


async def test_a_malformed_record(service: ServiceProcess) -> None:
    """Of a report with one, nothing is told: who repeats it is not counted twice."""
    before = await scrape(service)
    good = report_bytes([{"request.path": "/a"}])
    code, _ = await refusal(service, REPORT, good + b"\x0a\x02\xff\xff")
    assert code == "INTERNAL"
    assert (await told_since(service, before))["told_records"] == 0


async def test_checks_are_answered_while_a_large_report_is_worked_off(
    service: ServiceProcess,
) -> None:
    """10,000 records take their time, and others get theirs."""
    before = await scrape(service)
    data = report_bytes([{"request.path": "/a", "response.code": 404}] * 10_000)
    answered = 0
    async with channel(service.address) as reporting, channel(service.address) as asking:
        report = call(reporting, data, REPORT)
        while not report.done():
            await check(asking, check_request())
            answered += not report.done()
        await report
    assert answered >= 10
    assert (await told_since(service, before))["told_404"] == 10_000


async def test_reflection(service: ServiceProcess) -> None:
    """Reflection lists the service and has its messages, so that grpcurl can ask it."""
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="istio.mixer.v1.Mixer"),
    ]
    async with channel(service.address) as opened:
        stub = reflection_pb2_grpc.ServerReflectionStub(opened)
        listed, found = [one async for one in stub.ServerReflectionInfo(iter(asked))]
    assert "istio.mixer.v1.Mixer" in {one.name for one in listed.list_services_response.service}
    files = map(
        descriptor_pb2.FileDescriptorProto.FromString,
        found.file_descriptor_response.file_descriptor_proto,
    )
    (own,) = (one for one in files if one.package == "istio.mixer.v1")
    assert [method.name for method in own.service[0].method] == ["Check", "Report"]


async def test_a_check_that_waits(services: Services, guests: Guests) -> None:
    """Requests wait for a callout together, and are answered by what comes of it."""
    async with Auth().running() as auth:
        running = services.service("waits-v1", documents(guests), clusters=clusters(auth))
        async with running as service, channel(service.address) as opened:
            waiting = [asyncio.create_task(_check(opened)) for _ in range(20)]
            await auth.until_asked(20)
            assert not any(task.done() for task in waiting)
            auth.gate.set()
            answers = await asyncio.gather(*waiting)
            auth.status = 401
            denied = await _check(opened)
    for answer in answers:
        operations = answer.precondition.route_directive.request_header_operations
        assert {one.name for one in operations} == {"x-asked", "x-late"}
    assert denied.precondition.status.code == 7


async def _check(opened: grpc.aio.Channel) -> pb.CheckResponse:
    data = check_bytes({"request.path": "/"})
    return pb.CheckResponse.FromString(await opened.unary_unary(CHECK)(data, timeout=TIMEOUT_S))


RULE: Document = {
    "apiVersion": "mixer.dev/v1alpha1",
    "kind": "MixerRule",
    "metadata": {"name": "heads"},
    "spec": {
        "match": 'request.path == "/heads"',
        "requestHeaderOperations": [
            {"name": "x-a", "values": ['"1"'], "operation": "REPLACE"},
            {"name": "x-b", "operation": "REMOVE"},
            {"name": "x-c", "values": ['request.headers["x-d"]'], "operation": "APPEND"},
        ],
        "responseHeaderOperations": [{"name": "x-r", "values": ['"1"'], "operation": "REPLACE"}],
    },
}


async def test_rules_without_adapters(services: Services) -> None:
    """The operations of a rule go out as a Mixer says them, with the same validity."""
    told: dict[str, Value] = {"request.path": "/heads", "request.headers": {"x-d": "2"}}
    async with services.service("rules-v1", [RULE]) as service:
        result = (await ask(service, told)).precondition
        other = (await ask(service, {"request.path": "/"})).precondition
    assert (result.valid_duration.seconds, result.valid_use_count) == (60, 10_000)
    directive = result.route_directive
    assert [(o.name, o.value, o.operation) for o in directive.request_header_operations] == [
        ("x-a", "1", pb.HeaderOperation.REPLACE),
        ("x-b", "", pb.HeaderOperation.REMOVE),
        ("x-c", "2", pb.HeaderOperation.APPEND),
    ]
    (response,) = directive.response_header_operations
    assert (response.name, response.value) == ("x-r", "1")
    assert ("request.headers", "x-d", "EXACT") in references(result.referenced_attributes)
    assert not other.HasField("route_directive")
