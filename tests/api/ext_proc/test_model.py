"""What goes through a proxy is what goes through the adapters, however the body comes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.attributes import HeaderMap
from mixer.engine import Engine
from tests.api.ext_proc.proxy import GET, Proxy, kinds
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter

HOLDING = {"allow-on-headers-stop-iteration": "true"}


def until_end(action: int) -> do.Step:
    """Return this from a body callback that is not the last."""
    return lambda _: f"(if (i32.eqz (local.get 2)) (then (return (i32.const {action}))))"


MODULES: Mapping[str, tuple[str, ...]] = {
    "nothing": (adapter(do.add("x-h", "1"), request_body=[]),),
    "changes": (adapter(request_body=[do.set_body("<new>")]),),
    "empties": (adapter(request_body=[do.set_body("")]),),
    "buffers": (adapter(request_body=[until_end(1)]),),
    "watermark": (adapter(request_body=[until_end(2), do.set_body("<all>")]),),
    "drops": (adapter(request_body=[until_end(3)]),),
    "denies": (adapter(request_body=[do.where_body("ab", do.deny(403))]),),
    "denies last": (adapter(request_body=[until_end(1), do.deny(403)]),),
    "holds": (
        adapter(
            do.answer(1),
            request_body=[until_end(1), do.add("x-late", "1"), do.set_body("<held>")],
        ),
    ),
    "two": (
        adapter(request_body=[until_end(1), do.set_body("<first>")]),
        adapter(do.answer(1), request_body=[until_end(1), do.add("x-second", "1")]),
    ),
    "trailers": (
        adapter(request_body=[do.answer(1)], request_trailers=[do.add_to_trailers("x-more", "1")]),
    ),
}


@dataclass
class Gone:
    """What reached the upstream.

    Attributes:
        status: Of what the client got in place of its answer; 0 where that is the upstream's.
        headers: What was changed.
        body: All of it.
    """

    status: int = 0
    headers: dict[str, list[bytes]] = field(default_factory=dict)
    body: bytes = b""


def through_the_engine(engine: Engine, pieces: list[bytes], *, trailers: bool) -> Gone:
    exchange = engine.open(request(*GET, ("content-length", "9")))
    exchange.request_headers(end_of_stream=False)
    gone = Gone()
    for number, piece in enumerate(pieces, 1):
        exchange.request_body(piece, end_of_stream=number == len(pieces) and not trailers)
        gone.body += exchange.request.take_body()
    if trailers:
        exchange.request_trailers(HeaderMap.of(("x-t", "1")))
        gone.body += exchange.request.take_body()
    changes = exchange.request.header_changes()
    exchange.close()
    if exchange.answer is not None and exchange.answer.response is not None:
        return Gone(exchange.answer.response.status)
    gone.headers = {c.name.decode(): list(c.values) for c in changes}
    return gone


class Envoy:
    """Answers of the service, applied as Envoy does; it fails on those that Envoy refuses."""

    def __init__(self, engine: Engine, mode: str, pieces: list[bytes]) -> None:
        self.proxy = Proxy(engine, mode)
        self.mode = mode
        self.gone = Gone()
        self._waits: list[tuple[str, bytes]] = []
        self._has_headers = True
        self._pieces = [b"".join(pieces)] if mode == "BUFFERED" else pieces

    def run(self, *, trailers: bool) -> Gone:
        """The whole request."""
        gone = self._run(trailers=trailers)
        self.proxy.stream.close()
        return gone

    def _run(self, *, trailers: bool) -> Gone:
        self._ask(
            "request_headers", b"", self.proxy.request_headers(("content-length", "9"), end=False)
        )
        for number, piece in enumerate(self._pieces, 1):
            if self._is_over:
                return self._left(number - 1)
            last = number == len(self._pieces) and not trailers
            self._ask("request_body", piece, self.proxy.body(piece, end=last))
        if self._is_over:
            return self.gone
        if trailers:
            assert self.mode == "FULL_DUPLEX_STREAMED" or not self._waits
            self._ask("request_trailers", b"", self.proxy.trailers(("x-t", "1")))
        assert self._is_over or not self._waits
        return self.gone

    def _left(self, number: int) -> Gone:
        """Without the service what is left of a request goes on as it is."""
        if not self.gone.status:
            self.gone.body += b"".join(self._pieces[number:])
        return self.gone

    @property
    def _is_over(self) -> bool:
        return self.proxy.stream.is_over

    def _ask(self, kind: str, body: bytes, answers: list[Any]) -> None:
        if not (kind == "request_body" and self.mode == "FULL_DUPLEX_STREAMED"):
            self._waits.append((kind, body))
        for answer, kind_of_answer in zip(answers, kinds(answers), strict=True):
            self._take(kind_of_answer, answer)

    def _take(self, kind: str, answer: Any) -> None:
        if kind == "immediate_response":
            self.gone = Gone(answer.immediate_response.status.code)
        elif kind == "request_body" and self.mode == "FULL_DUPLEX_STREAMED":
            assert not any(asked == "request_headers" for asked, _ in self._waits)
            self.gone.body += answer.request_body.response.body_mutation.streamed_response.body
        elif kind != "more_time":
            asked, body = self._waits.pop(0)
            assert asked == kind
            if kind != "request_trailers":
                self._apply(getattr(answer, kind).response, asked, body)

    def _apply(self, common: Any, asked: str, body: bytes) -> None:
        for option in common.header_mutation.set_headers:
            assert asked == "request_headers" or self.mode == "BUFFERED"
            if not option.append.value:
                self.gone.headers[option.header.key] = []
            self.gone.headers[option.header.key].append(option.header.raw_value)
        mutation = common.body_mutation
        changed = mutation.WhichOneof("mutation") is not None
        self.gone.body += mutation.body if changed else body
        if changed and self.mode == "BUFFERED":
            assert self.gone.headers["content-length"] == [b"%d" % len(mutation.body)]


PIECES = st.lists(st.sampled_from([b"a", b"b", b"ab", b"c" * 9]), min_size=1, max_size=4)
MODES = st.sampled_from(["STREAMED", "BUFFERED", "FULL_DUPLEX_STREAMED"])


def test_every_mode_against_the_engine(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The upstream gets the same as from the engine alone, or the client the same answer."""
    engines = {
        name: make_engine(
            *(
                plugins.plugin(
                    f"{name.replace(' ', '-')}-{number}", text, HOLDING, priority=-number
                )
                for number, text in enumerate(texts)
            )
        )
        for name, texts in MODULES.items()
    }

    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.sampled_from(sorted(MODULES)), MODES, PIECES, st.booleans())
    def check(name: str, mode: str, pieces: list[bytes], trailers: bool) -> None:
        engine = engines[name]
        told = [b"".join(pieces)] if mode == "BUFFERED" else pieces
        expected = through_the_engine(engine, told, trailers=trailers)
        found = Envoy(engine, mode, pieces).run(trailers=trailers)
        if mode == "STREAMED" and found.status == 503 and expected.status != 403:
            assert trailers or name in ("holds", "two", "trailers")
            return  # what cannot be had in this mode lets nothing pass
        found.headers.pop("content-length", None)
        assert found == expected

    check()
