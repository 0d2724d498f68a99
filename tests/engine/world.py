"""An engine with callouts that a test answers, and a clock that it moves."""

from typing import Any

from mixer.engine import Engine, HttpExchange, PendingDecision
from mixer.proxywasm import ManualScheduler
from mixer.testing.callouts import FakeCallouts
from tests.engine.conftest import MakeEngine, request
from tests.support import adapters as do
from tests.support.adapters import adapter

PAUSE = do.answer(3)


def asking(*steps: do.Step, before: Any = (), **callbacks: Any) -> str:
    """An adapter that asks another service, and acts on the answer."""
    return adapter(
        *before,
        do.callout("auth"),
        PAUSE,
        http_call_response=[do.in_stream(*steps or (do.resume,))],
        **callbacks,
    )


class World:
    """An engine, and what is around it."""

    def __init__(self, make_engine: MakeEngine, *documents: dict[str, Any]) -> None:
        self.time = ManualScheduler()
        self.callouts = FakeCallouts()
        self.engine: Engine = make_engine(*documents, scheduler=self.time, callouts=self.callouts)

    def ask(self, *headers: tuple[str, str], **more: Any) -> PendingDecision:
        """Begin a decision that waits."""
        pending = self.engine.decide(request(*headers, **more))
        assert isinstance(pending, PendingDecision)
        return pending

    def open(self, *headers: tuple[str, str]) -> HttpExchange:
        """Begin a stream."""
        return self.engine.open(request(*headers))

    def answer(self, number: int = -1, status: int = 200) -> None:
        """Answer a callout, and let happen what follows from it."""
        self.callouts.http_calls[number].respond(status)
        self.time.advance()
