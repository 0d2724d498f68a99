"""HTTP callouts made by a module in Envoy's own Wasm filter, and by the client of this service."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mixer.callouts.assembly import ClusterCallouts
from mixer.callouts.clusters import Cluster, ClusterLimits, ClusterTls, Endpoint, HttpProtocol
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import HttpCall, HttpReply, NotSentError, Pairs
from mixer.study import bootstrap as build
from mixer.study.client import get
from mixer.study.envoy import EnvoyProcess
from tests.support.callout_module import Logged, module_text, read_log
from tests.support.callout_upstream import Http1, Http2, Upstream
from tests.support.compile import wasm

CONNECT_TIMEOUT_S = 1.0
_LONG_S = 15.0
_OK, _INTERNAL_FAILURE = 0, 10
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


@dataclass(frozen=True)
class Scenario:
    """A callout, and what follows it.

    Attributes:
        call: The callout; its cluster is named by the test.
        answer: Of the upstream; None where nobody listens.
        silent: Whether an upstream without answer takes connections all the same.
        tls: Whether TLS is spoken with it.
        limits: Bounds, in Envoy's words and ours alike.
        endpoints: Whether the cluster has any.
    """

    call: HttpCall
    answer: Http1 | Http2 | None
    silent: bool = False
    tls: bool = False
    limits: dict[str, int] = field(default_factory=dict)
    endpoints: bool = True

    @property
    def http2(self) -> bool:
        """Whether the cluster speaks HTTP/2."""
        return isinstance(self.answer, Http2)


@dataclass(frozen=True)
class Seen:
    """What came of a scenario.

    Attributes:
        status: Of the host call.
        headers: Of the answer; without the time that it took. None without an answer.
        body: Of the answer; None if it is too long to be logged.
        body_size: Of the answer.
        trailers: Of the answer.
        requests: What reached the upstream.
    """

    status: int
    headers: Pairs | None
    body: bytes | None
    body_size: int
    trailers: Pairs
    requests: tuple[object, ...]


@asynccontextmanager
async def _upstream(scenario: Scenario) -> AsyncIterator[tuple[int, Upstream | None]]:
    if scenario.answer is not None:
        async with Upstream(scenario.answer) as server:
            yield server.port, server
        return
    with socket.socket() as taken:  # bound: nobody else gets the port meanwhile
        taken.bind(("127.0.0.1", 0))
        if scenario.silent:
            taken.listen()
        yield taken.getsockname()[1], None


async def here(scenario: Scenario) -> Seen:
    """Make the callout with the client of this service."""
    async with _upstream(scenario) as (port, server):
        cluster = Cluster(
            "up",
            (Endpoint("127.0.0.1", port),) if scenario.endpoints else (),
            protocol=HttpProtocol.HTTP2 if scenario.http2 else HttpProtocol.HTTP1,
            tls=ClusterTls() if scenario.tls else None,
            connect_timeout=CONNECT_TIMEOUT_S,
            limits=ClusterLimits(**scenario.limits),
        )
        future: asyncio.Future[HttpReply | None] = asyncio.get_running_loop().create_future()
        async with ClusterCallouts(Clusters([cluster])) as client:
            try:
                client.http_call(replace(scenario.call, cluster="up"), future.set_result)
            except NotSentError:
                return Seen(_INTERNAL_FAILURE, None, None, 0, (), ())
            async with asyncio.timeout(_LONG_S):
                reply = await future
        requests = tuple(server.requests) if server else ()
    if reply is None:
        return Seen(_OK, (), b"", 0, (), requests)
    return Seen(
        _OK, _timeless(reply.headers), reply.body, len(reply.body), reply.trailers, requests
    )


async def in_envoy(scenarios: dict[str, Scenario], folder: Path) -> dict[str, Seen]:
    """Have a module make the callouts in one Envoy, each in a listener of its own."""
    async with AsyncExitStack() as stack:
        listeners, clusters, servers = [], [], {}
        for name, scenario in scenarios.items():
            port, servers[name] = await stack.enter_async_context(_upstream(scenario))
            clusters.append(_cluster(name, scenario, port))
            file = folder / f"{name}.wasm"
            file.write_bytes(wasm(module_text(replace(scenario.call, cluster=name))))
            listeners.append(
                build.listener(name, None, [build.wasm_filter(name, file, "", root_id=name)])
            )
        bootstrap = build.bootstrap(listeners, clusters)
        async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
            seen = {}
            for name in scenarios:
                logged = await _logged(envoy, name)
                server = servers[name]
                requests = tuple(server.requests) if server else ()
                seen[name] = _from_log(logged, requests)
            return seen


async def _logged(envoy: EnvoyProcess, name: str) -> Logged:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LONG_S):
            await get(envoy.address(name), "/")
    deadline = time.monotonic() + _LONG_S
    while True:
        log = envoy.log.read_text(errors="replace")
        logged = read_log(re.findall(rf"wasm log (?:{name} )?{name}(?= |:)[^:]*: (.*)", log))
        if logged.whole or logged.call != _OK or time.monotonic() > deadline:
            return logged
        await asyncio.sleep(0.05)


def _from_log(logged: Logged, requests: tuple[object, ...]) -> Seen:
    assert logged.call is not None
    if logged.call != _OK:
        return Seen(logged.call, None, None, 0, (), requests)
    assert logged.headers is not None
    headers = _timeless(logged.headers)
    return Seen(_OK, headers, logged.body, logged.body_size, logged.trailers, requests)


def _timeless(headers: Pairs) -> Pairs:
    name = b"x-envoy-upstream-service-time"
    return tuple((n, b"" if n == name else v) for n, v in headers)


def _cluster(name: str, scenario: Scenario, port: int) -> build.Config:
    cluster = build.cluster(name, f"127.0.0.1:{port}", http2=scenario.http2)
    if not scenario.http2:
        options: dict[str, Any] = {"http_protocol_options": {"enable_trailers": True}}
        cluster["typed_extension_protocol_options"] = {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "explicit_http_config": options,
            }
        }
    if scenario.limits:
        thresholds = {"priority": "DEFAULT", **scenario.limits}
        cluster["circuit_breakers"] = {"thresholds": [thresholds]}
    if scenario.tls:
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": _TLS},
        }
    if not scenario.endpoints:
        cluster["load_assignment"]["endpoints"] = []
    return cluster
