"""What modules do to requests and responses through ext_proc, in every mode of the real Envoy."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.study.service import ServiceProcess
from tests.differential.exchange import Message
from tests.e2e.guests import Guests
from tests.e2e.pieces import Came, Upstream, cluster_of, exchange, upstream
from tests.e2e.stack import START_TIMEOUT_S, Listener, Services, adapter, in_chain, processes
from tests.support import adapters as do
from tests.support.adapters import adapter as text
from tests.support.compile import wasm

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

HOLDING = {"allow-on-headers-stop-iteration": "true"}
BODIES = ["STREAMED", "BUFFERED", "BUFFERED_PARTIAL", "FULL_DUPLEX_STREAMED"]
WHOLE = ["BUFFERED", "BUFFERED_PARTIAL", "FULL_DUPLEX_STREAMED", "override"]
TWO = Message((b"one", b"two"))
TRAILED = Message((b"one", b"two"), (("x-trailer", "t"),))
OVERRIDE = {"x-mixer-mode-override": "allowed"}


def hold(_texts: do.Texts) -> str:
    """Hold the headers back, or what there is of a body, unless it is the end."""
    return "(if (i32.eqz (local.get 2)) (then (return (i32.const 1))))"


MODULES = {
    "headers": text(
        do.add("x-request", "1"),
        do.replace(":path", "/changed"),
        response_headers=[do.add_to_response("x-response", "1"), do.set_status(418)],
    ),
    "denies": text(do.deny(403, "no entry", "not today")),
    "body": text(
        request_body=[hold, do.set_body("<request>")],
        response_headers=[],
        response_body=[hold, do.set_body("<response>", kind=1)],
    ),
    "late": text(
        hold,
        request_body=[hold, do.add("x-late", "1"), do.set_body("<late>")],
        response_headers=[hold],
        response_body=[hold, do.add_to_response("x-late", "1"), do.set_body("<later>", kind=1)],
    ),
    "denies-body": text(hold, request_body=[hold, do.where_body("onetwo", do.deny(403, "bad"))]),
    "denies-response": text(response_headers=[do.deny(502, "bad response")]),
    "denies-response-body": text(
        response_headers=[hold], response_body=[hold, do.deny(502, "bad")]
    ),
    "breaks-off": text(response_headers=[], response_body=[do.deny(502, "too late")]),
    "trailers": text(
        request_body=[],
        response_body=[],
        request_trailers=[do.add_to_trailers("x-added", "1")],
        response_headers=[],
        response_trailers=[do.add_to_response_trailers("x-added", "1")],
    ),
    "keeps": text(
        request_body=[do.answer(1)], request_trailers=[],
        response_headers=[], response_body=[do.answer(1)], response_trailers=[],
    ),
    "logs": text(
        do.deny(403), request_body=[do.log("saw a piece", 4)], log=[do.log("saw the end", 4)]
    ),
    "traps": text(request_body=[do.trap]),
}  # fmt: skip


@dataclass
class World:
    """An Envoy, its upstream and the service."""

    envoy: EnvoyProcess
    upstream: Upstream
    service: ServiceProcess
    numbers: "count[int]" = field(default_factory=count)

    async def send(
        self, module: str, mode: str, request: Message | None = None, target: str = "/x"
    ) -> tuple[Came, Came | None]:
        """What the client got, and what came to the upstream."""
        target = f"{target}?{next(self.numbers)}"
        came = await exchange(self.envoy.address(f"{module}-{mode}"), target, request)
        return came, self.upstream.came.get(target)


def listeners(module: str) -> list[Listener]:
    made = [
        processes(f"{module}-{mode}", module, request_body=mode, response_body=mode)
        for mode in ["NONE", *BODIES]
    ]
    asking = processes(
        f"{module}-override",
        module,
        request_body="NONE",
        response_body="NONE",
        initial_metadata=OVERRIDE,
        options={"allow_mode_override": True},
    )
    observing = processes(
        f"{module}-observing",
        module,
        request_body="STREAMED",
        response_body="STREAMED",
        options={"observability_mode": True, "deferred_close_timeout": "0.1s"},
    )
    return [*made, asking, observing]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(envoy: Path, services: Services, guests: Guests) -> AsyncIterator[World]:
    long = Message(tuple(bytes([number]) * 50_000 for number in range(40)))
    answers = {"/two": TWO, "/trailers": TRAILED, "/empty": Message(), "/long": long}
    made = [one for name in MODULES for one in listeners(name)]
    async with upstream(answers) as served:
        clusters = [
            cluster_of("upstream", served.address),
            build.cluster("mixer", services.address("mixer"), http2=True),
        ]
        config = build.bootstrap([one.config for one in made], clusters)
        async with EnvoyProcess(config, start_timeout_s=START_TIMEOUT_S) as running:
            ports: dict[str | None, list[int]] = {}
            for one in made:
                port = int(running.address(one.name).rpartition(":")[2])
                ports.setdefault(one.chain, []).append(port)
            adapters = [
                in_chain(
                    adapter(name, guests.file(name, wasm(code)), annotations=HOLDING),
                    name,
                    ports[name],
                )
                for name, code in MODULES.items()
            ]
            limits = {"maxHeldBytes": "64Ki"}
            async with services.service("mixer", adapters, limits=limits) as service:
                yield World(running, served, service)


@pytest.mark.parametrize("mode", ["NONE", *BODIES, "override"])
async def test_headers(world: World, mode: str) -> None:
    """Those of the request and of the response are changed, pseudo-headers too."""
    came, reached = await world.send("headers", mode, TWO, "/two")
    assert reached is None
    assert came.start == 418
    assert came.values("x-response") == ["1"]
    assert came.body == b"hello"
    seen = world.upstream.came["/changed"]
    assert (seen.start, seen.values("x-request"), seen.body) == ("POST /changed", ["1"], b"onetwo")
    assert '"verdict":"allow"' in came.values("x-demo-decision")[0]


@pytest.mark.parametrize("mode", ["NONE", *BODIES, "override"])
async def test_a_denial(world: World, mode: str) -> None:
    """The upstream sees nothing; the client sees status, body and details."""
    came, reached = await world.send("denies", mode, TWO)
    assert (came.start, came.body, reached) == (403, b"no entry", None)
    assert came.values("x-demo-details") == ["not_today"]
    assert '"verdict":"deny"' in came.values("x-demo-decision")[0]


@pytest.mark.parametrize("mode", [*BODIES, "override"])
@pytest.mark.parametrize("request_of", [TWO, Message((b"whole",))])
async def test_bodies_are_replaced(world: World, mode: str, request_of: Message) -> None:
    """That of the request and that of the response, whatever their lengths were said to be."""
    for target in ("/two", "/x"):
        came, reached = await world.send("body", mode, request_of, target)
        assert reached is not None
        assert (reached.body, came.start, came.body) == (b"<request>", 200, b"<response>")


@pytest.mark.parametrize("mode", WHOLE)
async def test_headers_from_the_body_phase(world: World, mode: str) -> None:
    """An adapter that holds the headers back changes them when it has seen the body."""
    came, reached = await world.send("late", mode, TWO, "/two")
    assert reached is not None
    assert (reached.values("x-late"), reached.body) == (["1"], b"<late>")
    assert (came.start, came.values("x-late"), came.body) == (200, ["1"], b"<later>")


@pytest.mark.parametrize("mode", ["NONE", "STREAMED"])
async def test_headers_that_wait_for_a_body_in_vain(world: World, mode: str) -> None:
    """Nothing passes that an adapter has not seen."""
    came, reached = await world.send("late", mode, TWO)
    assert (came.start, reached) == (503, None)
    (details,) = came.values("x-demo-details")
    assert details == "waits_for_a_body_that_the_proxy_does_not_send"


@pytest.mark.parametrize("mode", WHOLE)
async def test_a_denial_from_the_body_phase(world: World, mode: str) -> None:
    """Nothing reaches the upstream before."""
    came, reached = await world.send("denies-body", mode, TWO)
    assert (came.start, came.body, reached) == (403, b"bad", None)
    came, reached = await world.send("denies-body", mode, Message((b"good",)))
    assert came.start == 200
    assert reached is not None
    assert reached.body == b"good"


@pytest.mark.parametrize("mode", ["NONE", *BODIES, "override"])
async def test_a_response_is_replaced(world: World, mode: str) -> None:
    """The client gets the adapter's answer and nothing of the upstream's."""
    came, reached = await world.send("denies-response", mode, TWO, "/two")
    assert reached is not None
    assert (came.start, came.body) == (502, b"bad response")


@pytest.mark.parametrize("mode", WHOLE)
async def test_a_response_is_replaced_for_its_body(world: World, mode: str) -> None:
    """Likewise once the body was seen, if the headers waited."""
    came, _ = await world.send("denies-response-body", mode, None, "/two")
    assert (came.start, came.body) == (502, b"bad")


@pytest.mark.parametrize("mode", ["STREAMED", "FULL_DUPLEX_STREAMED"])
async def test_a_response_is_broken_off(world: World, mode: str) -> None:
    """Where its headers went on, all that is left is a reset; never the rest of the body.

    An Envoy that has not written them yet when it is told has an error for the client instead.
    """
    came, _ = await world.send("breaks-off", mode, None, "/two")
    assert (came.start, came.body) in (("reset", b""), (503, b""))


@pytest.mark.parametrize("mode", ["NONE", *BODIES, "override"])
async def test_trailers(world: World, mode: str) -> None:
    """Modules see and change them, in both directions."""
    came, reached = await world.send("trailers", mode, TRAILED, "/trailers")
    assert reached is not None
    assert dict(reached.trailers) == {"x-trailer": "t", "x-added": "1"}
    assert dict(came.trailers) == {"x-trailer": "t", "x-added": "1"}
    assert (reached.body, came.body) == (b"onetwo", b"onetwo")


@pytest.mark.parametrize("mode", ["BUFFERED", "FULL_DUPLEX_STREAMED"])
async def test_a_body_that_is_kept_until_the_trailers(world: World, mode: str) -> None:
    """It goes on whole."""
    came, reached = await world.send("keeps", mode, TRAILED, "/trailers")
    assert reached is not None
    assert (reached.body, came.body) == (b"onetwo", b"onetwo")
    assert (reached.trailers, came.trailers) == (TRAILED.trailers, TRAILED.trailers)


async def test_a_body_that_is_kept_piece_by_piece(world: World) -> None:
    """In STREAMED it could not go on any more: the request fails, and is not cut short."""
    came, reached = await world.send("keeps", "STREAMED", TRAILED)
    assert (came.start, reached) == (503, None)


@pytest.mark.parametrize("mode", ["STREAMED", "FULL_DUPLEX_STREAMED"])
async def test_a_body_past_its_bound(world: World, mode: str) -> None:
    """One that an adapter holds back is refused as Envoy refuses it."""
    pieces = tuple(b"x" * 10_000 for _ in range(8))
    came, reached = await world.send("body", mode, Message(pieces))
    assert (came.start, reached) == (413, None)


@pytest.mark.parametrize("mode", BODIES)
async def test_an_adapter_that_fails(world: World, mode: str) -> None:
    """A trap ends the request with 503."""
    came, reached = await world.send("traps", mode, TWO)
    assert (came.start, reached) == (503, None)


async def test_observability_mode(world: World) -> None:
    """Requests pass whatever the adapters say, and are shown to them up to the log."""
    came, reached = await world.send("logs", "observing", TWO, "/two")
    assert reached is not None
    assert (came.start, came.body, reached.body) == (200, b"onetwo", b"onetwo")
    deadline = time.monotonic() + 30
    while (  # noqa: ASYNC110 - another process
        "saw the end" not in world.service.log_text() and time.monotonic() < deadline
    ):
        await asyncio.sleep(0.05)
    assert "saw the end" in world.service.log_text()


@pytest.mark.parametrize("mode", ["NONE", *BODIES, "override"])
async def test_messages_without_a_body(world: World, mode: str) -> None:
    """They stay without one."""
    for module in ("body", "trailers", "keeps"):
        came, reached = await world.send(module, mode, None, "/empty")
        assert reached is not None
        assert (reached.start.partition("?")[0], reached.body) == ("GET /empty", b"")
        assert (came.start, came.body) == (200, b"")


@pytest.mark.parametrize("mode", ["NONE", "STREAMED", "FULL_DUPLEX_STREAMED"])
async def test_long_bodies(world: World, mode: str) -> None:
    """They pass through adapters that hold nothing back, whatever the bounds are."""
    pieces = tuple(bytes([number]) * 50_000 for number in range(40))
    came, reached = await world.send("trailers", mode, Message(pieces), "/long")
    assert reached is not None
    assert reached.body == b"".join(pieces)
    assert (came.start, came.body) == (200, b"".join(pieces))


async def test_a_long_body_in_buffered_mode(world: World) -> None:
    """Envoy itself refuses what does not fit into its buffer."""
    pieces = tuple(b"x" * 100_000 for _ in range(15))
    came, reached = await world.send("body", "BUFFERED", Message(pieces))
    assert (came.start, reached) == (413, None)
