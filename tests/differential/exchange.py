"""One scenario in Envoy's own Wasm filter, and in the runner: what the client saw, and the log."""

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h11

from mixer.attributes import HeaderMap, Value
from mixer.callouts.assembly import ClusterCallouts
from mixer.callouts.clusters import Cluster, Discovery, Endpoint
from mixer.callouts.naming import Clusters
from mixer.proxywasm import LogLevel, PluginSettings
from mixer.runner import Pieces, RunPlugin, RunReport, RunRequest, RunResponse, run_request
from mixer.runner.waiting import LoopWaiter, Waiter
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.study.http1 import Headers, HttpError, HttpStream, header_fields
from mixer.vm import VmLimits
from tests.differential.arrival import Arrival
from tests.differential.scripted_exchange import Script, module_text
from tests.support.compile import wasm

_LONG_S, _HANGS_S = 15.0, 1.5
CALLED, REFUSED, NOBODY = "called", "refused", 1
"""A cluster that answers, and one at whose port nobody listens."""
_OF_THE_HOP = {"date", "server", "connection", "transfer-encoding"}


@dataclass(frozen=True)
class Message:
    """A request or a response as a scenario has it.

    Attributes:
        body: The pieces of a chunked body.
        trailers: What ends it, or None.
        headers: Those beyond the framing.
        status: Of a response.
    """

    body: tuple[bytes, ...] = ()
    trailers: Headers | None = None
    headers: Headers = ()
    status: int = 200

    @property
    def fields(self) -> Headers:
        """All header fields."""
        chunked = bool(self.body) or self.trailers is not None
        framing = ("transfer-encoding", "chunked") if chunked else ("content-length", "0")
        return (*self.headers, framing)

    def pieces(self) -> Pieces:
        """What follows the headers, as Envoy hands it over: the end is a piece of its own."""
        if self.trailers is None:
            return Pieces((*self.body, b"") if self.body else ())
        return Pieces(self.body, self.trailers)

    async def send(
        self, stream: HttpStream, head: h11.Event, arrival: Arrival | None = None
    ) -> None:
        """Send it, to Envoy piece by piece: each once the one before has arrived."""
        for part in (head, *map(h11.Data, self.body)):
            before = await arrival.count() if arrival else 0
            await stream.send(part)
            if arrival:
                await arrival.beyond(before)
        await stream.send(h11.EndOfMessage(headers=list(self.trailers or ())))


@dataclass(frozen=True)
class Scenario:
    """What a module does, and with what.

    Attributes:
        script: Steps by callback.
        request: The request.
        response: The upstream's response.
        stop_iteration: Envoy's option ``allow_on_headers_stop_iteration``.
        hangs: Whether the client is expected to wait in vain.
        abi: Of the module.
        properties: What Envoy knows of the request and its connection, for the runner.
        called: What a callout to the cluster ``called`` gets, by its path.
        ends_with: What the last line of the module's log begins with.
    """

    script: Script
    request: Message = Message()
    response: Message = Message((b"hello",), headers=(("content-type", "text/plain"),))
    stop_iteration: bool = False
    hangs: bool = False
    abi: str = "0_2_1"
    properties: Mapping[str, Value] = field(default_factory=dict)
    called: Message = Message((b"called",), headers=(("x-called", "1"),))
    ends_with: str = "on_delete"


@dataclass
class Seen:
    """What came of a scenario.

    Attributes:
        ending: ``response``, ``reset`` or ``pause``.
        status: Of the response.
        headers: Those of the message, not of the connection.
        body: Of the response.
        trailers: Of the response.
        lines: What the module logged.
    """

    ending: str
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def _own(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted((n.lower(), v) for n, v in headers if n.lower() not in _OF_THE_HOP)


def through_the_runner(scenario: Scenario, name: str = "") -> Seen:
    """Run it here, with the path that it has in Envoy if it is named.

    If it makes callouts, they are real.
    """
    if "http_call_response" not in scenario.script:
        return _run(scenario, name)
    with asyncio.Runner() as runner:
        server = runner.run(listen(Upstream({name: scenario})))
        port = server.sockets[0].getsockname()[1]
        callouts = runner.run(open_callouts(port))
        try:
            return _run(scenario, name, LoopWaiter(runner, callouts))
        finally:
            runner.run(_end(callouts, server))


async def _end(callouts: ClusterCallouts, server: asyncio.Server) -> None:
    await callouts.close()
    server.close()
    await server.wait_closed()


async def open_callouts(port: int) -> ClusterCallouts:
    """The clusters of the scenarios."""
    ports = {CALLED: port, REFUSED: NOBODY}
    return ClusterCallouts(
        Clusters(
            Cluster(name, (Endpoint("127.0.0.1", port),), Discovery.STATIC)
            for name, port in ports.items()
        )
    )


def _run(scenario: Scenario, name: str, waiter: Waiter | None = None) -> Seen:
    request = (
        (":authority", "a"), (":path", f"/{name}"), (":method", "POST"), (":scheme", "http"),
        *scenario.request.fields,
    )  # fmt: skip
    pieces, response = scenario.request.pieces(), scenario.response
    report = run_request(
        wasm(module_text(scenario.script, scenario.abi)),
        RunRequest(
            headers=request,
            plugin=RunPlugin(
                PluginSettings(
                    name or "run", name, allow_on_headers_stop_iteration=scenario.stop_iteration
                ),
                limits=VmLimits(cpu=5.0),
            ),
            body=pieces.body or None,
            trailers=pieces.trailers,
            properties=scenario.properties,
            response=RunResponse(
                ((":status", str(response.status)), *response.fields), response.pieces()
            ),
            wait=_HANGS_S if scenario.hangs else _LONG_S,
        ),
        waiter=waiter,
    )
    assert not report.trap, report.trap
    return _seen(report)


def _seen(report: RunReport) -> Seen:
    lines = without_the_hop(
        [
            text
            for level, text in report.logs
            if level is LogLevel.WARN and not text.startswith("proxy_http_call answers ")
        ]
    )
    message = report.sent
    if message is None:
        return Seen(report.verdict, lines=lines)
    headers = [(n, v) for n, v in _text(message.headers) if n != ":status"]
    return Seen(
        "response",
        int(message.headers[":status"]),
        _own(headers),
        message.body,
        _text(message.trailers),
        lines,
    )


def without_the_hop(lines: list[str]) -> list[str]:
    """Envoy changes these behind the filters, and shows them to the log callback."""
    return [re.sub(r"(date|server|transfer-encoding)\|[^|]*\|", "", line) for line in lines]


def _text(headers: HeaderMap | None) -> list[tuple[str, str]]:
    return [] if headers is None else [(n.decode(), v.decode()) for n, v in headers.pairs()]


class Upstream:
    """Answers each request with the response of its scenario, named by the path.

    Attributes:
        envoy: Whose upstream it is, once it runs.
    """

    def __init__(self, scenarios: dict[str, Scenario]) -> None:
        self._scenarios = scenarios
        self.envoy: EnvoyProcess | None = None

    def _arrival(self, cluster: str, reader: asyncio.StreamReader) -> Arrival | None:
        counter = f"cluster.{cluster}.upstream_cx_rx_bytes_total"
        return Arrival(self.envoy, counter, reader) if self.envoy else None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = HttpStream(h11.SERVER, reader, writer)
        suppressed = ConnectionError, HttpError, h11.LocalProtocolError, asyncio.CancelledError
        with contextlib.suppress(*suppressed):
            while isinstance(request := await stream.receive(), h11.Request):
                while not isinstance(await stream.receive(), h11.EndOfMessage):
                    pass
                _, kind, name = f"/{request.target.decode()}".rsplit("/", 2)
                scenario = self._scenarios[name]
                called = kind == "called"
                response = scenario.called if called else scenario.response
                head = h11.Response(status_code=response.status, headers=list(response.fields))
                arrival = self._arrival(CALLED if called else "upstream", reader)
                await response.send(stream, head, arrival)
                if stream.protocol.our_state is not h11.DONE:
                    break
                stream.protocol.start_next_cycle()
        writer.close()


async def listen(upstream: Upstream) -> asyncio.Server:
    return await asyncio.start_server(upstream.serve, "127.0.0.1", 0)


async def through_listener(
    scenario: Scenario, name: str, envoy: EnvoyProcess, *, listener: str = ""
) -> Seen:
    """What the client sees of a scenario in a listener, that of its name unless one is named."""
    listener = listener or name
    host, _, port = envoy.address(listener).rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    stream = HttpStream(h11.CLIENT, reader, writer)
    fields = [("host", "a"), *scenario.request.fields]
    head = h11.Request(method="POST", target=f"/{name}", headers=fields)
    arrival = Arrival(envoy, f"http.{listener}.downstream_cx_rx_bytes_total", reader)
    sending = asyncio.create_task(scenario.request.send(stream, head, arrival))
    try:
        async with asyncio.timeout(_HANGS_S if scenario.hangs else _LONG_S):
            seen = await _receive(stream)
    except TimeoutError:
        seen = Seen("pause")
    except (HttpError, ConnectionError):
        seen = Seen("reset")
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
    return seen


async def _receive(stream: HttpStream) -> Seen:
    head = await stream.receive()
    if not isinstance(head, h11.Response):
        return Seen("reset")
    body = b""
    while isinstance(part := await stream.receive(), h11.Data):
        body += part.data
    assert isinstance(part, h11.EndOfMessage)
    trailers = [(n.decode(), v.decode()) for n, v in part.headers]
    return Seen("response", head.status_code, _own(header_fields(head)), body, trailers)


async def _lines(envoy: EnvoyProcess, name: str, last: str) -> list[str]:
    """What the module logged, up to a line."""
    deadline = time.monotonic() + _LONG_S
    while True:
        log = envoy.log.read_text(errors="replace")
        lines = without_the_hop(re.findall(rf"wasm log {name}(?= |:)[^:]*: (.*)", log))
        if any(line.startswith(last) for line in lines) or time.monotonic() > deadline:
            return lines
        await asyncio.sleep(0.05)


def _listener(name: str, scenario: Scenario, module: Path) -> build.Config:
    wasm_filter = build.wasm_filter(
        name,
        module,
        "",
        root_id=name,  # begins the lines of the root context, as the name does those of streams
        allow_on_headers_stop_iteration=scenario.stop_iteration,
    )
    return plain_listener(name, wasm_filter)


def plain_listener(name: str, http_filter: build.Config) -> build.Config:
    """A listener with one filter that shows trailers, and adds no headers of Envoy's own."""
    listener = build.listener(name, "upstream", [http_filter])
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_protocol_options"] = {"enable_trailers": True}
    manager["http_filters"][-1]["typed_config"]["suppress_envoy_headers"] = True
    return listener


def plain_cluster(name: str, address: str) -> build.Config:
    """A cluster that shows trailers."""
    options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": True}},
    }
    cluster = build.cluster(name, address)
    cluster["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
    }
    return cluster


async def through_envoy(scenarios: dict[str, Scenario], folder: Path) -> dict[str, Seen]:
    """Run them in one Envoy, one after the other, each in a listener of its own."""
    answering = Upstream(scenarios)
    upstream = await listen(answering)
    port = upstream.sockets[0].getsockname()[1]
    listeners = []
    for name, scenario in scenarios.items():
        module = folder / f"{name}.wasm"
        module.write_bytes(wasm(module_text(scenario.script, scenario.abi)))
        listeners.append(_listener(name, scenario, module))
    clusters = [
        plain_cluster("upstream", f"127.0.0.1:{port}"),
        plain_cluster(CALLED, f"127.0.0.1:{port}"),
        plain_cluster(REFUSED, f"127.0.0.1:{NOBODY}"),
    ]
    bootstrap = build.bootstrap(listeners, clusters)
    async with upstream, EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
        answering.envoy = envoy
        found = {}
        for name, scenario in scenarios.items():
            found[name] = await through_listener(scenario, name, envoy)
            found[name].lines = await _lines(envoy, name, scenario.ends_with)
        return found
