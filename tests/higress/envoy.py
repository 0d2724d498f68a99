"""The same plugins in Envoy's own Wasm filter."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11

from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.study.http1 import HttpError, HttpStream
from tests.differential.arrival import Arrival
from tests.higress.cases import AUTHORITY, Case, Fields, Response, Seen, Step, Upstream

_LONG_S = 30.0
_START_S = 120.0
_STEP = "x-step"
_OF_ENVOY = {
    "connection", "date", "server", "transfer-encoding", "x-forwarded-proto", "x-request-id", _STEP,
}  # fmt: skip


def known_to_envoy(code: bytes) -> bytes:
    """The module with another marker: Envoy knows no ABI 0.2.100, whose calls it does not use.

    The length of a shorter name is written in more bytes than it needs, so that nothing moves.
    """
    marker = b"proxy_abi_version_0_2_1"
    return code.replace(b"\x19%b00" % marker, b"\x97\x80\0" + marker)


@dataclass
class _Recorder:
    """An upstream that answers each request with the response of its step, and notes it.

    A callout is no step: its path names its case.

    Attributes:
        responses: By the step's name, or a callout's path.
        envoy: Whose upstream it is, once it runs.
    """

    responses: Mapping[str, Response]
    envoy: EnvoyProcess | None = None
    seen: dict[str, Upstream] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        stream = HttpStream(h11.SERVER, reader, writer)
        with contextlib.suppress(ConnectionError, HttpError, h11.LocalProtocolError):
            while isinstance(request := await stream.receive(), h11.Request):
                await self._answer(stream, request, reader)
                if stream.protocol.our_state is not h11.DONE:
                    break
                stream.protocol.start_next_cycle()
        writer.close()

    async def _answer(
        self, stream: HttpStream, request: h11.Request, reader: asyncio.StreamReader
    ) -> None:
        body = b""
        while isinstance(part := await stream.receive(), h11.Data):
            body += part.data
        step = dict(_fields(request, ())).get(_STEP, request.target.decode())
        self.seen[step] = Upstream(request.target.decode(), _fields(request, _OF_ENVOY), body)
        response = self.responses[step]
        assert self.envoy is not None
        arrival = Arrival(self.envoy, "cluster.upstream.upstream_cx_rx_bytes_total", reader)
        await stream.send(h11.Response(status_code=response.status, headers=[*response.fields]))
        for piece in response.pieces:
            before = await arrival.count()
            await stream.send(h11.Data(piece))
            await arrival.beyond(before)
        await stream.send(h11.EndOfMessage())


def _fields(message: h11.Request | h11.Response, without: Sequence[str] | set[str]) -> Fields:
    pairs = [(n.decode().lower(), v.decode("latin-1")) for n, v in message.headers]
    return tuple(pair for pair in pairs if pair[0] not in without)


async def through_envoy(
    cases: Mapping[str, Case],
    folder: Path,
    plugins: Mapping[str, Path],
    others: Sequence[build.Config] = (),
) -> dict[str, list[Seen]]:
    """Run cases in one Envoy, each in a listener of its own.

    Args:
        cases: By name.
        folder: Where the modules are written as Envoy takes them.
        plugins: The modules' files.
        others: Clusters beside ``upstream``.
    """
    for plugin, file in plugins.items():
        (folder / f"{plugin}.wasm").write_bytes(known_to_envoy(file.read_bytes()))
    filters = {name: _wasm_filter(name, case, folder) for name, case in cases.items()}
    async with sending(cases, filters, others) as (envoy, send):
        seen = {}
        for name, case in cases.items():
            seen[name] = await send(name)
            if case.ends:
                await _log(envoy, name, case, seen[name])
        return seen


Send = Callable[[str], Awaitable[list[Seen]]]


@asynccontextmanager
async def sending(
    cases: Mapping[str, Case],
    filters: Mapping[str, build.Config],
    others: Sequence[build.Config] = (),
) -> AsyncIterator[tuple[EnvoyProcess, Send]]:
    """An Envoy with a listener for each case, and what sends the requests of one.

    Args:
        cases: By name.
        filters: By the same names.
        others: Clusters beside ``upstream``.
    """
    recorder = _Recorder(_responses(cases))
    server = await asyncio.start_server(recorder.serve, "127.0.0.1", 0)
    cluster = build.cluster("upstream", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    listeners = [_listener(name, filters[name]) for name in cases]
    bootstrap = build.bootstrap(listeners, [cluster, *others])
    async with server, EnvoyProcess(bootstrap, start_timeout_s=_START_S) as envoy:
        recorder.envoy = envoy

        async def send(name: str) -> list[Seen]:
            address = envoy.address(name)
            return [
                await _send(address, f"{name}.{i}", step, recorder)
                for i, step in enumerate(cases[name].steps)
            ]

        yield envoy, send


async def _log(envoy: EnvoyProcess, name: str, case: Case, seen: Sequence[Seen]) -> None:
    """Give each request its lines, once all are there."""
    async with asyncio.timeout(_LONG_S):
        while True:
            lines = _lines(envoy.log.read_text(errors="replace"), name, case)
            if lines.count(case.ends) == len(seen) and case.events <= set(lines):
                break
            await asyncio.sleep(0.05)
    of_streams = iter(line for line in lines if line not in case.events)
    for one in seen:
        for line in of_streams:
            one.lines.append(line)
            if line == case.ends:
                break


def _lines(log: str, name: str, case: Case) -> list[str]:
    """What the module logged; outside of streams Envoy leaves its name out."""
    logged = re.findall(rf"wasm log( {name}(?= |:)[^:]*)?: (.*)", log)
    return [text for named, text in logged if named or text in case.events]


def _responses(cases: Mapping[str, Case]) -> dict[str, Response]:
    responses = {f"{n}.{i}": s.response for n, c in cases.items() for i, s in enumerate(c.steps)}
    return responses | {f"/{n}": case.answer for n, case in cases.items() if case.answer}


def _wasm_filter(name: str, case: Case, folder: Path) -> build.Config:
    return build.wasm_filter(
        name,
        folder / f"{case.plugin}.wasm",
        case.text,
        allow_on_headers_stop_iteration=True,
    )


def _listener(name: str, one: build.Config) -> build.Config:
    listener = build.listener(name, "upstream", [one])
    manager: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["generate_request_id"] = False
    manager["http_protocol_options"] = {"enable_trailers": True}
    manager["http_filters"][-1]["typed_config"]["suppress_envoy_headers"] = True
    return listener


async def _send(address: str, step_name: str, step: Step, recorder: _Recorder) -> Seen:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    stream = HttpStream(h11.CLIENT, reader, writer)
    request = step.request
    headers = [("host", AUTHORITY), (_STEP, step_name), *request.fields]
    head = h11.Request(method=request.verb, target=request.path, headers=headers)
    body = [h11.Data(request.body)] if request.body else []
    try:
        async with asyncio.timeout(_LONG_S):
            end = h11.EndOfMessage(headers=list(request.trailers or ()))
            await stream.send(head, *body, end)
            seen = await _receive(stream)
    finally:
        writer.close()
    seen.upstream = recorder.seen.get(step_name)
    return seen


async def _receive(stream: HttpStream) -> Seen:
    head = await stream.receive()
    if not isinstance(head, h11.Response):
        return Seen("reset")
    body = b""
    while isinstance(part := await stream.receive(), h11.Data):
        body += part.data
    return Seen("response", head.status_code, _fields(head, _OF_ENVOY), body)
