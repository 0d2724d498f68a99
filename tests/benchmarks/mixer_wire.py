"""What it takes to read Mixer's messages: a record as a proxy of Istio 1.3 sends it."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from mixer.api.mixer_v1 import decode_check, decode_report
from mixer.attributes import Duration, Manifest, Timestamp, Value
from mixer.engine import Admission
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import WordList, compress, decompress
from mixer.wire.dictionary import WORDS

_ROUNDS = 7
RECORDS = 100
"""In one report, as proxies send them."""

ATTRIBUTES: dict[str, Value] = {
    "connection.mtls": True,
    "connection.requested_server_name": "outbound_.9080_._.reviews.default.svc.cluster.local",
    "context.protocol": "http",
    "context.proxy_error_code": "-",
    "context.reporter.kind": "inbound",
    "context.reporter.uid": "kubernetes://reviews-v1-7bb8ffd9b6-6xjpq.default",
    "destination.ip": b"\0" * 10 + b"\xff\xff\x0a\1\2\4",
    "destination.namespace": "default",
    "destination.port": 9080,
    "destination.principal": "cluster.local/ns/default/sa/bookinfo-reviews",
    "destination.service.host": "reviews.default.svc.cluster.local",
    "destination.service.name": "reviews",
    "destination.service.namespace": "default",
    "destination.uid": "kubernetes://reviews-v1-7bb8ffd9b6-6xjpq.default",
    "origin.ip": b"\0" * 10 + b"\xff\xff\x0a\1\2\3",
    "request.headers": {
        ":authority": "reviews:9080", ":path": "/reviews/0", ":method": "GET",
        "user-agent": "Mozilla/5.0", "accept": "*/*", "accept-encoding": "gzip, deflate",
        "x-request-id": "5a1b6a0a-7d0e-9c1f-8f8b-2f2a1c9a3d11", "x-forwarded-proto": "http",
        "content-length": "0", "x-b3-traceid": "80f198ee56343ba864fe8b2a57d3eff7",
        "x-b3-spanid": "e457b5a2e4d86bd1", "x-b3-sampled": "1",
    },
    "request.host": "reviews:9080",
    "request.method": "GET",
    "request.path": "/reviews/0",
    "request.scheme": "http",
    "request.size": 0,
    "request.time": Timestamp(1_567_000_000_123_456_789),
    "request.total_size": 612,
    "request.url_path": "/reviews/0",
    "request.useragent": "Mozilla/5.0",
    "response.code": 200,
    "response.duration": Duration(12_345_678),
    "response.headers": {
        ":status": "200", "content-type": "application/json", "content-length": "295",
        "server": "envoy", "date": "Wed, 28 Aug 2019 12:00:00 GMT",
    },
    "response.size": 295,
    "response.time": Timestamp(1_567_000_000_135_802_467),
    "response.total_size": 480,
    "source.namespace": "default",
    "source.principal": "cluster.local/ns/default/sa/bookinfo-productpage",
    "source.uid": "kubernetes://productpage-v1-5d9b4c9849-q7vjv.default",
}  # fmt: skip
"""34 of them."""


@dataclass(frozen=True)
class WireCost:
    """One way to read what was sent.

    Attributes:
        name: What is done.
        us: Microseconds of CPU for one message, or one record of a report.
    """

    name: str
    us: float


def measure(times: int) -> list[WireCost]:
    """The median of each, in turns; the first is the parse of the message alone.

    Args:
        times: How often in each round.
    """
    sent = compress(ATTRIBUTES).SerializeToString()
    check = pb.CheckRequest(global_word_count=len(WORDS))
    check.attributes.ParseFromString(sent)
    data, report = check.SerializeToString(), _report()
    admission = Admission(Manifest())
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "protobuf: parse": (lambda: pb.CompressedAttributes.FromString(sent), 1),
        "parse, and decode 34 attributes": (
            lambda: decompress(pb.CompressedAttributes.FromString(sent)),
            1,
        ),
        "CheckRequest to question": (lambda: decode_check(data, admission, "").question(), 1),
        "ReportRequest to records": (
            lambda: [list(decode_report(report, admission, "").records())],
            RECORDS,
        ),
    }
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_ROUNDS):
        for name, (read, size) in ways.items():
            figures[name].append(_cpu_us(read, max(1, times // size)) / size)
    return [WireCost(name, statistics.median(found)) for name, found in figures.items()]


def _cpu_us(read: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        read()
    return (time.process_time() - began) / times * 1e6


def _report() -> bytes:
    words = WordList()
    request = pb.ReportRequest(
        attributes=[compress(ATTRIBUTES, words)] * RECORDS,
        global_word_count=len(WORDS),
        repeated_attributes_semantics=pb.ReportRequest.INDEPENDENT_ENCODING,
    )
    request.default_words.extend(words.words)
    return request.SerializeToString()
