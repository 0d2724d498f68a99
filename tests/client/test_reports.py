"""Records until they are delivered: what is sent when, and what becomes of failures."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mixer.client import (
    ClientSettings,
    ReportBufferFullError,
    ReportEncoding,
    ReportSettings,
    RetrySettings,
)
from mixer.client.metrics import ClientMetrics
from mixer.client.reports import Reports
from mixer.client.retry import Backoff, Failure
from mixer.client.words import KnownWords
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import decompress
from tests.client.model import requests, told_apart
from tests.client.offline import Clock

DOWN = Failure(14, "down")


class Buffer:
    """`Reports` with a clock that moves when the test says so, and waits as long as it can."""

    def __init__(self, **report: Any) -> None:
        self.clock = Clock()
        self.metrics = ClientMetrics()
        settings = ClientSettings(address="none:1", report=ReportSettings(**report))
        backoff = Backoff(RetrySettings(base=1.0, most=8.0), chance=lambda: 1.0)
        self.reports = Reports(settings, self.metrics, KnownWords(), self.clock, backoff)


def read(request: pb.ReportRequest) -> list[dict[str, Any]]:
    """What a server makes of a report, in either encoding."""
    records: list[dict[str, Any]] = []
    for one in request.attributes:
        told = decompress(one, request.default_words)
        delta = request.repeated_attributes_semantics == pb.ReportRequest.DELTA_ENCODING
        records.append((records[-1] if delta and records else {}) | told)
    return records


def test_a_batch_goes_when_it_is_full_or_old() -> None:
    """Not a nanosecond earlier."""
    buffer = Buffer(entries=3, interval=2.0)
    assert buffer.reports.wait() is None
    assert [buffer.reports.add({"n": n}) for n in range(2)] == [True, False]
    buffer.clock.now += 2_000_000_000 - 1
    assert buffer.reports.next() is None
    assert buffer.reports.wait() == pytest.approx(1e-9)
    buffer.clock.now += 1
    batch = buffer.reports.next()
    assert batch
    assert read(batch.request) == [{"n": 0}, {"n": 1}]
    assert [buffer.reports.add({"n": n}) for n in range(3)] == [True, False, True]
    assert buffer.reports.wait() == 0
    full = buffer.reports.next()
    assert full
    assert len(full) == 3


def test_only_so_many_are_on_the_way() -> None:
    """The next one goes when one of them has come back."""
    buffer = Buffer(entries=1, in_flight=2)
    for n in range(3):
        buffer.reports.add({"n": n})
    first, second = buffer.reports.next(), buffer.reports.next()
    assert first
    assert second
    assert buffer.reports.next() is None
    assert buffer.reports.wait() is None
    buffer.reports.delivered(second)
    assert buffer.reports.wait() == 0
    assert buffer.reports.next()


def test_failures_have_all_batches_wait_longer_and_longer() -> None:
    """From `base` to `most`; the first success ends it."""
    buffer = Buffer(entries=1, in_flight=1)
    for n in range(2):
        buffer.reports.add({"n": n})
    for seconds in (1.0, 2.0, 4.0, 8.0, 8.0):
        batch = buffer.reports.next()
        assert batch
        assert read(batch.request) == [{"n": 0}]
        buffer.reports.failed(batch, DOWN)
        assert buffer.reports.next() is None
        assert buffer.reports.wait() == seconds
        buffer.clock.advance(seconds)
    batch = buffer.reports.next()
    assert batch
    buffer.reports.delivered(batch)
    assert buffer.reports.next()


def test_what_comes_back_after_the_end_does_not_count() -> None:
    """A batch that was given up is given up once."""
    buffer = Buffer(entries=1)
    buffer.reports.add({"n": 1})
    batch = buffer.reports.next()
    assert batch
    assert buffer.reports.give_up("closed") == 1
    buffer.reports.delivered(batch)
    buffer.reports.failed(batch, DOWN)
    assert buffer.metrics.report_entries_dropped == 1
    assert buffer.metrics.report_entries_delivered == 0
    assert buffer.reports.pending == 0


def test_bytes_are_bounded() -> None:
    """By what waits, and by what a server takes at once."""
    buffer = Buffer(max_pending_bytes=3_000_000)
    for n in range(4):
        buffer.reports.add({"n": f"{n}" * 900_000})
    with pytest.raises(ReportBufferFullError, match="at most 10000 with 3000000 bytes"):
        buffer.reports.add({"n": "one more"})
    sizes = []
    buffer.reports.seal()
    while batch := buffer.reports.next():
        sizes.append(batch.request.ByteSize())
        buffer.reports.delivered(batch)
    assert len(sizes) == 4
    assert max(sizes) < 1 << 20


@given(records=st.lists(requests, max_size=12), encoding=st.sampled_from(ReportEncoding))
@settings(deadline=None)
def test_a_server_reads_what_was_reported(
    records: list[dict[str, Any]], encoding: ReportEncoding
) -> None:
    """Any records, in either encoding, in their order."""
    buffer = Buffer(encoding=encoding, in_flight=64)
    for record in records:
        buffer.reports.add(record)
    buffer.reports.seal()
    batches = []
    while batch := buffer.reports.next():
        batches.append(batch)
    read_back = [record for one in batches for record in read(one.request)]
    assert [_shown(record) for record in read_back] == [_shown(record) for record in records]
    for one in batches:
        one.encode_again(20)
    read_again = [record for one in batches for record in read(one.request)]
    assert [_shown(record) for record in read_again] == [_shown(record) for record in records]


def _shown(record: dict[str, Any]) -> dict[str, str]:
    return {name: told_apart(value) for name, value in record.items()}


class NothingIsLost(RuleBasedStateMachine):
    """Any records, failures and waiting: what was accepted is delivered once, or counted."""

    @initialize(
        entries=st.integers(1, 5),
        in_flight=st.integers(1, 3),
        encoding=st.sampled_from(ReportEncoding),
    )
    def start(self, entries: int, in_flight: int, encoding: ReportEncoding) -> None:
        self.buffer = Buffer(
            entries=entries, in_flight=in_flight, encoding=encoding, max_pending=12
        )
        self.sent: list[Any] = []
        self.accepted = 0
        self.delivered: list[int] = []
        self.dropped = 0

    @rule(bad=st.booleans())
    def report(self, bad: bool) -> None:
        """A record, which may be one that cannot be encoded."""
        try:
            self.buffer.reports.add({"n": self.accepted, "text": "\udc80" if bad else "x"})
        except ReportBufferFullError:
            assert self.buffer.reports.pending == 12
        except ValueError:
            assert bad
        else:
            self.accepted += 1

    @rule()
    def send(self) -> None:
        """All that is due."""
        while batch := self.buffer.reports.next():
            self.sent.append(batch)

    @rule(code=st.sampled_from([0, 3, 14]), which=st.integers(0, 5))
    def come_back(self, code: int, which: int) -> None:
        """One of those on the way, delivered, refused for good or for now."""
        if not self.sent:
            return
        batch = self.sent.pop(which % len(self.sent))
        if code == 0:
            self.delivered += [record["n"] for record in read(batch.request)]
            self.buffer.reports.delivered(batch)
        else:
            self.dropped += len(batch) * (code == 3)
            self.buffer.reports.failed(batch, Failure(code, ""))

    @rule(seconds=st.sampled_from([0.5, 1.0, 9.0]))
    def wait(self, seconds: float) -> None:
        """Time goes by."""
        self.buffer.clock.advance(seconds)

    def teardown(self) -> None:
        """In the end everything is delivered."""
        if not hasattr(self, "buffer"):
            return
        while self.sent:
            self.come_back(0, 0)
        self.buffer.reports.seal()
        while self.buffer.reports.pending:
            self.buffer.clock.advance(10.0)
            self.send()
            while self.sent:
                self.come_back(0, 0)
        assert len(set(self.delivered)) == len(self.delivered)
        assert len(self.delivered) + self.dropped == self.accepted
        counted = self.buffer.metrics
        assert counted.report_entries == self.accepted
        assert counted.report_entries_delivered == len(self.delivered)
        assert counted.report_entries_dropped == self.dropped
        assert counted.report_pending == counted.report_pending_bytes == 0


TestNothingIsLost = NothingIsLost.TestCase
TestNothingIsLost.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("letter", ["x", "\u4e2d", "\U0001f600"])
@pytest.mark.parametrize("encoding", ReportEncoding)
def test_a_request_fits_into_what_istios_mixer_takes(letter: str, encoding: ReportEncoding) -> None:
    """Below 1 MiB, however the records are made up, and after the server knows fewer words."""
    buffer = Buffer(encoding=encoding, in_flight=64, entries=10_000, max_pending=10_000)
    records = [{"request.path": f"{n}" + letter * (n * 997), "n": n} for n in range(150)]
    for record in records:
        buffer.reports.add(record)
    buffer.reports.seal()
    got: list[Any] = []
    while batch := buffer.reports.next():
        assert batch.request.ByteSize() <= batch.size
        batch.encode_again(0)
        assert batch.request.ByteSize() <= 1 << 20
        got += read(batch.request)
        buffer.reports.delivered(batch)
    assert got == records
    assert buffer.metrics.report_pending_bytes == 0


def test_a_record_that_never_fits_is_refused_by_its_bytes() -> None:
    """And the ones before and behind it are delivered."""
    buffer = Buffer()
    buffer.reports.add({"n": 1})
    with pytest.raises(ValueError, match="a record may take 1040368 bytes, not 15000"):
        buffer.reports.add({"request.path": "\u4e2d" * 500_000})
    buffer.reports.add({"n": 2})
    buffer.reports.seal()
    sent = [buffer.reports.next(), buffer.reports.next()]
    assert [record for one in sent if one for record in read(one.request)] == [{"n": 1}, {"n": 2}]


def test_a_batch_that_is_too_large_for_the_server_stops_nobody() -> None:
    """RESOURCE_EXHAUSTED again and again would hold up all others: it is given up, and counted."""
    buffer = Buffer(entries=1, in_flight=1)
    for n in range(2):
        buffer.reports.add({"n": n})
    first = buffer.reports.next()
    assert first
    told = "grpc: received message larger than max (900000 vs. 4096)"
    buffer.reports.failed(first, Failure(8, told))
    assert buffer.metrics.report_entries_dropped == 1
    assert buffer.reports.next()


def test_the_log_ends_with_all_that_was_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """Batches refused shortly after each other are told of once, and the rest at the end."""
    buffer = Buffer(entries=1)
    for n in range(3):
        buffer.reports.add({"n": n})
        batch = buffer.reports.next()
        assert batch
        buffer.reports.failed(batch, Failure(3, "bad"))
    assert [buffer.reports.give_up("closed") for _ in range(2)] == [3, 3]
    assert caplog.messages == [
        "reports given up: 1 records, 1 in all: gRPC code 3: bad",
        "reports given up: 2 records, 3 in all: gRPC code 3: bad",
    ]


@pytest.mark.parametrize("encoding", ReportEncoding)
@pytest.mark.parametrize("value", [None, {"x": {}}, [1]])
def test_a_bad_value_of_a_record_is_named(encoding: ReportEncoding, value: Any) -> None:
    """In either encoding, by its attribute."""
    with pytest.raises(TypeError, match=r"attribute source\.uid: "):
        Buffer(encoding=encoding).reports.add({"source.uid": value})
