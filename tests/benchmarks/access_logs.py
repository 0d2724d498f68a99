"""A million entries of an access log through a service that is running.

Entries are as Envoy sends them, 64 KiB in a message, over one stream without an end. The baseline
is the same transport with a handler that reads messages and does nothing with them, and one that
parses them with Envoy's own classes.

``python -m tests.benchmarks.access_logs [ENTRIES]``
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import psutil
import yaml
from envoy.service.accesslog.v3 import als_pb2

from mixer.api import access_log
from mixer.study.service import ServiceProcess
from tests.benchmarks.report import EMPTY
from tests.support.compile import wasm

MESSAGE_BYTES = 65536
EARLY, ALL = 50_000, 1_000_000

_BASELINE = (sys.executable, "-m", "tests.benchmarks.access_log_server")
_COUNTS = {
    "metrics": [
        {
            "name": "requests_total",
            "kind": "COUNTER",
            "dimensions": {
                "code": "response.code",
                "method": "request.method",
                "route": "xds.route_name",
                "cluster": "xds.cluster_name",
            },
        },
        {"name": "took", "kind": "HISTOGRAM", "value": "request.duration"},
    ]
}


@dataclass(frozen=True, slots=True)
class StreamCost:
    """What a stream costs one server.

    Attributes:
        name: Of the server.
        cpu_us: Microseconds of its CPU for an entry.
        per_second: Entries.
        early_mib: Resident memory after `EARLY` entries.
        late_mib: The same after all of them.
    """

    name: str
    cpu_us: float
    per_second: float
    early_mib: float
    late_mib: float


def message(first: int) -> tuple[bytes, int]:
    """A message as large as Envoy sends them, and the number of its entries."""
    found = als_pb2.StreamAccessLogsMessage()
    found.identifier.log_name, found.identifier.node.id = "ingress", "proxy"
    size, number = 0, 0
    while size < MESSAGE_BYTES:
        entry = found.http_logs.log_entry.add()
        _fill(entry, first + number)
        size += entry.ByteSize()
        number += 1
    return found.SerializeToString(), number


def _fill(entry: als_pb2.StreamAccessLogsMessage, number: int) -> None:
    """What Envoy 1.40 tells of a request that an upstream answered."""
    common = entry.common_properties
    for field, port in (("downstream_remote", 40_000 + number % 20_000), ("downstream_local", 8080),
                        ("downstream_direct_remote", 40_000), ("upstream_remote", 8000),
                        ("upstream_local", 50_000)):  # fmt: skip
        socket = getattr(common, f"{field}_address").socket_address
        socket.address, socket.port_value = f"10.0.{number % 7}.{number % 200}", port
    common.start_time.FromNanoseconds(1_700_000_000_000_000_000 + number * 1000)
    for nanoseconds, field in enumerate(
        ("time_to_last_rx_byte", "time_to_first_upstream_tx_byte",
         "time_to_last_upstream_tx_byte", "time_to_first_upstream_rx_byte",
         "time_to_last_upstream_rx_byte", "time_to_first_downstream_tx_byte",
         "time_to_last_downstream_tx_byte", "duration"), start=number % 100_000
    ):  # fmt: skip
        getattr(common, field).FromNanoseconds(10_000 * nanoseconds)
    common.upstream_cluster, common.route_name = f"cluster-{number % 5}", f"route-{number % 20}"
    common.upstream_request_attempt_count = 1
    common.stream_id = f"fdbb1207-1386-4607-8912-{number:012}"
    common.downstream_wire_bytes_sent, common.downstream_wire_bytes_received = 490, 60
    common.upstream_wire_bytes_sent, common.upstream_wire_bytes_received = 176, 402
    common.access_log_type = 6
    entry.protocol_version = entry.HTTP11
    request, response = entry.request, entry.response
    request.request_method, request.scheme, request.authority = 1, "http", "shop.example.com"
    request.path, request.request_id = f"/orders/{number}?full=1", common.stream_id
    request.user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
    request.request_headers_bytes, request.downstream_header_bytes_received = 471, 335
    request.request_headers.update({"x-user": f"user-{number % 1000}", ":method": "GET"})
    response.response_code.value = 200 if number % 10 else 503
    response.response_headers_bytes, response.response_body_bytes = 129, 332
    response.response_code_details = "via_upstream"
    response.response_headers.update({"content-type": "application/json"})


async def measure(entries: int, progress: Callable[[str], None]) -> list[StreamCost]:
    """One server after the other.

    Args:
        entries: How many each is told, at least `EARLY`.
        progress: Told which is next.
    """
    made = [message(first) for first in range(0, 20_000, 1000)]
    costs = []
    with tempfile.TemporaryDirectory(prefix="mixer-bench-") as name:
        for server in _servers(Path(name)):
            progress(server.name)
            costs.append(await _measure(server, made, entries))
    return costs


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    process: ServiceProcess


def _servers(folder: Path) -> list[_Server]:
    module = folder / "empty.wasm"
    module.write_bytes(wasm(EMPTY))
    return [
        _baseline(folder, "reads messages (baseline)", "read"),
        _baseline(folder, "parses them", "parse"),
        _service(folder, "service, empty module", f"file://{module}"),
        _service(folder, "service, telemetry", "builtin://telemetry", _COUNTS),
    ]


def _baseline(folder: Path, name: str, what: str) -> _Server:
    address = f"unix:{folder}/{what}.sock"
    # The harness adds the configuration file, which for this server is the address itself.
    command = (*_BASELINE, what)
    log = folder / f"{what}.log"
    return _Server(name, ServiceProcess(Path(address), address, log, command=command))


def _service(folder: Path, name: str, url: str, configuration: object = None) -> _Server:
    address = f"unix:{folder}/{name.rpartition(' ')[2]}.sock"
    config = folder / f"{name}.yaml"
    spec = {"url": url, **({"pluginConfig": configuration} if configuration else {})}
    documents = [
        {"apiVersion": "mixer.dev/v1alpha1", "kind": "Mixer", "metadata": {"name": "m"},
         "spec": {"listeners": [{"name": "grpc", "address": address}]}},
        {"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
         "metadata": {"name": "adapter"}, "spec": spec},
    ]  # fmt: skip
    config.write_text(yaml.safe_dump_all(documents))
    return _Server(name, ServiceProcess(config, address, folder / f"{name}.log"))


async def _measure(server: _Server, made: Sequence[tuple[bytes, int]], entries: int) -> StreamCost:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server.process)
        process = psutil.Process(server.process.pid)
        channel = grpc.aio.insecure_channel(server.process.address)
        await stack.enter_async_context(channel)
        early = _mib(process) if await _send(channel, made, EARLY) else 0.0
        before, began = _cpu(process), time.perf_counter()
        sent = await _send(channel, made, entries - EARLY)
        took = time.perf_counter() - began
        cost = (_cpu(process) - before) / sent * 1e6
        return StreamCost(server.name, cost, sent / took, early, _mib(process))


async def _send(channel: grpc.aio.Channel, made: Sequence[tuple[bytes, int]], entries: int) -> int:
    """Send a stream of so many entries; how many it were, once all are worked on."""
    sent = 0

    async def messages() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < entries:
            for data, number in made:
                sent += number
                yield data

    await channel.stream_unary(f"/{access_log.SERVICE}/{access_log.METHOD}")(messages())
    return sent


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss / (1 << 20))


def rows(costs: Sequence[StreamCost]) -> list[tuple[str, ...]]:
    """Each with its ratios to the first two."""
    return [
        (
            cost.name,
            f"{cost.per_second:,.0f}",
            f"{cost.cpu_us:.1f}",
            f"{cost.cpu_us / costs[0].cpu_us:.1f}",
            f"{cost.cpu_us / costs[1].cpu_us:.1f}",
            f"{cost.early_mib:.0f}",
            f"{cost.late_mib:.0f}",
        )
        for cost in costs
    ]


COLUMNS = (
    "",
    "entries/s",
    "CPU us",
    "to reading",
    "to parsing",
    "MiB early",
    "MiB at the end",
)


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else ALL
    found = asyncio.run(measure(number, lambda name: print(name, file=sys.stderr, flush=True)))
    for row in (COLUMNS, *rows(found)):
        print(" | ".join(row))
