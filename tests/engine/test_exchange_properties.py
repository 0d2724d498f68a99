"""Whatever adapters hold back, and however a message comes in pieces: it goes on whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.attributes import HeaderMap
from mixer.engine import Engine, Flow, HttpExchange, Verdict
from mixer.proxywasm import ManualScheduler
from mixer.testing.callouts import FakeCallouts
from tests.engine.conftest import Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter

PAUSE = do.answer(3)
MOST_CALLOUTS = 100
UNLESS_LAST: do.Step = lambda _: "(if (i32.eqz (local.get 2)) (then (return (i32.const 1))))"  # noqa: E731
RESUME = do.in_stream(do.resume, do.resume_response)

KINDS = {
    "passes": {},
    "buffers": {"body": [UNLESS_LAST]},
    "holds": {"headers": [UNLESS_LAST], "body": [UNLESS_LAST]},
    "holds a piece": {"headers": [UNLESS_LAST]},
    "asks": {"headers": [do.callout("auth"), PAUSE]},
    "asks at the end": {"body": [UNLESS_LAST, do.callout("auth"), do.answer(1)]},
    "asks at the trailers": {"body": [UNLESS_LAST], "trailers": [do.callout("auth"), PAUSE]},
}


def text_of(kind: str) -> str:
    steps = KINDS[kind]
    named = {
        f"{message}_{part}": [*(_marks(message) if part == "headers" else ()), *found]
        for message in ("request", "response")
        for part, found in {"headers": [], **steps}.items()
    }
    first = named.pop("request_headers")
    return adapter(*first, **named, http_call_response=[RESUME])


def _marks(message: str) -> list[do.Step]:
    return [do.add("x", "1") if message == "request" else do.add_to_response("x", "1")]


class Drive:
    """Feeds one message and answers callouts, in the order of a list."""

    def __init__(self, world: "World", exchange: HttpExchange, what: str) -> None:
        self.world, self.exchange, self.what = world, exchange, what
        self.passed = b""

    @property
    def flow(self) -> Flow | None:
        return getattr(self.exchange, self.what)

    def feed(self, pieces: list[bytes], trailers: bool) -> Iterator[None]:
        ends = not pieces and not trailers
        if self.what == "request":
            self.exchange.request_headers(end_of_stream=ends)
        else:
            self.exchange.response_headers(HeaderMap.of((":status", "200")), end_of_stream=ends)
        yield
        for number, piece in enumerate(pieces, 1):
            last = number == len(pieces) and not trailers
            getattr(self.exchange, f"{self.what}_body")(piece, end_of_stream=last)
            yield
        if trailers:
            getattr(self.exchange, f"{self.what}_trailers")(HeaderMap.of(("x-t", "1")))
            yield

    def run(self, pieces: list[bytes], trailers: bool, answers: list[bool]) -> None:
        feeding, order = self.feed(pieces, trailers), iter(answers)
        while True:
            if next(order, False):
                self.world.answer()
            elif next(feeding, False) is False:
                break
            self.take()
        while self.world.answer():
            self.take()

    def take(self) -> None:
        if self.flow is None:
            return
        body = self.flow.take_body()
        if body:
            assert self.flow.headers_passed
        self.passed += body


class World:
    """One engine for all examples, with adapters of every kind."""

    def __init__(self, folder: Path) -> None:
        plugins = Plugins(folder)
        option = {"allow-on-headers-stop-iteration": "true"}
        documents: list[Any] = []
        for number, kind in enumerate(KINDS):
            for place in range(3):
                name = f"{kind.replace(' ', '-')}-{place}"
                match = f"'x-place-{place}-{number}' in request.headers"
                annotations = {**option, "match": match}
                documents.append(plugins.plugin(name, text_of(kind), annotations, priority=-place))
        self._configuration = plugins.configuration(*documents)
        self.engine: Engine
        self.renew()

    def renew(self) -> None:
        """Start anew: a module can note only so many callouts."""
        self.time, self.callouts, self.answered = ManualScheduler(), FakeCallouts(), 0
        self.engine = Engine(self._configuration, scheduler=self.time, callouts=self.callouts)

    def answer(self) -> bool:
        """Answer the oldest callout that is not answered yet; whether there was one."""
        if self.answered == len(self.callouts.http_calls):
            return False
        self.callouts.http_calls[self.answered].respond(200)
        self.answered += 1
        self.time.advance()
        return True


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The engine."""
    made = World(tmp_path_factory.mktemp("exchange"))
    yield made
    made.engine.close()


MESSAGES = st.tuples(
    st.lists(st.binary(max_size=8), max_size=4), st.booleans(), st.lists(st.booleans(), max_size=12)
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=3), MESSAGES, MESSAGES)
def test_nothing_is_lost(world: World, kinds: list[str], upload: Any, download: Any) -> None:
    """The bytes, the changes of each adapter and the end come through, each in its order."""
    if len(world.callouts.http_calls) > MOST_CALLOUTS:
        world.engine.close()
        world.renew()
    places = [(f"x-place-{n}-{list(KINDS).index(kind)}", "1") for n, kind in enumerate(kinds)]
    before = [len(vm.contexts) for vm in _vms(world.engine)]
    exchange = world.engine.open(request(*places))
    for what, (pieces, trailers, answers) in (("request", upload), ("response", download)):
        drive = Drive(world, exchange, what)
        drive.run(pieces, trailers, answers)
        flow = drive.flow
        assert exchange.answer is None, exchange.answer
        assert flow is not None
        assert drive.passed == b"".join(pieces)
        assert (flow.headers_passed, flow.complete, flow.holds) == (True, True, False)
        assert flow.trailers_passed is trailers
        changed = {c.name: c.values for c in flow.header_changes()}
        assert changed == ({b"x": (b"1",) * len(kinds)} if kinds else {})
        assert flow.held_bytes == 0
    assert exchange.close().verdict is Verdict.ALLOW
    assert [len(vm.contexts) for vm in _vms(world.engine)] == before


def _vms(engine: Engine) -> Iterator[Any]:
    for adapter_ in engine.adapters:
        root = adapter_._root
        if root is not None:
            yield root.vm
