"""Streams of rate limit quota over gRPC: how they end, and what is left of them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.rate_limit_quota.v3 import rlqs_pb2

from mixer.api.rlqs import Hub
from mixer.config import RateLimit, RateLimitQuota
from mixer.engine import Decision, PendingDecision, QuotaStanding, Verdict
from mixer.shedding import Bounds, RateBound, Shedder
from mixer.transport import rlqs

METHOD = "/envoy.service.rate_limit_quota.v3.RateLimitQuotaService/StreamRateLimitQuotas"
PATIENCE_S = 30.0
MINUTE = 60 * 10**9
SHARED = QuotaStanding(100, 50, 30, MINUTE, "p")


class Never(PendingDecision):
    """A decision that no adapter ever makes."""

    def __init__(self) -> None:
        self.decision = None

    def then(self, done: Callable[[Decision], None]) -> None:
        pass

    def give_up(self, reason: str) -> Decision:
        return Decision(Verdict.ERROR, reason=reason)


class Engine:
    """Answers every question alike, or fails; of some buckets it never does from the second on."""

    decision_timeout = 30.0
    decision_log = None

    def __init__(self, **settings: Any) -> None:
        self.rate_limit = RateLimit(quota=RateLimitQuota(**settings))
        self.standing: QuotaStanding | None = SHARED
        self.asked: list[int] = []
        self.slow: set[str] = set()

    def allocate(self, request: Any, quota: str) -> Decision | PendingDecision:
        self.asked.append(request.attributes.get("mixer.quota")["amount"])
        if request.attributes.get("mixer.rate_limit")["bucket"]["name"] in self.slow:
            return Never()
        if self.standing is None:
            raise RuntimeError("a defect")
        return Decision(Verdict.ALLOW, ("q",), "q", granted=0, quota=self.standing)


class Served:
    """A server, and a client of it."""

    def __init__(self, service: Any, channel: grpc.aio.Channel) -> None:
        self.service = service
        self._open = channel.stream_stream(
            METHOD,
            rlqs_pb2.RateLimitQuotaUsageReports.SerializeToString,
            rlqs_pb2.RateLimitQuotaResponse.FromString,
        )
        self.streams = service.handler().streams
        self.raw = channel.stream_stream(METHOD)

    def open(self) -> Any:
        return self._open()

    @property
    def usage(self) -> tuple[int, int, int]:
        """Streams, buckets, and buckets of all streams together."""
        usage: tuple[int, int, int] = vars(self.service)["_hub"].usage
        return usage


@asynccontextmanager
async def serving(engine: Engine, shedder: Shedder | None = None) -> AsyncIterator[Served]:
    service = rlqs.QuotaService(engine, shedder)  # type: ignore[arg-type]
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((service.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
    try:
        async with (
            asyncio.timeout(3 * PATIENCE_S),
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel,
        ):
            yield Served(service, channel)
    finally:
        await server.stop(0)


def usage(*names: str, domain: str = "edge", allowed: int = 1) -> Any:
    message = rlqs_pb2.RateLimitQuotaUsageReports(domain=domain)
    for name in names:
        one = message.bucket_quota_usages.add(num_requests_allowed=allowed)
        one.bucket_id.bucket["name"] = name
    return message


def tokens(message: Any) -> list[int]:
    return [
        one.quota_assignment_action.rate_limit_strategy.token_bucket.max_tokens
        for one in message.bucket_action
    ]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - of the service's own state
            await asyncio.sleep(0.01)


async def code_of(stream: Any) -> grpc.StatusCode:
    """The status that a stream ends with, which is told after all messages."""
    with suppress(grpc.RpcError):
        while await stream.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]
            pass
    found: grpc.StatusCode = await stream.code()
    return found


async def shares() -> None:
    async with serving(Engine()) as served:
        one, other = served.open(), served.open()
        await one.write(usage("a"))
        assert tokens(await one.read()) == [100]
        await other.write(usage("a"))
        assert tokens(await other.read()) == tokens(await one.read()) == [50]
        assert served.usage == (2, 1, 2)
        other.cancel()
        assert tokens(await one.read()) == [100]
        await one.done_writing()
        assert await one.read() is grpc.aio.EOF  # type: ignore[attr-defined]
        assert await one.code() is grpc.StatusCode.OK
        assert served.usage == (0, 0, 0)


def test_streams_share_and_leave_nothing() -> None:
    """Whether a proxy ends its stream or is cut off, its share goes to the others."""
    asyncio.run(shares())


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([b"\xff"], "no usage reports"),
        ([b""], "domain: must be 1 to 253 characters"),
        ([usage("a"), usage("a", domain="other")], "another one than in the first message"),
    ],
)
def test_what_is_no_report_ends_the_stream(messages: list[Any], text: str) -> None:
    """With INVALID_ARGUMENT and what is wrong."""

    async def send() -> None:
        async with serving(Engine()) as served:
            stream = served.raw()
            for one in messages:
                await stream.write(one if isinstance(one, bytes) else one.SerializeToString())
            assert await code_of(stream) is grpc.StatusCode.INVALID_ARGUMENT
            assert text in await stream.details()
            await until(lambda: served.usage == (0, 0, 0))

    asyncio.run(send())


def test_a_stream_too_many() -> None:
    """It is refused until another one has ended."""

    async def open_two() -> None:
        async with serving(Engine(max_streams=1)) as served:
            one = served.open()
            await one.write(usage("a"))
            await one.read()
            refused = served.open()
            assert await refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            one.cancel()
            await until(lambda: served.usage[0] == 0)
            again = served.open()
            await again.write(usage("a"))
            assert tokens(await again.read()) == [100]
            again.cancel()

    asyncio.run(open_two())


def test_too_much_to_do_ends_the_stream() -> None:
    """With UNAVAILABLE: assignments hold on, and the proxy comes again with its next report."""

    async def send() -> None:
        shedder = Shedder(Bounds(enforced=True, rate=RateBound(1, 1)))
        async with serving(Engine(), shedder) as served:
            stream = served.open()
            await stream.write(usage(*"abcdefghij"))
            await stream.write(usage("a"))
            assert await code_of(stream) is grpc.StatusCode.UNAVAILABLE
            assert "overloaded (rate)" in await stream.details()

    asyncio.run(send())


def test_a_defect_denies(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody can tell is denied, the stream goes on, and the bucket is asked again."""

    async def send() -> None:
        engine = Engine()
        engine.standing = None
        async with serving(engine) as served:
            stream = served.open()
            await stream.write(usage("a"))
            [action] = (await stream.read()).bucket_action
            strategy = action.quota_assignment_action.rate_limit_strategy
            assert strategy.blanket_rule == strategy.DENY_ALL
            engine.standing = SHARED
            assert tokens(await stream.read()) == [100]
            stream.cancel()

    asyncio.run(send())
    assert "RuntimeError: a defect" in caplog.text


def test_a_silent_proxy_is_let_go() -> None:
    """Its connection stays; its stream ends, with nothing left of it."""

    async def wait() -> None:
        async with serving(Engine(abandon_after="1s")) as served:
            stream = served.open()
            await stream.write(usage("a"))
            assert await code_of(stream) is grpc.StatusCode.OK
            assert served.usage == (0, 0, 0)

    asyncio.run(wait())


def test_a_proxy_that_does_not_read_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    """It is not read from while too much waits for it, and forgotten like one that is silent."""

    async def flood() -> None:
        async with serving(Engine(abandon_after="2s", max_buckets=100)) as served:
            stream = served.open()
            blocked = asyncio.ensure_future(_write_on(stream))
            await until(lambda: served.usage[0] == 1)
            await until(lambda: served.usage == (0, 0, 0))
            stream.cancel()
            blocked.cancel()
            await asyncio.gather(blocked, return_exceptions=True)

    asyncio.run(flood())
    # gRPC itself may tell that the end of the loop cut a call.
    told = [one for one in caplog.records if not isinstance(_cause(one), asyncio.CancelledError)]
    assert [one.getMessage() for one in told] == []


def _cause(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


async def _write_on(stream: Any) -> None:
    """Ask for ever more buckets, of which most get an answer that nothing is kept of."""
    number = 0
    while True:
        await stream.write(usage(*(f"{number}-{at}-{'x' * 500}" for at in range(500))))
        number += 1


def test_one_message_cannot_fill_the_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its usages are taken as the proxy reads what it is told of the others, and all are."""
    waiting: list[int] = []
    report = Hub.report

    def noted(hub: Hub, stream: Any, one: Any) -> Any:
        waiting.append(len(stream.outbox))
        return report(hub, stream, one)

    monkeypatch.setattr(Hub, "report", noted)

    async def flood() -> None:
        async with serving(Engine(max_buckets=1)) as served:
            stream = served.open()
            await stream.write(usage(*(f"{at}-{'x' * 200}" for at in range(15_000))))
            told = 0
            while told < 15_000:
                told += len((await stream.read()).bucket_action)
            stream.cancel()

    asyncio.run(flood())
    assert len(waiting) == 15_000
    assert max(waiting) <= 1024


def test_a_slow_adapter_keeps_no_other_bucket_waiting() -> None:
    """What is asked anew by itself is asked at once: other assignments would run out meanwhile."""

    async def ask() -> None:
        engine = Engine()
        engine.standing = QuotaStanding(100, 0, 1, MINUTE, "p")
        async with serving(engine) as served:
            stream = served.open()
            await stream.write(usage("slow", "fast"))
            denied = 0
            while denied < 2:
                denied += len((await stream.read()).bucket_action)
            engine.decision_timeout = 10 * PATIENCE_S
            engine.slow, engine.standing = {"slow"}, SHARED
            [action] = (await stream.read()).bucket_action
            assert action.bucket_id.bucket["name"] == "fast"
            stream.cancel()

    asyncio.run(ask())


def test_the_stop_of_the_service() -> None:
    """A stream that its proxy never ends is ended, what it has sent counts, and no share grows."""

    async def stop() -> None:
        engine = Engine()
        async with serving(engine) as served:
            one, other = served.open(), served.open()
            await one.write(usage("a"))
            assert tokens(await one.read()) == [100]
            await other.write(usage("a"))
            assert tokens(await other.read()) == tokens(await one.read()) == [50]
            ended = asyncio.ensure_future(other.code())
            served.streams.stop(PATIENCE_S)
            with suppress(asyncio.InvalidStateError):  # where this test stood still for so long
                while not ended.done():
                    await one.write(usage("a", allowed=7))
                    await asyncio.sleep(0.01)
            for stream in (one, other):
                assert await stream.read() is grpc.aio.EOF  # type: ignore[attr-defined]
                assert await stream.code() is grpc.StatusCode.OK
            assert engine.asked[:3] == [1, 1, 7]
            assert served.usage == (0, 0, 0)

    asyncio.run(stop())
