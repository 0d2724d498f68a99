"""Properties: every path in every phase reads the same in Envoy's Wasm filter and here."""

import asyncio
import re
from pathlib import Path

import pytest

from mixer.attributes import VOCABULARY, Uint
from mixer.attributes import Message as ProtoMessage
from tests.differential.exchange import Message, Scenario, Seen, through_envoy, through_the_runner
from tests.differential.scripted_exchange import module_text, raw
from tests.support.compile import wasm

PHASES = (
    "request_headers", "request_body", "request_trailers",
    "response_headers", "response_body", "response_trailers", "log", "done", "delete",
)  # fmt: skip

# What Envoy knows of the request, its route and its connection, and nobody here without being told.
# Where the value is another one each time, it is of the same length.
KNOWN = {
    "source.address": "127.0.0.1:12345",
    "source.port": 12345,
    "destination.address": "127.0.0.1:12345",
    "destination.port": 12345,
    "connection.id": Uint(7),
    "connection_id": Uint(7),
    "connection.mtls": False,
    "connection.requested_server_name": "",
    "request.protocol": "HTTP/1.1",
    "upstream.num_endpoints": Uint(1),
    "xds.cluster_name": "upstream",
    "xds.cluster_metadata": ProtoMessage(b"", {"filter_metadata": {}}),
    "xds.route_name": "",
    "xds.route_metadata": ProtoMessage(b"", {"filter_metadata": {}}),
    "xds.virtual_host_name": "all",
    "xds.virtual_host_metadata": ProtoMessage(b"", {"filter_metadata": {}}),
    "xds.filter_chain_name": "",
    "xds.listener_metadata": ProtoMessage(b"", {"filter_metadata": {}}),
    "xds.listener_direction": 0,
    "xds.node": ProtoMessage(b"", {"id": "", "metadata": {}}),
}
ANOTHER_EACH_TIME = {
    "source.address", "source.port", "destination.address", "destination.port", "connection.id",
    "connection_id", "request.time", "request.duration",
}  # fmt: skip

# What differs, with the reason; docs/proxy-wasm.md has it too.
DIFFERENT = {
    "upstream": "the proxy chooses the upstream after it asked",
    "upstream_filter_state": "as before",
    "xds.upstream_host_metadata": "as before",
    "xds.upstream_host_locality_metadata": "as before",
    "response.backend_latency": "the runner has no upstream",
    "request.id": "Envoy makes the header up",
    "request.headers": "Envoy adds headers, and has an order of its own",
    "request.headers_bytes": "Envoy adds headers",
    "request.total_size": "Envoy adds headers",
    "response.headers": "Envoy has an order of its own, and adds headers before the log",
    "response.headers_bytes": "Envoy adds headers before the log",
    "response.total_size": "Envoy adds headers before the log",
    "plugin_vm_memory": "Higress's",
    "mixer.host": "of this service",
    **dict.fromkeys(
        ("node.id", "cluster_name", "cluster_metadata", "route_name", "route_metadata",
         "filter_chain_name", "listener_metadata", "listener_direction"),
        "older Envoys and Higress have it",
    ),
}  # fmt: skip

MORE = [
    "request.trailers", "request.nonesuch", "request.", "request.path.x", "request.path.",
    "request..path", "request.headers.x-a", "request.headers.X-A", "request.headers.nonesuch",
    "request.headers.host", "request.headers.:authority", "request.headers.:path",
    "response.headers.x-r", "response.headers.:status", "response.headers.nonesuch",
    "response.trailers.x-sum", "response.nonesuch", "source.nonesuch", "connection.nonesuch",
    "upstream.nonesuch", "xds.nonesuch", "xds.node.id", "xds.node.metadata",
    "xds.route_metadata.filter_metadata", "xds.route_metadata.filter_metadata.x",
    "xds.route_metadata.nonesuch", "metadata.filter_metadata", "metadata.filter_metadata.x",
    "metadata.filter_metadata.x.y", "metadata.nonesuch", "filter_state.x", "plugin_name.x",
    "upstream_host_metadata", "upstream_filter_state.x", "request", "response", "source",
    "destination", "connection", "upstream", "xds", "node.id", "cluster_name", "cluster_metadata",
    "route_name", "route_metadata", "filter_chain_name", "listener_metadata",
    "listener_direction", "virtual_host_name", "x_request_id", "nonesuch", "nonesuch.a", ".x",
]  # fmt: skip
NOT_ENVOYS = ("context_extensions", ".principal", ".service", ".labels", "source.certificate")
ENVOYS = sorted(name for name in VOCABULARY if not name.endswith(NOT_ENVOYS))
NAMES = [*(name for name in ENVOYS if name != "xds.node"), *MORE, "plugin_vm_memory"]
READ = [*(raw(*name.split(".")) for name in NAMES), raw("")]
WITHOUT_NUL = [raw(name) for name in ("request.path", "xds.route_name", "metadata.filter_metadata")]

WHOLE = Scenario(
    {phase: [*READ, *WITHOUT_NUL] for phase in PHASES},
    request=Message(
        (b"up", b"load"), (("x-sum", "1"),),
        (("x-a", "1"), ("x-a", "2"), ("referer", "r"), ("user-agent", "u")),
    ),
    response=Message((b"hello", b"world"), (("x-sum", "7"),), (("x-r", "1"),)),
    properties=KNOWN,
)  # fmt: skip
SHORT = Scenario(
    dict.fromkeys(PHASES, READ),
    request=Message(headers=(("x-a", "1"),)),
    response=Message(status=404, headers=(("x-r", "1"), ("grpc-status", "5"))),
    properties=KNOWN,
)
SCENARIOS = {"whole": WHOLE, "short": SHORT}


@pytest.fixture(scope="module")
def in_envoy(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """The reads in Envoy's own filter."""
    return asyncio.run(through_envoy(SCENARIOS, tmp_path_factory.mktemp("properties")))


def reads(seen: Seen) -> list[tuple[str, str, str]]:
    """Phase, name and answer of each read; what is another one each time only by its length."""
    phase, found = "", []
    for line in seen.lines:
        if match := re.match(r"property (.*?) (\d+) (.*)$", line):
            label, status, value = match.groups()
            path = label if "/" in label or "." not in label else f"{label} without NUL"
            name = path.replace("/", ".")
            told = str(len(value) > 0) if name in ANOTHER_EACH_TIME else value
            found.append((phase, name, f"{status} {told}"))
        elif line.startswith("on_"):
            phase = line.split()[0]
    return found


def differs(name: str) -> bool:
    return name in DIFFERENT or name.partition(".")[0] in ("upstream", "upstream_filter_state")


@pytest.mark.parametrize("name", SCENARIOS)
def test_properties(name: str, in_envoy: dict[str, Seen]) -> None:
    """Each path has the same answer in each phase."""
    here, there = reads(through_the_runner(SCENARIOS[name], name)), reads(in_envoy[name])
    assert [read for read in here if not differs(read[1])] == [
        read for read in there if not differs(read[1])
    ]


def test_what_differs_does(in_envoy: dict[str, Seen]) -> None:
    """A difference that is gone is taken out of the table."""
    here, there = reads(through_the_runner(WHOLE, "whole")), reads(in_envoy["whole"])
    found = {
        one[1] if one[1] in DIFFERENT else one[1].partition(".")[0]
        for one, other in zip(here, there, strict=True)
        if one != other
    }
    assert found == set(DIFFERENT)


def test_every_property_is_tried() -> None:
    """No name of the vocabulary is left out."""
    assert set(ENVOYS) - set(NAMES) == {"xds.node"}  # which is as large as Envoy has extensions


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_texts_of_a_scenario_fit(name: str) -> None:
    """What the module says does not reach into the memory that it allocates."""
    assert len(wasm(module_text(SCENARIOS[name].script))) < 200 * 1024
