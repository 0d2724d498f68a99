"""Both clients against a server: what they send, and what they make of its answers."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from mixer.attributes import Timestamp
from mixer.client import (
    CheckCacheSettings,
    ClientSettings,
    HeaderAction,
    HeaderOperation,
    NetworkFailPolicy,
    Quota,
    QuotaCacheSettings,
    ReportBufferFullError,
    ReportEncoding,
    ReportSettings,
    RetrySettings,
)
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import decompress
from tests.client.answers import ABSENCE, EXACT, answer, exact, granted
from tests.client.both import CLIENTS
from tests.client.scripted import OVERLOADED, ScriptedServer

FAST = RetrySettings(retries=3, base=0.001, most=0.002)
ASKED = {"source.name": "web", "request.headers": {"user": "ann"}, "request.size": 12}

Open = Callable[..., Any]


@pytest.fixture(params=CLIENTS)
def open_client(request: pytest.FixtureRequest) -> Open:
    """Makes a client of either kind."""

    def make(address: str, **settings: Any) -> Any:
        return CLIENTS[request.param](ClientSettings(address=address, **settings))

    return make


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def test_a_check_says_what_the_server_says(server: ScriptedServer, open_client: Open) -> None:
    """Code, message, validity and route directive come through, and the attributes arrive."""
    response = answer(exact("source.name"), seconds=7, uses=9)
    directive = response.precondition.route_directive
    directive.request_header_operations.add(name="x", value="1", operation=2)
    directive.response_header_operations.add(name="y", operation=1)
    directive.direct_response_code, directive.direct_response_body = 302, "moved"
    server.check = lambda _: response
    with open_client(server.address) as client:
        result = client.check(ASKED | {"request.time": Timestamp(5)})
    assert (result.ok, result.code, result.message, result.from_cache) == (True, 0, "", False)
    assert (result.valid_duration, result.valid_use_count) == (7_000_000_000, 9)
    said = result.route_directive
    assert said.request_operations == (HeaderOperation("x", "1", HeaderAction.APPEND),)
    assert said.response_operations == (HeaderOperation("y", "", HeaderAction.REMOVE),)
    assert (said.direct_response_code, said.direct_response_body) == (302, "moved")
    (request,) = server.checks
    assert decompress(request.attributes) == ASKED | {"request.time": Timestamp(5)}
    assert request.global_word_count == 222
    assert request.deduplication_id


def test_an_answer_is_used_again_for_requests_alike(
    server: ScriptedServer, open_client: Open
) -> None:
    """A refusal is answered from the cache to who is alike, and no other."""
    references = [("request.headers", "user", EXACT), ("source.ip", None, ABSENCE)]
    server.check = lambda _: answer(references, 7, "no")
    with open_client(server.address) as client:
        assert not client.check(ASKED).from_cache
        again = client.check({"request.headers": {"user": "ann", "x": "y"}})
        assert (again.code, again.message, again.from_cache) == (7, "no", True)
        assert not client.check({"request.headers": {"user": "bob"}}).from_cache
        assert not client.check(ASKED | {"source.ip": b"\x7f\0\0\1"}).from_cache
        metrics = client.metrics()
    assert (metrics.checks, metrics.check_cache_hits, metrics.check_cache_misses) == (4, 1, 3)
    assert (metrics.remote_calls, metrics.check_cache_entries) == (3, 2)


def test_the_check_cache_can_be_switched_off(server: ScriptedServer, open_client: Open) -> None:
    """Without it every check goes to the server."""
    with open_client(server.address, check_cache=CheckCacheSettings(enabled=False)) as client:
        assert [client.check(ASKED).from_cache for _ in range(3)] == [False] * 3


def test_a_call_is_tried_again_with_the_same_deduplication_id(
    server: ScriptedServer, open_client: Open
) -> None:
    """After two overloaded answers the third try brings the answer."""
    server.check = lambda _: OVERLOADED if len(server.checks) < 3 else answer()
    with open_client(server.address, retry=FAST) as client:
        assert client.check(ASKED).ok
        metrics = client.metrics()
        client.check({"source.name": "other"}, quotas={"calls": 1})
    assert (metrics.remote_calls, metrics.remote_failures, metrics.retries) == (3, 2, 2)
    *tries, _ = [request.deduplication_id for request in server.checks]
    assert len(server.checks) >= 3
    assert len(set(tries[:3])) == 1


def test_every_call_has_another_deduplication_id(server: ScriptedServer, open_client: Open) -> None:
    """Of one client and of another."""
    server.check = lambda _: answer(uses=0)
    for _ in range(2):
        with open_client(server.address) as client:
            client.check(ASKED)
            client.check(ASKED)
    assert len({request.deduplication_id for request in server.checks}) == 4


def test_unless_told_otherwise_there_is_no_other_try(
    server: ScriptedServer, open_client: Open
) -> None:
    """As in Istio 1.3."""
    server.check = lambda _: OVERLOADED
    with open_client(server.address) as client:
        assert client.check(ASKED).code == 14
    assert len(server.checks) == 1


@pytest.mark.parametrize(
    "code", ["INVALID_ARGUMENT", "UNIMPLEMENTED", "INTERNAL", "UNAUTHENTICATED"]
)
def test_what_another_try_cannot_mend_is_not_tried(
    server: ScriptedServer, open_client: Open, code: str
) -> None:
    """The first answer stands."""
    server.check = lambda _: (grpc.StatusCode[code], "no use")
    with open_client(server.address, retry=FAST) as client:
        result = client.check(ASKED)
    assert result.code == grpc.StatusCode[code].value[0]
    assert result.message == "no use"
    assert result.failure == f"gRPC code {result.code}: no use"
    assert len(server.checks) == 1


def test_tries_end_with_the_deadline(server: ScriptedServer, open_client: Open) -> None:
    """However many are left."""
    server.check = lambda _: OVERLOADED
    patient = RetrySettings(retries=100, base=0.05, most=0.05)
    with open_client(server.address, retry=patient, timeout=0.3) as client:
        began = time.monotonic()
        assert client.check(ASKED).code in {4, 14}
        assert time.monotonic() - began < 5
    assert 1 < len(server.checks) < 10


def test_a_slow_server_costs_no_more_than_the_deadline(open_client: Open) -> None:
    """The deadline of the settings, and that of one check instead of it."""
    slow = threading.Event()

    def late(_: pb.CheckRequest) -> pb.CheckResponse:
        slow.wait(20)
        return answer()

    with ScriptedServer(late) as server, open_client(server.address, timeout=0.1) as client:
        assert client.check(ASKED).code == 4
        assert client.check(ASKED, timeout=0.05).code == 4
        slow.set()
        assert client.check(ASKED, timeout=20).ok


@pytest.mark.parametrize("policy", NetworkFailPolicy)
def test_without_a_server_the_policy_decides(
    open_client: Open, server: ScriptedServer, policy: NetworkFailPolicy
) -> None:
    """Allowed with all quota, or refused; and the server is found again when it is back."""
    server.check = lambda _: answer(uses=0)
    with open_client(server.address, network_fail_policy=policy, timeout=20) as client:
        assert client.check(ASKED).failure is None
        server.stop()
        down = client.check(ASKED, quotas={"calls": 3})
        assert down.failure
        assert not down.from_cache
        if policy is NetworkFailPolicy.FAIL_OPEN:
            assert down.ok
            assert down.quotas["calls"].granted == 3
            assert client.metrics().fail_open == 1
        else:
            assert down.code == 14
            assert not down.quotas
            assert client.metrics().fail_close == 1
        with ScriptedServer(port=server.port) as back:
            deadline = time.monotonic() + 20
            while client.check(ASKED).failure:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert back.checks


def test_kept_answers_outlive_the_server(open_client: Open, server: ScriptedServer) -> None:
    """A cached answer needs nobody."""
    with open_client(server.address) as client:
        client.check(ASKED)
        server.stop()
        assert client.check(ASKED).from_cache


def test_an_answer_without_a_precondition_is_none(
    open_client: Open, server: ScriptedServer
) -> None:
    """INVALID_ARGUMENT, as Istio's client says, and never kept."""
    server.check = lambda _: pb.CheckResponse()
    with open_client(server.address, network_fail_policy="FAIL_OPEN") as client:
        assert [client.check(ASKED).code for _ in range(2)] == [3, 3]
    assert len(server.checks) == 2


def test_an_answer_that_makes_no_sense_is_a_failure(
    open_client: Open, server: ScriptedServer
) -> None:
    """A header operation of an unknown kind is not left out."""
    response = answer()
    response.precondition.route_directive.request_header_operations.add(name="x", operation=9)
    server.check = lambda _: response
    with open_client(server.address) as client:
        result = client.check(ASKED)
    assert result.code == 13
    assert "makes no sense" in (result.failure or "")


def test_a_denial_is_one_whatever_else_the_answer_has(
    open_client: Open, server: ScriptedServer
) -> None:
    """With fail-open too: a route directive that makes no sense does not turn it into a failure."""
    response = answer(code=7, message="no")
    response.precondition.route_directive.request_header_operations.add(name="x", operation=9)
    server.check = lambda _: response
    with open_client(server.address, network_fail_policy="FAIL_OPEN") as client:
        result = client.check(ASKED)
        assert not client.metrics().fail_open
    assert (result.code, result.message, result.failure) == (7, "no", None)


@pytest.mark.parametrize("code", [5, 7, 13, 14])
def test_a_quota_that_the_server_refuses_is_refused(
    open_client: Open, server: ScriptedServer, code: int
) -> None:
    """With fail-open too, and also as unavailable: the server did answer."""
    server.check = lambda _: answer(quotas={"calls": granted(0, code=code)})
    with open_client(server.address, network_fail_policy="FAIL_OPEN") as client:
        result = client.check(ASKED, quotas={"calls": 3})
    assert (result.code, result.quotas["calls"].granted) == (code, 0)


@pytest.mark.parametrize(
    ("refusal", "known"),
    [
        (
            (
                grpc.StatusCode.INTERNAL,
                "inconsistent global dictionary versions used: mixer knows 150 words,"
                " caller knows 222",
            ),
            150,
        ),
        (
            (
                grpc.StatusCode.INVALID_ARGUMENT,
                "Request could not be processed due to invalid attributes.",
            ),
            111,
        ),
    ],
)
def test_an_older_server_is_told_its_own_words(
    open_client: Open, server: ScriptedServer, refusal: tuple[grpc.StatusCode, str], known: int
) -> None:
    """The same check, and every report, is sent again with the words that the server knows."""
    asked = ASKED | {"context.reporter.kind": "inbound", "connection.sni": "example.com"}
    server.check = lambda request: refusal if request.global_word_count > known else answer(uses=0)
    server.report = lambda request: refusal if request.global_word_count > known else None
    with open_client(server.address) as client:
        client.report(asked)
        assert client.check(asked).ok
        assert client.check(asked).ok
        client.report(asked)
        assert client.flush(20) == 0
    assert [request.global_word_count for request in server.checks] == [222, known, known]
    for request in server.checks:
        assert decompress(request.attributes) == asked
    for request in server.reports:
        assert decompress(request.attributes[0], request.default_words) == asked
        assert request.global_word_count in {222, known}
    assert _largest_index(server.checks[-1].attributes) < known
    assert server.reports[-1].global_word_count == known
    assert _largest_index(server.reports[-1].attributes[0]) < known


def _largest_index(message: pb.CompressedAttributes) -> int:
    return max([*message.strings, *message.strings.values(), *message.int64s])


def test_quota_comes_from_what_was_granted_before(
    open_client: Open, server: ScriptedServer
) -> None:
    """The first check asks for its own; the second for a few in advance, for the next ones."""

    def check(request: pb.CheckRequest) -> pb.CheckResponse:
        calls = granted(request.quotas["calls"].amount, references=exact("source.name"))
        return answer(exact("source.name"), quotas={"calls": calls})

    server.check = check
    idle = QuotaCacheSettings(min_prefetch=10, predict_window=60.0)
    with open_client(server.address, quota_cache=idle) as client:
        results = [client.check(ASKED, quotas={"calls": 1}) for _ in range(6)]
        metrics = client.metrics()
    assert [result.quotas["calls"].granted for result in results] == [1] * 6
    assert [result.quotas["calls"].from_cache for result in results] == [False] * 2 + [True] * 4
    amounts = [request.quotas["calls"] for request in server.checks]
    assert (amounts[0].amount, amounts[0].best_effort) == (1, False)
    assert (amounts[1].amount, amounts[1].best_effort) == (10, True)
    assert (metrics.quota_checks, metrics.quota_cache_hits, metrics.quota_cache_misses) == (6, 4, 2)


def test_quota_is_fetched_meanwhile(open_client: Open, server: ScriptedServer) -> None:
    """Once less than half of what the last second took is left, without anybody waiting."""
    server.check = lambda request: answer(quotas={"calls": granted(request.quotas["calls"].amount)})
    with open_client(server.address) as client:
        for _ in range(8):
            assert client.check(ASKED, quotas={"calls": 1}).ok
        server.wait_for(lambda: len(server.checks) == 3)
        assert client.metrics().quota_prefetches == 1
        assert server.checks[2].deduplication_id != server.checks[1].deduplication_id


def test_an_exhausted_quota_refuses(open_client: Open, server: ScriptedServer) -> None:
    """As Istio's client says it; and for a while the server is not asked again."""
    server.check = lambda _: answer(quotas={"calls": granted(0, 0.0), "bytes": granted(9)})
    with open_client(server.address) as client:
        result = client.check(ASKED, quotas={"calls": 1, "bytes": Quota(9, best_effort=True)})
        assert (result.code, result.message) == (8, "Quota is exhausted for: calls")
        assert result.quotas["bytes"].granted == 9
        again = client.check(ASKED, quotas={"calls": 1})
        assert (again.code, again.from_cache) == (8, True)
    assert len(server.checks) == 1


def test_the_quota_cache_can_be_switched_off(open_client: Open, server: ScriptedServer) -> None:
    """Then each check asks for its own amount."""
    server.check = lambda request: answer(quotas={"calls": granted(request.quotas["calls"].amount)})
    off = QuotaCacheSettings(enabled=False)
    with open_client(server.address, quota_cache=off) as client:
        for _ in range(3):
            assert client.check(ASKED, quotas={"calls": 2}).quotas["calls"].granted == 2
    assert [request.quotas["calls"].amount for request in server.checks] == [2, 2, 2]


def test_bad_amounts_are_refused_before_anything_is_sent(
    open_client: Open, server: ScriptedServer
) -> None:
    """0, negative ones, those beyond 64 bits, and what is no number; the quota is named."""
    with open_client(server.address) as client:
        for amount in (0, -1, 1 << 63):
            with pytest.raises(ValueError, match="amount of a quota"):
                client.check(ASKED, quotas={"calls": amount})
        for quotas, message in [
            ({"calls": "a"}, "quota calls: the amount of a quota must be a whole number, not str"),
            ({"calls": 1.5}, "quota calls: .* not float"),
            ({"calls": None}, "quota calls: .* not NoneType"),
            ({1: 1}, "the name of a quota must be text, not int"),
        ]:
            with pytest.raises(TypeError, match=message):
                client.check(ASKED, quotas=quotas)
        with pytest.raises(ValueError, match=r"quota '\\ud800': its name is not Unicode"):
            client.check(ASKED, quotas={"\ud800": 1})
    assert not server.checks


def test_bad_attributes_are_refused_by_name(open_client: Open, server: ScriptedServer) -> None:
    """And harm neither the client nor the other records of a batch."""
    with open_client(server.address) as client:
        with pytest.raises(TypeError, match=r"source\.uid"):
            client.check({"source.uid": None})
        client.report({"source.name": "before"})
        with pytest.raises(TypeError, match=r"source\.uid"):
            client.report({"new-word": "x", "source.uid": [1]})
        with pytest.raises(ValueError, match=r"attribute source\.name: .* is not Unicode text"):
            client.report({"source.name": "\udc80"})
        with pytest.raises(ValueError, match="1040368 bytes"):
            client.report({"source.name": "x" * (1 << 20)})
        client.report({"source.name": "after"})
    assert all(request.ByteSize() < 1000 for request in server.reports)
    names = sorted(record["source.name"] for record in server.records())
    assert names == ["after", "before"]


def test_reports_go_together(open_client: Open, server: ScriptedServer) -> None:
    """A hundred at once, the rest with what comes next or at the end; words are told once."""
    records = [ASKED | {"request.id": f"id-{n}"} for n in range(250)]
    with open_client(server.address, report=ReportSettings(interval=60.0)) as client:
        for record in records:
            client.report(record)
        server.wait_for(lambda: len(server.reports) == 2)
        assert client.metrics().report_pending >= 50
    assert sorted(len(request.attributes) for request in server.reports) == [50, 100, 100]
    assert sorted(server.records(), key=lambda r: int(r["request.id"][3:])) == records
    for request in server.reports:
        assert list(request.default_words).count("web") == 1
        assert not any(record.words for record in request.attributes)
        assert request.repeated_attributes_semantics == pb.ReportRequest.INDEPENDENT_ENCODING


def test_a_record_waits_only_so_long_for_others(open_client: Open, server: ScriptedServer) -> None:
    """Then it goes by itself."""
    with open_client(server.address, report=ReportSettings(interval=0.05)) as client:
        for _ in range(2):
            client.report(ASKED)
            server.wait_for(lambda: server.records() == [ASKED] * len(server.reports))
            assert client.flush(20) == 0
    assert len(server.reports) == 2


def test_batching_can_be_switched_off(open_client: Open, server: ScriptedServer) -> None:
    """Then each record goes by itself, at once."""
    with open_client(server.address, report=ReportSettings(batching=False)) as client:
        for _ in range(3):
            client.report(ASKED)
        server.wait_for(lambda: len(server.reports) == 3)
    assert server.records() == [ASKED] * 3


def test_closing_delivers_what_was_accepted(open_client: Open, server: ScriptedServer) -> None:
    """Although it would have waited for others; after that nothing is taken."""
    with open_client(server.address, report=ReportSettings(interval=60.0)) as client:
        client.report(ASKED)
        assert client.close() == 0
        assert server.records() == [ASKED]
        with pytest.raises(RuntimeError, match="closed"):
            client.report(ASKED)
        with pytest.raises(RuntimeError, match="closed"):
            client.check(ASKED)


def test_closing_ends_checks_that_wait(open_client: Open) -> None:
    """Whoever waits for the server is told, as a failure or an error."""
    gone = threading.Event()

    def never(_: pb.CheckRequest) -> pb.CheckResponse:
        gone.wait(20)
        return answer()

    with ScriptedServer(never) as server, ThreadPoolExecutor(1) as pool:
        with open_client(server.address, timeout=20, retry=FAST) as client:
            waiting = pool.submit(client.check, ASKED)
            server.wait_for(lambda: bool(server.checks))
            client.close()
            try:
                assert waiting.result(20).failure
            except RuntimeError as error:
                assert "closed" in str(error)  # noqa: PT017
        gone.set()


def test_closing_ends_a_prefetch(open_client: Open) -> None:
    """Nothing is left running that nobody waits for."""
    gone = threading.Event()

    def check(request: pb.CheckRequest) -> pb.CheckResponse:
        if len(server.checks) > 2:
            gone.wait(20)
        return answer(quotas={"calls": granted(request.quotas["calls"].amount)})

    with ScriptedServer(check) as server:
        with open_client(server.address, timeout=20) as client:
            while not client.metrics().quota_prefetches:
                assert client.check(ASKED, quotas={"calls": 1}).ok
            server.wait_for(lambda: len(server.checks) == 3)
        gone.set()


def test_reports_outlive_a_server(open_client: Open) -> None:
    """What was accepted while it was down is delivered when it is back, each record once."""
    with ScriptedServer() as gone:
        port = gone.port
    several = ReportSettings(entries=10, interval=0.01)
    with open_client(f"127.0.0.1:{port}", report=several, retry=FAST) as client:
        for number in range(35):
            client.report({"request.size": number})
        deadline = time.monotonic() + 20
        while not client.metrics().report_failures:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with ScriptedServer(port=port) as server:
            assert client.flush(20) == 0
            assert sorted(r["request.size"] for r in server.records()) == list(range(35))
            metrics = client.metrics()
    assert metrics.report_entries == metrics.report_entries_delivered == 35
    assert metrics.report_retries >= 1
    assert metrics.report_pending == metrics.report_pending_bytes == 0


def test_a_full_buffer_says_so(open_client: Open) -> None:
    """A record is refused, or waits for room; what is lost at the end is told and counted."""
    with ScriptedServer() as gone:
        port = gone.port
    small = ReportSettings(entries=2, max_pending=4)
    with open_client(f"127.0.0.1:{port}", report=small) as client:
        for _ in range(4):
            client.report(ASKED)
        with pytest.raises(ReportBufferFullError, match="4 records"):
            client.report(ASKED)
        with pytest.raises(ReportBufferFullError, match="4 records"):
            client.report(ASKED, timeout=0.05)
        with ScriptedServer(port=port):
            client.report(ASKED, timeout=20)
            assert client.flush(20) == 0
        client.report(ASKED)
        assert client.close(0.05) == 1
        metrics = client.metrics()
    assert (metrics.report_entries, metrics.report_entries_refused) == (6, 2)
    assert (metrics.report_entries_delivered, metrics.report_entries_dropped) == (5, 1)


def test_an_overloaded_server_gets_the_batch_later(
    open_client: Open, server: ScriptedServer
) -> None:
    """However often it refuses."""
    server.report = lambda _: OVERLOADED if len(server.reports) < 6 else None
    with open_client(server.address, retry=FAST) as client:
        client.report(ASKED)
        assert client.flush(20) == 0
        metrics = client.metrics()
    assert (metrics.report_batches, metrics.report_failures, metrics.report_retries) == (6, 5, 5)


def test_a_batch_that_is_no_use_is_given_up(
    open_client: Open, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """And logged, and counted; the next one is delivered."""
    server.report = lambda _: (
        (grpc.StatusCode.INVALID_ARGUMENT, "bad record") if len(server.reports) == 1 else None
    )
    with open_client(server.address) as client:
        client.report(ASKED)
        assert client.flush(20) == 0
        client.report(ASKED)
        assert client.flush(20) == 0
        metrics = client.metrics()
    assert (metrics.report_entries_dropped, metrics.report_entries_delivered) == (1, 1)
    assert "reports given up: 1 records, 1 in all: gRPC code 3: bad record" in caplog.text


def test_delta_tells_what_changes(open_client: Open, server: ScriptedServer) -> None:
    """Nothing twice; and a record that lacks something begins another batch."""
    delta = ReportSettings(encoding=ReportEncoding.DELTA)
    with open_client(server.address, report=delta) as client:
        client.report({"source.name": "web", "request.size": 1})
        client.report({"source.name": "web", "request.size": 2, "request.id": "x"})
        client.report({"source.name": "web", "request.size": 1, "request.id": "x"})
        client.report({"source.name": "web"})
        assert client.flush(20) == 0
    first, second = sorted(server.reports, key=lambda r: -len(r.attributes))
    told = [decompress(record, first.default_words) for record in first.attributes]
    assert told == [
        {"source.name": "web", "request.size": 1},
        {"request.size": 2, "request.id": "x"},
        {"request.size": 1},
    ]
    assert first.repeated_attributes_semantics == pb.ReportRequest.DELTA_ENCODING
    assert [decompress(record, second.default_words) for record in second.attributes] == [
        {"source.name": "web"}
    ]


def test_the_wall_clock_does_not_matter(
    open_client: Open, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A jump of a year in either direction neither keeps an answer nor forgets one."""
    with open_client(server.address) as client:
        client.check(ASKED)
        now = time.time()
        for jump in (-3e7, 3e7):
            monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
            assert client.check(ASKED).from_cache


def test_attributes_may_change_while_the_server_is_asked(open_client: Open) -> None:
    """The answer is kept for what was asked."""
    asked: dict[str, Any] = {"request.headers": {"user": "ann"}}

    def check(request: pb.CheckRequest) -> pb.CheckResponse:
        code = 7 if decompress(request.attributes) != {"request.headers": {"user": "ann"}} else 0
        asked["request.headers"]["user"] = "bob"
        return answer([("request.headers", "user", EXACT)], code)

    with ScriptedServer(check) as server, open_client(server.address) as client:
        assert client.check(asked).ok
        assert client.check({"request.headers": {"user": "ann"}}).from_cache
        assert client.check({"request.headers": {"user": "bob"}}).code == 7
