"""Running a request phase by phase, with the whole life of a stream as in Envoy."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from mixer.attributes import HeaderChange, HeaderMap, Value
from mixer.proxywasm import (
    HttpMessage,
    HttpStream,
    LogLevel,
    Outcome,
    ProxyWasmModule,
    ReadSet,
    RootContext,
    Services,
    StreamContext,
)
from mixer.runner.attributes import attribute_bag
from mixer.runner.callout_notes import NotedCallouts
from mixer.runner.exchange import Exchange, Pieces, RunResponse, TextPairs
from mixer.runner.messages import TypedSource
from mixer.runner.plugin import RunPlugin, linked, started_plugin
from mixer.runner.report import RunReport, path_text
from mixer.runner.trace import Trace
from mixer.runner.waiting import JumpingWaiter, Waiter
from mixer.vm import CompileCache, Linker, TrapError

_VERDICTS = {
    Outcome.CONTINUE: "allow",
    Outcome.RESPOND: "deny",
    Outcome.RESET: "reset",
    Outcome.PAUSE: "pause",
    Outcome.HOLD: "pause",
}


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run.

    Attributes:
        headers: Request headers, pseudo-headers included.
        plugin: What runs it.
        body: Request body, whole or in pieces, or None for a request without one.
        trailers: Request trailers, or None.
        metadata: Of HTTP/2 in the request: one for each block, which come before the body.
        response: What the upstream answers, or None to run the request's callbacks only.
        properties: Attributes beyond those of the headers.
        advance: Seconds that pass between the start of the plugin and the request.
        wait: Seconds that a paused stream may wait for what resumes it.
    """

    headers: tuple[tuple[str, str], ...]
    plugin: RunPlugin
    body: bytes | Sequence[bytes] | None = None
    trailers: TextPairs | None = None
    metadata: Sequence[Mapping[str, str]] = ()
    response: RunResponse | None = None
    properties: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    advance: float = 0.0
    wait: float = 15.0


def run_request(
    code: bytes,
    request: RunRequest,
    cache: CompileCache | None = None,
    *,
    waiter: Waiter | None = None,
    trace: Trace | None = None,
    compiling: Callable[[int], None] = lambda _size: None,
) -> RunReport:
    """Run one request through a module.

    Args:
        code: The module's bytes.
        request: What to run.
        cache: Where compiled modules are kept.
        waiter: How time passes, and what callouts there are; by default there are none, and time
            costs nothing.
        trace: Told of every callback and host call.
        compiling: See `WasmEngine`.

    Raises:
        ModuleError: The module cannot run here.
        PluginStartError: It refused to start.
        TrapError: It trapped while it started.
    """
    with linked(request.plugin, code, cache, trace, compiling) as (module, linker):
        waiter = waiter or JumpingWaiter()
        return waiter.run(_Run(module, request, waiter, trace).execute(linker))


class _Run:
    def __init__(
        self, module: ProxyWasmModule, request: RunRequest, waiter: Waiter, trace: Trace | None
    ) -> None:
        self._module = module
        self._request = request
        self._waiter = waiter
        self._trace = trace
        self._trapped: list[TrapError] = []
        self._logs: list[tuple[LogLevel, str]] = []
        self._reads = ReadSet()
        self._callouts = NotedCallouts(waiter.callouts)
        self._waits_for = ""
        headers = HeaderMap.of(*request.headers)
        self._source = TypedSource(HttpMessage(headers), request.properties)
        self._stream = HttpStream(self._source.request, attribute_bag(self._source))

    async def execute(self, linker: Linker) -> RunReport:
        plugin = self._request.plugin
        services = Services(
            log=lambda level, line: self._logs.append((level, line)),
            log_level=plugin.log_level,
            scheduler=self._waiter.scheduler,
            callouts=self._callouts,
            failed=self._trapped.append,
        )
        began = time.perf_counter()
        with started_plugin(plugin, self._module, linker, services, self._trace) as root:
            started = time.perf_counter()
            if self._request.advance:
                await self._waiter.pass_time(self._request.advance)
            verdict, trap = await self._drive(root)
            ended = time.perf_counter()
            memory = 0 if root.vm.closed else root.vm.instance.memory.size()
            return self._report(verdict, trap, started - began, ended - started, memory)

    async def _drive(self, root: RootContext) -> tuple[str, str]:
        try:
            if self._trapped:
                return "trap", str(self._trapped[0])
            context = StreamContext(root, self._stream, self._reads)
            outcome = await self._exchange(context)
            if self._trapped:
                return "trap", str(self._trapped[0])
            if _VERDICTS[outcome] == "pause":
                self._waits_for = self._open(context)
            self._source.finished = True
            context.log_stream()
            context.delete()
            await self._waiter.drain(context.vm, self._request.wait)
        except TrapError as trap:
            return "trap", str(trap)
        return _VERDICTS[outcome], ""

    def _open(self, context: StreamContext) -> str:
        """What could have resumed a stream that is paused for good."""
        vm, waited = context.vm, f"within {self._request.wait:g} s (--wait)"
        if number := len(vm.callouts):
            callouts = "1 callout is" if number == 1 else f"{number} callouts are"
            return f"{callouts} under way: not answered {waited}"
        if vm.may_resume(context):
            return f"no callout is under way; no tick and no message of a queue resumed it {waited}"
        return "nothing can resume it: no callout is under way, and no tick is set"

    async def _exchange(self, context: StreamContext) -> Outcome:
        steps = Exchange(context, self._pieces(), self._request.response).run()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                outcome: Outcome = end.value
                return outcome
            await self._waiter.wait_for(context, self._request.wait)

    def _pieces(self) -> Pieces:
        body = self._request.body
        if body is None:
            body = ()
        pieces = (body,) if isinstance(body, bytes) else body
        return Pieces(pieces, self._request.trailers, self._request.metadata)

    def _report(
        self, verdict: str, trap: str, start: float, request: float, memory: int
    ) -> RunReport:
        stream = self._stream
        answered = verdict == "deny" or (verdict == "allow" and stream.response is not None)
        return RunReport(
            verdict=verdict,
            response=stream.local_response,
            header_changes=stream.request.headers.changes(),
            body=stream.request.body if stream.request.body_changed else None,
            trailer_changes=_changes(stream.request.trailers),
            sent=stream.response if answered else None,
            properties_set={path_text(k): v for k, v in stream.filter_state.items()},
            logs=tuple(self._logs),
            reads=self._reads,
            trap=trap,
            waits_for=self._waits_for,
            callouts=self._callouts.so_far(),
            start_seconds=start,
            request_seconds=request,
            memory_bytes=memory,
        )


def _changes(headers: HeaderMap | None) -> tuple[HeaderChange, ...]:
    return () if headers is None else headers.changes()
