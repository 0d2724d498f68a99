"""`Checks` with a server that is a function, and a clock that moves when the test says so."""

from collections.abc import Callable, Mapping
from typing import Any

from mixer.client.checks import Checks, wanted
from mixer.client.effects import Exchange, Pause, Send, Start
from mixer.client.metrics import ClientMetrics
from mixer.client.results import CheckResult
from mixer.client.retry import Failure
from mixer.client.settings import ClientSettings
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import decompress

Server = Callable[[dict[str, Any], pb.CheckRequest], pb.CheckResponse | Failure]


class Clock:
    """Nanoseconds, as the test says."""

    def __init__(self) -> None:
        self.now = 1_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


class Offline:
    """Drives checks to their end at once."""

    def __init__(self, server: Server, **settings: Any) -> None:
        self.clock = Clock()
        self.metrics = ClientMetrics()
        self.server = server
        self.requests: list[pb.CheckRequest] = []
        self.started: list[Exchange] = []
        self.pauses: list[float] = []
        self.checks = Checks(ClientSettings(address="none:1", **settings), self.metrics, self.clock)

    def check(
        self, attributes: Mapping[str, Any], quotas: Mapping[str, Any] | None = None
    ) -> CheckResult:
        """As a client does it; what goes on meanwhile is only started."""
        asked = wanted(quotas or {})
        kept = self.checks.kept(attributes)
        if kept is not None and (not asked or kept.code):
            return kept
        if kept is None:
            return self.drive(self.checks.ask(attributes, asked, 5.0))
        return self.drive(self.checks.ask_quotas(kept, attributes, asked, 5.0))

    def drive(self, exchange: Exchange) -> CheckResult:
        """Do what it wants until it ends."""
        reply = None
        while True:
            try:
                effect = exchange.send(reply)
            except StopIteration as end:
                return end.value
            reply = None
            if isinstance(effect, Send):
                self.requests.append(effect.request)
                reply = self.server(decompress(effect.request.attributes), effect.request)
            elif isinstance(effect, Pause):
                self.pauses.append(effect.seconds)
                self.clock.advance(effect.seconds)
            elif isinstance(effect, Start):
                self.started.append(effect.exchange)

    def finish_started(self) -> None:
        """Do what was started meanwhile."""
        while self.started:
            self.drive(self.started.pop(0))
