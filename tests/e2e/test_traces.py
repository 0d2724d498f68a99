"""One trace through the client, the real Envoy, and the service that Envoy asks."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from mixer.study import bootstrap as build
from mixer.study.client import Request
from mixer.study.envoy import EnvoyProcess
from mixer.study.upstream import EchoUpstream
from tests.e2e.guests import Guests
from tests.e2e.stack import (
    START_TIMEOUT_S,
    Listener,
    Proxy,
    Services,
    adapter,
    asks,
    processes,
)
from tests.support import adapters as do
from tests.support.adapters import adapter as text
from tests.support.compile import wasm
from tests.support.trace_receiver import TraceReceiver, attributes_of

pytestmark = pytest.mark.usefixtures("envoy")

TRACE, CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = ("traceparent", f"00-{TRACE}-{CLIENT}-01")
NOT_SAMPLED = ("traceparent", f"00-{'c' * 32}-{CLIENT}-00")
METHODS = {
    "ext_authz": "envoy.service.auth.v3.Authorization/Check",
    "ext_proc": "envoy.service.ext_proc.v3.ExternalProcessor/Process",
}


@pytest.fixture
def receiver() -> Iterator[TraceReceiver]:
    """A receiver for Envoy's spans and the service's."""
    with TraceReceiver() as running:
        yield running


def traced(listener: Listener) -> Listener:
    """The same listener, whose requests have spans in Envoy."""
    kind = "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig"
    provider = {
        "name": "envoy.tracers.opentelemetry",
        "typed_config": {
            "@type": kind,
            "grpc_service": {"envoy_grpc": {"cluster_name": "traces"}, "timeout": "5s"},
            "service_name": "envoy",
        },
    }
    manager = listener.config["filter_chains"][0]["filters"][0]["typed_config"]
    manager["tracing"] = {"provider": provider}
    return listener


async def spans_of(receiver: TraceReceiver, method: str) -> dict[str, trace_pb2.Span]:
    """All spans of the trace by id, once Envoy's and the service's have come."""
    found: dict[str, trace_pb2.Span] = {}
    async with asyncio.timeout(60.0):
        while True:
            found = {one.span_id.hex(): one for one in receiver.spans()}
            own = [one for one in receiver.spans("mixer") if one.name == method]
            if own and _root(found, own[0]) == CLIENT:
                return found
            await asyncio.sleep(0.05)


def _root(found: dict[str, trace_pb2.Span], span: trace_pb2.Span) -> str:
    """The id of the first ancestor that is not there."""
    parent = span.parent_span_id.hex()
    return _root(found, found[parent]) if parent in found else parent


@pytest.mark.parametrize("front_end", METHODS)
async def test_a_trace_is_continuous(
    services: Services, guests: Guests, receiver: TraceReceiver, front_end: str
) -> None:
    """The client's span is above Envoy's, which is above the service's, and so on."""
    module = guests.file("denies", wasm(text(do.deny(403, "no", "not today"))))
    make = {"ext_authz": asks, "ext_proc": processes}[front_end]
    telemetry: dict[str, Any] = {
        "traces": {"endpoint": receiver.url, "sampling": 0, "interval": "100ms"}
    }
    name = f"traces-{front_end}"
    listener = traced(make("traced", service="mixer"))
    async with EchoUpstream() as upstream:
        clusters = [
            build.cluster("upstream", upstream.address),
            build.cluster("mixer", services.address(name), http2=True),
            build.cluster("traces", f"127.0.0.1:{receiver.port}", http2=True),
        ]
        config = build.bootstrap([listener.config], clusters)
        async with (
            EnvoyProcess(config, start_timeout_s=START_TIMEOUT_S) as envoy,
            services.service(name, [adapter("denies", module)], telemetry=telemetry),
        ):
            proxy = Proxy(envoy)
            for header in (NOT_SAMPLED, SAMPLED):
                seen = await proxy.send("traced", Request("GET", "/", (header,)))
                assert seen.status == 403
            found = await spans_of(receiver, METHODS[front_end])
    [call, child] = receiver.spans("mixer")
    assert {one.trace_id.hex() for one in (call, child)} == {TRACE}
    assert found[call.parent_span_id.hex()] in receiver.spans("envoy")
    assert child.parent_span_id == call.span_id
    assert child.name.endswith("denies request_headers")
    told = attributes_of(call)
    assert (told["rpc.method"], told["mixer.verdict"]) == (METHODS[front_end], "deny")
    assert told["mixer.reason"] == "not_today"
