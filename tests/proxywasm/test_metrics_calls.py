"""Metrics, as a module sees them and as they can be read."""

import pytest

from mixer.proxywasm import LogLevel, MetricStore, MetricType
from mixer.proxywasm.metrics import BUCKETS, VmMetrics
from tests.support.guest import OK, WORD, Answer, Call, Guest, call

NOT_FOUND, BAD_ARGUMENT, INTERNAL_FAILURE = 1, 2, 10
COUNTER, GAUGE, HISTOGRAM = MetricType


def define(kind: int, name: bytes) -> Call:
    return call("proxy_define_metric", kind, name, WORD)


def increment(metric: int, delta: int) -> Call:
    return call("proxy_increment_metric", metric, delta)


def record(metric: int, value: int) -> Call:
    return call("proxy_record_metric", metric, value)


def read(metric: int) -> Call:
    return call("proxy_get_metric", metric, WORD)


def test_ids_carry_the_type_and_are_never_given_twice() -> None:
    """The lowest bits of an id are the type; the same name gets a new id each time."""
    with Guest() as guest:
        answers = guest.in_headers(*(define(kind, b"m") for kind in (0, 1, 2, 0, 1, 2)))
        ids = [answer.data for answer in answers]
    assert [i & 3 for i in ids] == [0, 1, 2, 0, 1, 2]
    assert len(set(ids)) == 6
    assert 0 not in ids


def test_one_name_is_one_value() -> None:
    """Two ids of one name count into one value, in the same VM or another; types are apart."""
    store = {"metrics": MetricStore()}
    with Guest(services=store) as one, Guest(services=store) as other:
        one.in_headers(define(0, b"m"), define(0, b"m"), define(1, b"m"))
        other.in_headers(define(0, b"m"))
        one.in_headers(increment(4, 2), increment(8, 3))
        assert other.in_headers(increment(4, 4), read(4)) == [Answer(OK), Answer(OK, 9)]
        assert one.in_headers(read(8), read(5)) == [Answer(OK, 9), Answer(OK, 0)]


def test_counter() -> None:
    """A counter only goes up, and recording adds to it."""
    with Guest() as guest:
        answers = guest.in_headers(
            define(0, b"m"), increment(4, 5), increment(4, 0), increment(4, -1), record(4, 7),
            record(4, 0), read(4),
        )  # fmt: skip
    statuses = [OK, OK, BAD_ARGUMENT, BAD_ARGUMENT, OK, OK, OK]
    assert [a.status for a in answers] == statuses
    assert answers[-1].data == 12


def test_gauge() -> None:
    """A gauge goes up and down, is set by recording, and wraps below zero."""
    with Guest() as guest:
        answers = guest.in_headers(
            define(1, b"m"), increment(5, 5), increment(5, -2), increment(5, 0), read(5),
            record(5, 40), read(5), increment(5, -41), read(5),
        )  # fmt: skip
    assert all(a.status == OK for a in answers)
    assert [a.data for a in answers if a.data is not None] == [5, 3, 40, 2**64 - 1]


def test_histogram() -> None:
    """A histogram only records, each value in Envoy's bucket, which keeps two of its digits."""
    store = MetricStore()
    with Guest(services={"metrics": store}) as guest:
        answers = guest.in_headers(
            define(2, b"m"), increment(6, 1), read(6), record(6, 0), record(6, 5), record(6, 6),
            record(6, 109), record(6, 110), record(6, 2**63 - 1), record(6, 2**64 - 1),
        )  # fmt: skip
    assert [a.status for a in answers] == [OK, BAD_ARGUMENT, BAD_ARGUMENT, *[OK] * 7]
    (metric,) = store.snapshot()
    assert (metric.name, metric.type, metric.value) == ("m", HISTOGRAM, 7)
    assert metric.total == 11 + 109 + 110 + 2**63 - 1 - 1
    filled = {bound: n for bound, n in zip((*BUCKETS, None), metric.buckets, strict=True) if n}
    assert filled == {0.5: 2, 5: 1, 10: 1, 100: 1, 250: 1, None: 1}


@pytest.mark.parametrize(
    ("metric", "statuses"),
    [
        (0, (1, 1, 1)),
        (4, (1, 1, 1)),
        (5, (1, 1, 1)),
        (6, (2, 1, 2)),
        (7, (2, 1, 2)),
        (2**32 - 1, (2, 1, 2)),
    ],
)
def test_unknown_id(metric: int, statuses: tuple[int, int, int]) -> None:
    """An id that was not given is unknown, unless its type alone makes it a bad argument."""
    with Guest() as guest:
        answers = guest.in_headers(increment(metric, 1), record(metric, 1), read(metric))
    assert tuple(a.status for a in answers) == statuses
    assert answers[2].data is None


@pytest.mark.parametrize("kind", [3, 4, 2**32 - 1])
def test_unknown_type(kind: int) -> None:
    """There are three types."""
    with Guest() as guest:
        assert guest.in_headers(define(kind, b"m")) == [Answer(BAD_ARGUMENT)]


def test_ids_of_another_vm_are_unknown() -> None:
    """Ids belong to a VM, though the values are shared."""
    store = {"metrics": MetricStore()}
    with Guest(services=store) as one, Guest(services=store) as other:
        one.in_headers(define(0, b"m"))
        assert other.in_headers(increment(4, 1)) == [Answer(NOT_FOUND)]


@pytest.mark.parametrize("bound", ["MAX_METRICS", "MAX_METRICS_PER_VM"])
def test_metrics_are_bounded(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store and a VM have room for so many: INTERNAL_FAILURE, counted, with one warning."""
    monkeypatch.setattr(f"mixer.proxywasm.metrics.{bound}", 2)
    store = MetricStore()
    with Guest(services={"metrics": store}) as guest:
        answers = guest.in_headers(*(define(0, b"%d" % i) for i in range(4)))
        lines = guest.logs
    assert [a.status for a in answers] == [OK, OK, INTERNAL_FAILURE, INTERNAL_FAILURE]
    assert len(store.snapshot()) == store.refused == 2
    assert [level for level, _ in lines] == [LogLevel.WARN]
    assert "too many metrics" in lines[0][1]


def test_a_module_does_not_take_the_room_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the VMs of one module define one after another is bounded, and others have room."""
    monkeypatch.setattr("mixer.proxywasm.metrics.MAX_METRICS", 8)
    monkeypatch.setattr("mixer.proxywasm.metrics.MAX_METRICS_PER_MODULE", 3)
    store = MetricStore()
    defined = [VmMetrics(store, "a").define(COUNTER, str(number)) for number in range(20)]
    assert [one is None for one in defined] == [False] * 3 + [True] * 17
    assert VmMetrics(store, "a").define(COUNTER, "1") is not None
    assert VmMetrics(store, "b").define(COUNTER, "own") is not None
    assert store.refused == 17


def test_names_are_bounded() -> None:
    """A name of any length that memory has room for would be kept for ever."""
    with Guest() as guest:
        answers = guest.in_headers(define(0, bytes(4096)), define(0, bytes(4097)))
    assert [a.status for a in answers] == [OK, INTERNAL_FAILURE]
