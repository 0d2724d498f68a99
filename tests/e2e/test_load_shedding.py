"""A service that has too much to do."""

import asyncio
import contextlib
import statistics
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import grpc.aio
import pytest
from envoy.service.auth.v3 import external_auth_pb2
from google.rpc import code_pb2

from mixer.demo.configuration import DETAILS_HEADER
from mixer.study import bootstrap as build
from mixer.study.service import ServiceProcess
from mixer.transport.overload import PUSHBACK
from tests.api.mixer_calls import check_bytes, report_bytes
from tests.e2e.calls import call, channel, check, check_request, health
from tests.e2e.guests import Guests
from tests.e2e.stack import Document, Listener, Services, adapter, asks, running_envoy
from tests.e2e.test_metrics import scrape, telemetry
from tests.e2e.test_mixer_v1 import CHECK, REPORT
from tests.e2e.test_waiting import Auth, clusters, documents
from tests.telemetry.reading import Series

BURN = check_request(x_attack="burn")
CONNECTIONS, CALLERS = 8, 12
SERVED = 100
"""Enough, in the middle of the load, for a median."""

CheckResponse = external_auth_pb2.CheckResponse


def latency(mode: str) -> Document:
    """The window is long: a busy machine must not look like a load that stays."""
    return {"mode": mode, "latency": {"threshold": "100ms", "window": "500ms"}}


def is_refusal(answer: CheckResponse) -> bool:
    """Whether it is one of load shedding, which every such answer has to look like."""
    if not answer.status.message.startswith("overload_"):
        assert answer.status.code == code_pb2.OK
        return False
    assert answer.status.code == code_pb2.UNAVAILABLE
    assert answer.denied_response.status.code == 503
    [header] = answer.denied_response.headers
    assert header.header.key == "retry-after"
    assert 1 <= int(header.header.value) <= 120
    return True


@dataclass
class Load:
    """What came of more checks than can be served.

    Attributes:
        served: Seconds of each that was served, since what is measured began.
        refused: Likewise.
    """

    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    async def until(self, condition: asyncio.Event, service: ServiceProcess) -> None:
        """Ask from many callers at once, each again and again."""
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(CONNECTIONS):
                opened = await stack.enter_async_context(channel(service.address))
                callers = await stack.enter_async_context(asyncio.TaskGroup())
                for _ in range(CALLERS):
                    callers.create_task(self._call(condition, opened))

    async def _call(self, condition: asyncio.Event, opened: grpc.aio.Channel) -> None:
        clock = asyncio.get_running_loop().time
        while not condition.is_set():
            began = clock()
            refused = is_refusal(await check(opened, BURN))
            (self.refused if refused else self.served).append(clock() - began)
            if refused:
                await asyncio.sleep(0.05)  # a caller that obeyed would be no load


def total(found: Series, name: str) -> float:
    return sum(value for (one, _), value in found.items() if one == name)


async def loaded(
    service: ServiceProcess, counter: str, enough: Callable[[Load], bool] = lambda _: True
) -> Load:
    """Load a service until a counter tells that a bound is exceeded, and then measure.

    Args:
        service: What is loaded.
        counter: The metric that tells.
        enough: Judges each `SERVED` answers in turn. The load ends with the first for which it
            holds: the machine may do something else in the midst of any of them, and the share
            has to be found first.
    """
    load, over = Load(), asyncio.Event()
    calling = asyncio.create_task(load.until(over, service))
    try:
        async with asyncio.timeout(60):
            while not total(await scrape(service), counter):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
            assert await health(service.address) == "SERVING"
            while len(load.served) < SERVED or not enough(load):
                if len(load.served) >= SERVED:
                    load.served.clear()
                    load.refused.clear()
                await asyncio.sleep(0.05)
    finally:
        over.set()
        await calling
    return load


@contextlib.asynccontextmanager
async def burning(services: Services, guests: Guests, mode: str) -> AsyncIterator[ServiceProcess]:
    """A service of which each check takes some milliseconds of CPU."""
    slow = adapter("slow", guests.hostile(), annotations={"cpu-limit": "10s"})
    async with services.service(
        mode.lower().replace("_", "-"), [slow], loadShedding=latency(mode), telemetry=telemetry()
    ) as running:
        yield running


async def test_latency(services: Services, guests: Guests) -> None:
    """Enforced, what is served waits less than half as long, and refusals come as soon."""
    async with burning(services, guests, "LOG_ONLY") as service:
        logged = await loaded(service, "mixer_load_would_shed_total")
        log = service.log_text()
        assert total(await scrape(service), "mixer_load_shed_total") == 0
    assert not logged.refused
    assert "latency.threshold is 100 ms" in log
    assert "1 ext_authz check let in, only logged" in log

    half = statistics.median(logged.served) / 2

    def is_quicker(load: Load) -> bool:
        both = load.served, load.refused
        return all(one and statistics.median(one) < half for one in both)

    async with burning(services, guests, "ENFORCE") as service:
        await loaded(service, "mixer_load_shed_total", is_quicker)
        assert "1 ext_authz check refused" in service.log_text()
        await admits_everything_again(service)


async def admits_everything_again(service: ServiceProcess) -> None:
    async with asyncio.timeout(30), channel(service.address) as opened:
        while total(await scrape(service), "mixer_load_shed_percent"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert not any([is_refusal(await check(opened, check_request())) for _ in range(50)])
        found = await scrape(service)
    assert total(found, "mixer_load_in_progress") == 0
    assert total(found, "mixer_load_admitted_total") == total(found, "mixer_decisions_total")


@pytest.fixture
async def auth() -> AsyncIterator[Auth]:
    """The service that a module asks."""
    async with Auth().running() as running:
        yield running


async def test_concurrency(services: Services, guests: Guests, auth: Auth) -> None:
    """Beyond the bound checks are refused while others wait; those are served in the end."""
    shedding = {"mode": "ENFORCE", "maxConcurrent": 3}
    service = services.service(
        "most", documents(guests), clusters=clusters(auth), loadShedding=shedding
    )
    async with service, channel(service.address) as opened:
        waiting = [asyncio.create_task(check(opened, check_request())) for _ in range(3)]
        await auth.until_asked(3)
        for _ in range(10):
            answer = await check(opened, check_request())
            assert is_refusal(answer)
            assert answer.status.message == "overload_concurrency"
        assert await health(service.address) == "SERVING"
        auth.gate.set()
        assert not any(map(is_refusal, await asyncio.gather(*waiting)))
        assert not is_refusal(await check(opened, check_request()))
    assert auth.asked == 4


async def test_a_caller_that_gives_up_leaves_its_place(
    services: Services, guests: Guests, auth: Auth
) -> None:
    """A check whose caller is gone is not in progress any longer."""
    shedding = {"mode": "ENFORCE", "maxConcurrent": 1}
    service = services.service(
        "gone", documents(guests), clusters=clusters(auth), loadShedding=shedding
    )
    async with service, channel(service.address) as opened:
        waiting = asyncio.create_task(check(opened, check_request()))
        await auth.until_asked(1)
        assert is_refusal(await check(opened, check_request()))
        waiting.cancel()
        auth.gate.set()
        async with asyncio.timeout(30):
            while is_refusal(await check(opened, check_request())):
                pass


def fails_open(name: str) -> Listener:
    """A listener whose requests pass where the service answers with a status of gRPC."""
    ask = build.ext_authz_filter("mixer", timeout_s=10.0)
    ask["typed_config"]["failure_mode_allow"] = True
    details = {DETAILS_HEADER: "%RESPONSE_CODE_DETAILS%"}
    return Listener(build.listener(name, "upstream", [ask], response_headers=details), name)


@pytest.mark.usefixtures("envoy")
async def test_a_proxy_that_fails_open(services: Services, guests: Guests) -> None:
    """What is refused does not pass, through a real Envoy, whatever it does about failures."""
    shedding = {"mode": "ENFORCE", "rate": {"requestsPerSecond": 1, "burst": 2}}
    listeners = [fails_open("open"), asks("closed")]
    mixer = services.service("mixer", [], loadShedding=shedding)
    async with running_envoy(listeners, {"mixer": services.address("mixer")}) as proxy, mixer:
        seen = await asyncio.gather(*(proxy.get(one.name) for one in listeners * 10))
    for one in seen:
        assert one.status in (200, 503)
        assert (one.upstream is None) == (one.status == 503)
        assert ("retry-after" in dict(one.headers)) == (one.status == 503)
    for name in range(2):
        assert 503 in {one.status for one in seen[name::2]}
    assert 200 in {one.status for one in seen}


async def overloaded(opened: grpc.aio.Channel, method: str, data: bytes) -> bool:
    """Whether the answer is the status that a client tries again on, with when."""
    calling = call(opened, data, method)
    code = await calling.code()
    if code is not grpc.StatusCode.OK:
        assert code is grpc.StatusCode.UNAVAILABLE
        assert (await calling.details()).startswith("overloaded (")
        assert int(dict(await calling.trailing_metadata())[PUSHBACK]) > 0
    return code is not grpc.StatusCode.OK


async def test_mixer_v1(services: Services, guests: Guests, auth: Auth) -> None:
    """Checks of either front end share a bound; Mixer's clients get a status to try again on."""
    shedding = {"mode": "ENFORCE", "maxConcurrent": 2}
    service = services.service(
        "mixer-v1", documents(guests), clusters=clusters(auth), loadShedding=shedding
    )
    async with service, channel(service.address) as opened:
        waiting = [
            asyncio.create_task(check(opened, check_request())),
            asyncio.create_task(overloaded(opened, CHECK, check_bytes({}))),
        ]
        await auth.until_asked(2)
        assert await overloaded(opened, CHECK, check_bytes({}))
        assert is_refusal(await check(opened, check_request()))
        assert not await overloaded(opened, REPORT, report_bytes([{}] * 3))
        auth.gate.set()
        served, refused = await asyncio.gather(*waiting)
        assert not is_refusal(served)
        assert not refused
        assert not await overloaded(opened, CHECK, check_bytes({}))


async def test_a_report_is_not_refused_for_ever(services: Services, guests: Guests) -> None:
    """One of far more records than the burst is taken on; then the next has to wait for it."""
    limits = {"mode": "ENFORCE", "rate": {"requestsPerSecond": 20, "burst": 10}}
    records = 60
    async with (
        services.service("batch", [], loadShedding=limits, telemetry=telemetry()) as service,
        channel(service.address) as opened,
        asyncio.timeout(60),
    ):
        large = report_bytes([{"response.code": 200}] * records)
        assert not await overloaded(opened, REPORT, large)
        assert not is_refusal(await check(opened, check_request()))
        refusals = 0
        while await overloaded(opened, REPORT, large):
            refusals += 1
        found = await scrape(service)
    assert refusals
    reports = (("front_end", "mixer_v1"), ("kind", "report"))
    assert found["mixer_load_admitted_total", reports] == 2
    assert found["mixer_load_shed_total", (*reports, ("reason", "rate"))] == refusals


async def test_max_concurrent_rpcs_is_another_bound(
    services: Services, guests: Guests, auth: Auth
) -> None:
    """Where gRPC itself refuses, the answer is the status that lets requests pass."""
    service = services.service(
        "rpcs",
        documents(guests),
        clusters=clusters(auth),
        limits={"maxConcurrentRpcs": 3},
        loadShedding={"mode": "ENFORCE", "maxConcurrent": 100},
    )
    async with service, channel(service.address) as opened:
        waiting = [asyncio.create_task(check(opened, check_request())) for _ in range(3)]
        await auth.until_asked(3)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(opened, check_request())
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        auth.gate.set()
        assert not any(map(is_refusal, await asyncio.gather(*waiting)))
