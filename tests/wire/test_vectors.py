"""The wire format, against bytes that were written by hand and bytes that Istio's ``mixc`` sent."""

from datetime import UTC, datetime

import pytest

from mixer.attributes import Duration, Timestamp, Value
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import compress, decompress
from mixer.wire.dictionary import INDICES, WORDS


def _bytes(text: str) -> bytes:
    """The bytes of hexadecimal lines with comments."""
    return bytes.fromhex("".join(line.partition("#")[0] for line in text.splitlines()))


def _field(number: int, content: bytes) -> bytes:
    """A field of a message whose content has less than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


MESSAGE = b"".join(
    [
        _field(1, b"a"),  # words: "a" is -1
        _field(1, b"x-b"),  # -2
        _field(2, _bytes("08 22 10 01")),  # strings: 17 (zigzag 34) is -1 (zigzag 1)
        _field(2, _bytes("08 26 10 b4 01")),  # strings: 19 is 90 (zigzag 180)
        _field(3, _bytes("08 3c 10 c8 01")),  # int64s: 30 is 200, not zigzag
        _field(3, _bytes("08 ae 02 10 ff ff ff ff ff ff ff ff ff 01")),  # int64s: 151 is -1
        _field(4, _bytes("08 01 11 00 00 00 00 00 00 f8 3f")),  # doubles: -1 is 1.5, fixed 64
        _field(5, _bytes("08 e2 02 10 01")),  # bools: 177 is true
        _field(5, _bytes("08 d8 02")),  # bools: 172; false is left out
        _field(6, _bytes("08 30 12 04 08 0c 10 22")),  # timestamps: 24 is 12 s and 34 ns
        _field(7, _bytes("08 3a 12 02 08 05")),  # durations: 29 is 5 s
        _field(8, _bytes("08 00 12 04 0a 00 00 01")),  # bytes: 0 is 10.0.0.1
        _field(9, _bytes("08 1e 12 0a 0a 04 08 42 10 01 0a 02 10 03")),  # string_maps: 15 is
        #   {33 ":path": -1 "a", 0 "source.ip": -2 "x-b"}: a key of 0 is a word like any other
    ]
)
TOLD: dict[str, Value] = {
    "request.path": "a",
    "request.method": "GET",
    "response.code": 200,
    "destination.port": -1,
    "a": 1.5,
    "connection.mtls": True,
    "check.cache_hit": False,
    "request.time": Timestamp(12_000_000_034),
    "response.duration": Duration(5_000_000_000),
    "source.ip": b"\x0a\0\0\1",
    "request.headers": {":path": "a", "source.ip": "x-b"},
}


def test_attributes_of_every_type() -> None:
    """Bytes written by hand have the attributes that they were written for."""
    found = decompress(pb.CompressedAttributes.FromString(MESSAGE))
    assert found == TOLD
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in TOLD.items()
    }


def test_attributes_are_written_with_the_global_dictionary() -> None:
    """One attribute is, to the byte, what the wire format has for it."""
    written = compress({"request.path": "/x"}).SerializeToString()
    assert written == _field(1, b"/x") + _field(2, _bytes("08 22 10 01"))


@pytest.mark.parametrize(
    ("index", "word"),
    [
        (0, "source.ip"), (17, "request.path"), (90, "GET"), (110, "text/plain; charset=utf-8"),
        (134, "0"), (177, "connection.mtls"), (221, "context.proxy_version"),
    ],
)  # fmt: skip
def test_the_global_dictionary(index: int, word: str) -> None:
    """Words have the places that they have in Istio."""
    assert WORDS[index] == word
    assert INDICES[word] == index
    assert len(WORDS) == 222


REQUEST = b"".join(
    [
        _field(1, _field(2, _bytes("08 22 10 b4 01"))),  # attributes
        _bytes("10 de 01"),  # global_word_count: 222
        _field(3, b"id"),  # deduplication_id
        # quotas: "rps" asks for 5, and less is welcome
        _field(4, _field(1, b"rps") + _field(2, _bytes("08 05 10 01"))),
    ]
)


def test_check_request() -> None:
    """A request written by hand is read field by field."""
    request = pb.CheckRequest.FromString(REQUEST)
    assert dict(request.attributes.strings) == {17: 90}
    assert (request.global_word_count, request.deduplication_id) == (222, "id")
    assert (request.quotas["rps"].amount, request.quotas["rps"].best_effort) == (5, True)


REFERENCES = _field(1, b"x") + b"".join(
    [
        _field(2, _bytes("08 22 10 02")),  # name 17, EXACT
        _field(2, _bytes("08 1e 10 01 20 01")),  # name 15, ABSENCE, map_key -1
        _field(2, _bytes("08 1e 10 03 1a 01 2a")),  # name 15, REGEX "*"
    ]
)
RESPONSE = _field(
    2,  # precondition
    _field(1, _bytes("08 07") + _field(2, b"no"))  # status: PERMISSION_DENIED "no"
    + _field(2, _bytes("08 05 10 01"))  # valid_duration: 5 s and 1 ns
    + _bytes("18 e8 07")  # valid_use_count: 1000
    + _field(5, REFERENCES)
    + _field(
        6,  # route_directive
        _field(1, _field(1, b"x-a") + _field(2, b"1"))  # request: REPLACE, which is 0
        + _field(1, _field(1, b"x-b") + _bytes("18 01"))  # REMOVE
        + _field(2, _field(1, b"x-c") + _field(2, b"2") + _bytes("18 02"))  # response: APPEND
        + _bytes("18 93 03")  # direct_response_code: 403
        + _field(4, b"body"),
    ),
) + _field(
    3,  # quotas
    _field(1, b"rps")
    + _field(2, _field(1, _bytes("08 3c")) + _bytes("10 03") + _field(6, _bytes("08 08"))),
)


def test_check_response() -> None:
    """A response is written, to the byte, as it was written by hand."""
    response = pb.CheckResponse()
    result = response.precondition
    result.status.code, result.status.message = 7, "no"
    result.valid_duration.seconds, result.valid_duration.nanos = 5, 1
    result.valid_use_count = 1000
    references = result.referenced_attributes
    references.words.append("x")
    references.attribute_matches.add(name=17, condition=references.EXACT)
    references.attribute_matches.add(name=15, condition=references.ABSENCE, map_key=-1)
    references.attribute_matches.add(name=15, condition=references.REGEX, regex="*")
    directive = result.route_directive
    directive.request_header_operations.add(name="x-a", value="1")
    directive.request_header_operations.add(name="x-b", operation=pb.HeaderOperation.REMOVE)
    directive.response_header_operations.add(
        name="x-c", value="2", operation=pb.HeaderOperation.APPEND
    )
    directive.direct_response_code, directive.direct_response_body = 403, "body"
    quota = response.quotas["rps"]
    quota.valid_duration.seconds, quota.granted_amount, quota.status.code = 60, 3, 8
    assert response.SerializeToString() == RESPONSE
    assert pb.CheckResponse.FromString(RESPONSE) == response


def test_report_request() -> None:
    """A report written by hand is read field by field."""
    report = pb.ReportRequest.FromString(
        _field(1, _field(2, _bytes("08 22 10 01")))  # attributes: a record
        + _field(1, b"")  # and an empty one
        + _field(2, b"/x")  # default_words
        + _bytes("18 6f 20 01")  # global_word_count 111, INDEPENDENT_ENCODING
    )
    assert [decompress(one, report.default_words) for one in report.attributes] == [
        {"request.path": "/x"},
        {},
    ]
    assert report.global_word_count == 111
    assert report.repeated_attributes_semantics == pb.ReportRequest.INDEPENDENT_ENCODING


_TIME = int(datetime(2019, 8, 28, 12, tzinfo=UTC).timestamp()) * 1_000_000_000

MIXC = {
    "check -s request.path=/a -q requestcount=3": (
        "0a180a0c726571756573742e706174680a022f611204080110031a0933383636343639333122140a0c7265"
        "7175657374636f756e74120408031001",
        {"request.path": "/a"},
    ),
    "check -a ... --stringmap_attributes ...": (
        "0ae1010a1064657374696e6174696f6e2e706f72740a09736f757263652e69700a0f636f6e6e656374696f"
        "6e2e6d746c730a0c726571756573742e74696d650a11726573706f6e73652e6475726174696f6e0a086375"
        "73746f6d2e780a0f726571756573742e686561646572730a04636c6e740a036162630a03782d620a01630a"
        "0c726571756573742e706174680a022f6112040817"
        "10191a0408011050220b080b11000000000000f83f2a0408051001320a0807120608c0d999eb053a090809"
        "120510c096b1024208080312040a0000014a10080d120c0a04081310150a04080f10111a09343037333534"
        "303231",
        {
            "request.path": "/a",
            "destination.port": 80,
            "custom.x": 1.5,
            "connection.mtls": True,
            "request.time": Timestamp(_TIME),
            "response.duration": Duration(5_000_000),
            "source.ip": b"\x0a\0\0\1",
            "request.headers": {"clnt": "abc", "x-b": "c"},
        },
    ),
}


@pytest.mark.parametrize("command", MIXC)
def test_requests_of_mixc(command: str) -> None:
    """What ``mixc`` of Istio 1.3 sent for a command has the attributes of the command."""
    data, told = MIXC[command]
    assert decompress(pb.CheckRequest.FromString(bytes.fromhex(data)).attributes) == told


def test_a_report_of_mixc() -> None:
    """``mixc`` gives the records words of their own, and default words that they do not use."""
    data = (
        "0a2e0a0c726571756573742e706174680a022f610a0d726573706f6e73652e636f64651204080110031a05"
        "080510c801120c726571756573742e70617468120d726573706f6e73652e636f6465"
    )
    report = pb.ReportRequest.FromString(bytes.fromhex(data))
    (record,) = report.attributes
    assert decompress(record, report.default_words) == {
        "request.path": "/a",
        "response.code": 200,
    }


def test_an_answer_of_a_mixer() -> None:
    """The answer of a Mixer 1.3 to a check with a granted and an unknown quota."""
    data = (
        "12250a001202083c18904e2a1a12050892031001120508b60210011204081e10011204082210021a2e0a0c"
        "72657175657374636f756e74121e0a02083c10032a14120508b60210011205089203100112040804100132"
        "001a220a066e6f7375636812180a02083c10032a0e120508b60210011205089203100132"
        "00"
    )
    response = pb.CheckResponse.FromString(bytes.fromhex(data))
    assert (
        response.precondition.valid_duration.seconds,
        response.precondition.valid_use_count,
    ) == (
        60,
        10_000,
    )
    referenced = {
        (WORDS[one.name], one.condition)
        for one in response.precondition.referenced_attributes.attribute_matches
    }
    assert referenced == {
        ("context.reporter.kind", pb.ReferencedAttributes.ABSENCE),
        ("destination.namespace", pb.ReferencedAttributes.ABSENCE),
        ("request.headers", pb.ReferencedAttributes.ABSENCE),
        ("request.path", pb.ReferencedAttributes.EXACT),
    }
    assert {name: one.granted_amount for name, one in response.quotas.items()} == {
        "requestcount": 3,
        "nosuch": 3,
    }
