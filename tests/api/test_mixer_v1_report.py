"""Reading a ReportRequest of Mixer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.mixer_v1 import CallRefusedError, Report, decode_report
from mixer.attributes import Value
from mixer.engine import Admission, Record
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import compress
from tests.api.mixer_calls import CALLER, TOO_MANY, admission, asked_by, report_bytes

DELTA = pb.ReportRequest.DELTA_ENCODING
INDEPENDENT = pb.ReportRequest.INDEPENDENT_ENCODING


def decoded(
    *records: dict[str, Value], encoding: int = INDEPENDENT, known: Admission | None = None
) -> Report:
    data = report_bytes(records, repeated_attributes_semantics=encoding)
    return decode_report(data, known or admission(), asked_by)


def told(record: Record, *names: str) -> list[Any]:
    return [record.attributes.get(name) for name in names]


def test_a_record_has_request_and_response() -> None:
    """Headers and attributes of both are found, and what it is that is asked."""
    (record,) = decoded(
        {
            "request.headers": {":path": "/a", "x-a": "1"},
            "response.headers": {"server": "envoy"},
            "response.code": 404,
        }
    ).records()
    assert record.headers.first(b"x-a") == b"1"
    assert record.response_headers is not None
    assert record.response_headers.pairs() == [(b":status", b"404"), (b"server", b"envoy")]
    names = "request.path", "response.code", "mixer.operation", "mixer.caller", "mixer.dedup_id"
    assert told(record, *names) == ["/a", 404, "report", CALLER, None]


def test_a_record_without_response() -> None:
    """Where nothing is told of a response, there is none."""
    (record,) = decoded({"request.path": "/a"}).records()
    assert record.response_headers is None
    assert record.headers.first(b":path") == b"/a"


def test_delta_encoding() -> None:
    """A record has what the ones before it had; a map takes the place of the one before."""
    first, second, third = decoded(
        {"request.path": "/a", "response.code": 200, "source.labels": {"a": "1", "b": "2"}},
        {"response.code": 500, "source.labels": {"a": "3"}},
        {},
        encoding=DELTA,
    ).records()
    names = "request.path", "response.code", "source.labels"
    assert told(first, *names) == ["/a", 200, {"a": "1", "b": "2"}]
    assert told(second, *names) == ["/a", 500, {"a": "3"}]
    assert told(third, *names) == ["/a", 500, {"a": "3"}]


def test_independent_encoding() -> None:
    """A record has nothing but its own."""
    _, second = decoded({"request.path": "/a"}, {"response.code": 500}).records()
    assert told(second, "request.path", "response.code") == [None, 500]


@pytest.mark.parametrize("encoding", [DELTA, INDEPENDENT])
def test_a_bad_attribute_harms_no_other(encoding: int) -> None:
    """It is absent from its record, is not inherited in its place, and the rest is told."""
    known = admission()
    records: list[dict[str, Value]] = [
        {"request.path": "/a", "response.code": 200},
        {"request.path": "/b", "response.code": "200"},
        {"request.path": "/c"},
    ]
    found = list(decoded(*records, encoding=encoding, known=known).records())
    assert [told(one, "request.path", "response.code") for one in found] == [
        ["/a", 200],
        ["/b", None],
        ["/c", None],
    ]
    assert known.rejected == 1


def test_own_words_and_default_words() -> None:
    """A record with words of its own does not use those of the report, as ``mixc`` has it."""
    request = pb.ReportRequest(default_words=["unused"])
    request.attributes.append(compress({"request.path": "/a"}))
    (record,) = decode_report(request.SerializeToString(), admission(), asked_by).records()
    assert told(record, "request.path") == ["/a"]


def test_an_index_out_of_the_default_words() -> None:
    """Such an attribute is counted, and no other record is harmed."""
    request = pb.ReportRequest(default_words=["/a"], repeated_attributes_semantics=INDEPENDENT)
    for index in (-2, 222, -1):
        request.attributes.add().strings[17] = index
    known = admission()
    found = decode_report(request.SerializeToString(), known, CALLER).records()
    assert [told(one, "request.path") for one in found] == [[None], [None], ["/a"]]
    assert known.rejected == 2


def test_ten_thousand_records_one_at_a_time() -> None:
    """Nothing of a record is there before its turn, nor after it."""
    report = decoded(*({"request.path": f"/{n % 7}"} for n in range(10_000)))
    assert sum(1 for _ in report.check()) == 10_000
    records = report.records()
    assert told(next(records), "request.path") == ["/0"]
    assert sum(1 for _ in records) == 9_999


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "grpc: error unmarshalling request: "),
        (report_bytes([{"request.path": "/a"}])[:-1], "grpc: error unmarshalling request: "),
        (
            pb.ReportRequest(global_word_count=300).SerializeToString(),
            "inconsistent global dictionary versions used: mixer knows 222 words, caller knows 300",
        ),
        (b"\x0a\x00" * 100_001, "100001 records in one request: at most 100000 are taken"),
    ],
)
def test_calls_that_are_refused(data: bytes, message: str) -> None:
    """Malformed bytes, a larger dictionary and too many records are errors of the call."""
    with pytest.raises(CallRefusedError) as caught:
        decode_report(data, admission(), asked_by)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"\x0a\x02\xff\xff", "error unmarshalling request"),
        (pb.ReportRequest(attributes=[TOO_MANY]).SerializeToString(), "4097 attributes"),
    ],
)
def test_a_bad_record_is_found_before_any_is_told(bad: bytes, message: str) -> None:
    """The check of the whole report fails at that record."""
    good = compress({"request.path": "/a"}).SerializeToString()
    data = bytes([0x0A, len(good)]) + good + bad
    looked_at = decode_report(data, admission(), asked_by).check()
    next(looked_at)
    with pytest.raises(CallRefusedError, match=message):
        next(looked_at)


@given(st.data())
def test_a_flipped_bit_does_no_harm(data: st.DataObject) -> None:
    """Whatever flips on the way, the only error is that the call is refused."""
    records: list[dict[str, Value]] = [
        {"request.path": "/a", "request.headers": {"x-a": "1"}},
        {"response.code": 200},
    ]
    sent = bytearray(report_bytes(records))
    sent[data.draw(st.integers(0, len(sent) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        report = decode_report(bytes(sent), admission(), asked_by)
        for _ in report.check():
            pass
    except CallRefusedError:
        return
    for record in report.records():
        record.headers.pairs()
        told(record, *record.attributes.names())
