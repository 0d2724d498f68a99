"""Plugins in this host: started once, then given one stream after the other."""

import fcntl
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from mixer.attributes import HeaderMap
from mixer.callouts.ports import Callouts
from mixer.proxywasm import (
    HttpMessage,
    HttpStream,
    LogLevel,
    ManualScheduler,
    Outcome,
    PluginSettings,
    ProxyWasmModule,
    RootContext,
    Services,
    StreamContext,
    WasmVm,
    host_functions,
    load_module,
)
from mixer.runner import Pieces, RunResponse
from mixer.runner.attributes import attribute_bag
from mixer.runner.exchange import Exchange
from mixer.runner.messages import TypedSource
from mixer.testing.callouts import FakeCallouts, FakeGrpcCall, FakeHttpCall, FakeRedisCall
from mixer.vm import CompileCache, VmLimits, WasmEngine, make_linker
from tests.higress.cases import AUTHORITY, Case, Fields, Request, Response, Seen, Upstream

_LATER_S = 1.0
_ENDINGS = {Outcome.CONTINUE: "response", Outcome.RESPOND: "response", Outcome.RESET: "reset"}


class Answers(FakeCallouts):
    """Callouts that are answered as soon as a stream waits for them.

    Args:
        http: Answers an HTTP callout.
        redis: Answers a Redis callout.
        grpc: Answers a unary gRPC callout.
        clusters: See `FakeCallouts`.
    """

    def __init__(
        self,
        http: Callable[[FakeHttpCall], None] | None = None,
        redis: Callable[[FakeRedisCall], None] | None = None,
        grpc: Callable[[FakeGrpcCall], None] | None = None,
        clusters: Collection[str] | None = None,
    ) -> None:
        super().__init__(clusters)
        self._http, self._redis, self._grpc = http, redis, grpc

    def give(self) -> bool:
        """Answer what waits; whether there was anything."""
        http = [call for call in self.http_calls if not call.over]
        redis = [call for call in self.redis_calls if not call.over]
        for call in http:
            assert self._http is not None
            self._http(call)
        for query in redis:
            assert self._redis is not None
            self._redis(query)
        grpc = [call for call in self.grpc_calls if not call.over]
        for method in grpc:
            assert self._grpc is not None
            self._grpc(method)
        return bool(http or redis or grpc)


class Host:
    """Loads plugins, each once.

    Args:
        find: Knows a plugin's file.
        cache: Where compiled modules are kept; other processes may use it at the same time.
    """

    def __init__(self, find: Callable[[str], Path], cache: Path) -> None:
        self._find = find
        self._cache = cache
        self._engine = WasmEngine(CompileCache(cache))
        self._linker = make_linker(self._engine, host_functions())
        self._modules: dict[str, ProxyWasmModule] = {}

    def module(self, plugin: str) -> ProxyWasmModule:
        """The plugin's module."""
        if plugin not in self._modules:
            with self._alone(plugin):
                self._modules[plugin] = load_module(self._engine, self._find(plugin).read_bytes())
        return self._modules[plugin]

    @contextmanager
    def _alone(self, plugin: str) -> Iterator[None]:
        """Wait for another process that compiles it, for seconds: its result is used then."""
        with (self._cache.parent / f"{plugin}.compiling").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def started(
        self,
        plugin: str,
        configuration: Mapping[str, Any] | str,
        services: Services,
    ) -> Iterator[RootContext]:
        """A plugin in a VM of its own.

        Raises:
            PluginStartError: It refused its configuration.
        """
        text = configuration if isinstance(configuration, str) else json.dumps(configuration)
        settings = PluginSettings(
            plugin, configuration=text.encode(), allow_on_headers_stop_iteration=True
        )
        module = self.module(plugin)
        with WasmVm(module, self._linker, VmLimits(), start_cpu=10.0, services=services) as vm:
            root = vm.start_plugin(settings)
            vm.started()
            yield root

    def run(self, case: Case) -> list[Seen]:
        """What comes of the requests of a case, and of the time after them."""
        lines: list[str] = []
        services = logging_to(lines, _answering(case), LogLevel.WARN)
        seen: list[Seen] = []
        with self.started(case.plugin, case.text, services) as root:
            for step in case.steps:
                seen.append(through([root], step.request, step.response))
                seen[-1].lines = _of_streams(lines, case)
            scheduler = services.scheduler
            assert isinstance(scheduler, ManualScheduler)
            scheduler.advance(_LATER_S)
        assert case.events <= set(lines)
        return seen

    def close(self) -> None:
        """Free what was loaded."""
        self._linker.close()
        self._engine.close()


def _answering(case: Case) -> Answers:
    def answer(call: FakeHttpCall) -> None:
        assert case.answer is not None
        call.respond(case.answer.status, b"".join(case.answer.pieces), case.answer.fields)

    return Answers(answer, grpc=healthy, clusters=("upstream", "grpc"))


def healthy(call: FakeGrpcCall) -> None:
    """What a gRPC server says that has the health service."""
    if call.method.method == "Check":
        call.respond(b"\x08\x01")
    else:
        call.fail(12, "Method not found!")


def _of_streams(lines: list[str], case: Case) -> list[str]:
    """Take the module's lines since the last stream; none where they do not count.

    The host explains refused calls in lines of its own.
    """
    taken = [s for s in lines if s not in case.events and not s.startswith("proxy_")]
    lines[:] = [line for line in lines if line in case.events]
    return taken if case.ends else []


def logging_to(
    lines: list[str], callouts: Callouts | None = None, level: LogLevel = LogLevel.TRACE
) -> Services:
    """Services whose clock moves by a millisecond whenever it is read: no answer takes no time."""
    clock = count(1_800_000_000_000_000_000, 1_000_000)
    return Services(
        log=lambda _, line: lines.append(line),
        log_level=level,
        wall_clock=lambda: next(clock),
        monotonic_clock=lambda: next(clock),
        callouts=callouts or FakeCallouts(()),
    )


def module_file(folder: Path, plugin: str) -> Path:
    """The plugin's only version."""
    (file,) = folder.glob(f"{plugin}/*/plugin.wasm")
    return file


def _run(exchange: Exchange, services: Services) -> Outcome:
    """Run one to its end, answering the callouts that its stream waits for."""
    callouts, steps = services.callouts, exchange.run()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        if not (isinstance(callouts, Answers) and callouts.give()):
            steps.close()
            return Outcome.PAUSE


def through(plugins: Sequence[RootContext], request: Request, response: Response) -> Seen:
    """Send one stream through a chain of plugins, the last of which sees the response."""
    source = TypedSource(HttpMessage(_headers(request)), request.properties)
    stream = HttpStream(source.request, attribute_bag(source))
    for name, value in request.stored.items():
        stream.filter_state[name.encode()] = json.dumps(value).encode()
    contexts = [StreamContext(root, stream) for root in plugins]
    seen = _exchange(contexts, stream, request, response)
    source.finished = True
    for context in contexts:
        context.log_stream()
    for context in contexts:
        context.delete()
    seen.properties = {name.decode(): value for name, value in stream.filter_state.items()}
    return seen


def _headers(request: Request) -> HeaderMap:
    pseudo = (
        (":authority", AUTHORITY), (":path", request.path), (":method", request.verb),
        (":scheme", "http"),
    )  # fmt: skip
    return HeaderMap.of(*pseudo, *request.fields)


def _exchange(
    contexts: Sequence[StreamContext], stream: HttpStream, request: Request, response: Response
) -> Seen:
    pieces = _pieces(request, request.body)
    for context in contexts[:-1]:
        outcome = _run(Exchange(context, pieces, None), context.vm.services)
        if outcome is not Outcome.CONTINUE:
            return _seen(outcome, stream)
        pieces = _pieces(request, stream.request.body)
    answer = RunResponse(
        ((":status", str(response.status)), *response.fields), Pieces((*response.pieces, b""))
    )
    last = contexts[-1]
    return _seen(_run(Exchange(last, pieces, answer), last.vm.services), stream)


def _pieces(request: Request, body: bytes) -> Pieces:
    if request.trailers is not None:
        return Pieces((body,), request.trailers)
    return Pieces((body, b"") if request.body else ())


def _seen(outcome: Outcome, stream: HttpStream) -> Seen:
    reached = None if stream.local_response else _upstream(stream.request)
    if outcome not in _ENDINGS or stream.response is None:
        return Seen(_ENDINGS.get(outcome, "pause"), upstream=reached)
    message = stream.response
    return Seen(
        _ENDINGS[outcome],
        int(message.headers[":status"]),
        _fields(message.headers),
        message.body,
        reached,
    )


def _upstream(message: HttpMessage) -> Upstream:
    headers = message.headers
    host = ("host", headers[":authority"])
    return Upstream(headers[":path"], (host, *_fields(headers)), message.body)


def _fields(headers: HeaderMap) -> Fields:
    pairs = [(n.decode(), v.decode("latin-1")) for n, v in headers.pairs()]
    return tuple((n, v) for n, v in pairs if not n.startswith(":"))
