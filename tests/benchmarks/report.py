"""CPU of a record in a report, without transport: what a caller sent, to what adapters counted."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime
import yaml

from mixer.api.mixer_v1 import decode_report
from mixer.attributes import Duration, Manifest, Timestamp, Value
from mixer.config import loads
from mixer.engine import Admission, Engine
from mixer.engine.durable import Recorded
from mixer.proxywasm import ManualScheduler
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import WordList, compress

RECORDS = 100
_ROUNDS = 9
_ADMISSION = Admission(Manifest())

EMPTY = """
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_delete") (param i32)))
"""
_COUNTED = (
    "source.workload.name", "destination.service.host", "request.method", "response.code",
    "connection.mtls",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordCost:
    """What one record costs.

    Attributes:
        name: With which adapter.
        us: Microseconds of CPU, from the bytes of the report.
    """

    name: str
    us: float


def measure(folder: Path, batches: int) -> list[RecordCost]:
    """The median for each adapter, in turns; decoding alone comes first.

    Args:
        folder: For the module that does nothing.
        batches: Reports of `RECORDS` records in each round.
    """
    module = folder / "logs.wasm"
    module.write_bytes(wasmtime.wat2wasm(EMPTY))
    engines: dict[str, Engine | None] = {
        "decoding alone": None,
        "empty module": _engine(f"file://{module}"),
        "telemetry, counted by five attributes": _engine("builtin://telemetry", counter("{}")),
        "the same by five expressions": _engine("builtin://telemetry", counter("[{}][0]")),
    }
    data = batch()
    figures: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(_ROUNDS + 1):
        for name, engine in engines.items():
            began = time.process_time()
            for _ in range(batches):
                tell(engine, data)
            if number:
                spent = time.process_time() - began
                figures[name].append(spent / batches / RECORDS * 1e6)
    for engine in filter(None, engines.values()):
        engine.close()
    return [RecordCost(name, statistics.median(found)) for name, found in figures.items()]


def _engine(url: str, configuration: dict[str, Any] | None = None) -> Engine:
    document = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "adapter"},
        "spec": {"url": url, **({"pluginConfig": configuration} if configuration else {})},
    }
    return Engine(loads(yaml.safe_dump(document)), scheduler=ManualScheduler())


def counter(form: str) -> dict[str, Any]:
    """Configuration of a telemetry adapter that counts by five attributes.

    Args:
        form: How an attribute is written.
    """
    names = [name.replace(".", "_") for name in _COUNTED]
    values = [form.format(f'mixer.attribute["{name}"]') for name in _COUNTED]
    dimensions = dict(zip(names, values, strict=True))
    return {"metrics": [{"name": "requests", "kind": "COUNTER", "dimensions": dimensions}]}


def tell(engine: Engine | None, data: bytes, recorded: Recorded | None = None) -> None:
    """Tell an engine of a report; None only decodes it.

    Args:
        engine: Is told.
        data: The report.
        recorded: Notes what adapters recorded for the ledger.
    """
    told = decode_report(data, engine.admission if engine is not None else _ADMISSION, "caller")
    for _ in told.check():
        pass
    for record in told.records():
        if engine is not None:
            engine.report(record, recorded)


def batch() -> bytes:
    """A report of `RECORDS` records."""
    words = WordList()
    records = [compress(_attributes(number), words) for number in range(RECORDS)]
    message = pb.ReportRequest(attributes=records, default_words=words.words)
    message.repeated_attributes_semantics = pb.ReportRequest.INDEPENDENT_ENCODING
    return bytes(message.SerializeToString())


def _attributes(number: int) -> dict[str, Value]:
    """What a proxy of Istio tells of a request, of 20 services in turns."""
    workload, service = f"web-{number % 4}", f"service-{number % 20}"
    return {
        "connection.mtls": True,
        "context.protocol": "http",
        "context.reporter.kind": "inbound",
        "destination.ip": bytes((10, 0, 0, number)),
        "destination.port": 8080,
        "destination.service.host": f"{service}.shop.svc.cluster.local",
        "destination.service.name": service,
        "destination.service.namespace": "shop",
        "destination.uid": f"kubernetes://{service}-5d6f.shop",
        "destination.workload.name": service,
        "destination.workload.namespace": "shop",
        "request.headers": {
            ":authority": service, ":method": "GET", ":path": f"/orders/{number}",
            "user-agent": "curl/8", "x-request-id": f"6e9f5b2a-{number:04}",
        },
        "request.host": service,
        "request.method": "GET",
        "request.path": f"/orders/{number}",
        "request.scheme": "http",
        "request.size": 0,
        "request.time": Timestamp(1_700_000_000_000_000_000 + number),
        "request.total_size": 700,
        "request.useragent": "curl/8",
        "response.code": 200 if number % 10 else 503,
        "response.duration": Duration(12_000_000 + number),
        "response.headers": {":status": "200", "content-type": "application/json"},
        "response.size": 1234,
        "response.time": Timestamp(1_700_000_000_012_000_000 + number),
        "response.total_size": 1400,
        "source.ip": bytes((10, 0, 1, number)),
        "source.namespace": "shop",
        "source.principal": f"cluster.local/ns/shop/sa/{workload}",
        "source.uid": f"kubernetes://{workload}-77c9.shop",
        "source.user": f"cluster.local/ns/shop/sa/{workload}",
        "source.workload.name": workload,
        "source.workload.namespace": "shop",
    }  # fmt: skip


def rows(costs: Sequence[RecordCost]) -> list[tuple[str, ...]]:
    """Each with what it takes over decoding, and its ratios to the first two."""
    decoding, empty = costs[0].us, costs[1].us
    return [
        (
            cost.name,
            f"{cost.us:.1f}",
            f"{cost.us - decoding:+.1f} us",
            f"{cost.us / decoding:.2f}",
            f"{cost.us / empty:.2f}",
        )
        for cost in costs
    ]
