"""How attributes are written on a command line; ``mixc`` of Istio 1.3 says what they mean."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.attributes import Duration, Timestamp, Value
from mixer.cli.mixer_v1 import syntax
from mixer.cli.mixer_v1.attributes import ATTRIBUTES, InputError, parse_attributes, parse_quotas
from mixer.cli.mixer_v1.requests import Subject, check_request, report_requests
from mixer.cli.mixer_v1.syntax import Syntax, format_value, kind_of

# What mixc sends as the attributes of a request with -a x=TEXT.
_SENSED = [
    ("a", "0a01784205080112010a"),
    ("ab", "0a0178420508011201ab"),
    ("t", "0a01782a0408011001"),
    ("T", "0a01782a0408011001"),
    ("false", "0a01782a0408011000"),
    ("tRUE", "0a01780a0474525545120408011003"),
    ("+5", "0a01781a0408011005"),
    ("-5", "0a01781a0d080110fbffffffffffffffff01"),
    ("00012", "0a01781a040801100c"),
    ("1_000", "0a0178220b0801110000000000408f40"),
    ("0x10", "0a01780a0430783130120408011003"),
    ("1e3", "0a0178220b0801110000000000408f40"),
    ("0x1p-2", "0a0178220b080111000000000000d03f"),
    ("-inf", "0a0178220b080111000000000000f0ff"),
    ("Infinity", "0a0178220b080111000000000000f07f"),
    ("99999999999999999999", "0a0178220b080111408cb5781daf1544"),
    ("1e400", "0a01780a053165343030120408011003"),
    ("9223372036854775807", "0a01781a0c080110ffffffffffffffff7f"),
    ("-9223372036854775808", "0a01781a0d08011080808080808080808001"),
    ("5s", "0a01783a06080112020805"),
    ("1h", "0a01783a070801120308901c"),
    ("1.5h", "0a01783a070801120308982a"),
    ("-2s", "0a01783a0f0801120b08feffffffffffffffff01"),
    ("0", "0a01781a0408011000"),
    ("1ms2us3ns", "0a01783a08080112041093943d"),
    ("1µs", "0a01783a070801120310e807"),
    (".5s", "0a01783a0a080112061080cab5ee01"),
    ("5.s", "0a01783a06080112020805"),
    (".s", "0a01780a022e73120408011003"),
    ("1d", "0a01784205080112011d"),
    ("-1.5s", "0a01783a1a0801121608ffffffffffffffffff011080b6ca91feffffffff01"),
    ("-0.5s", "0a01783a0f0801120b1080b6ca91feffffffff01"),
    ("9223372036854775807ns", "0a01783a100801120c0884fa85ae2210ffafcb9703"),
    ("9223372036854775808ns", "0a01780a15393232333337323033363835343737353830386e73120408011003"),
    ("2006-01-02T15:04:05Z", "0a0178320a0801120608e581e59d04"),
    ("2006-01-02T15:04:05.123456789123Z", "0a0178320f0801120b08e581e59d0410959aef3a"),
    ("2006-01-02T15:04:05+02:00", "0a0178320a0801120608c5c9e49d04"),
    ("2006-01-02T1:04:05Z", "0a0178320a080112060885f8e19d04"),
    (
        "2006-01-02t15:04:05Z",
        "0a01780a0d323030362d30312d30327431350a0630343a30355a4a0a080112060a0408031005",
    ),
    (
        "2006-01-02T15:04:60Z",
        "0a01780a0d323030362d30312d30325431350a0630343a36305a4a0a080112060a0408031005",
    ),
    ("9999-12-31T23:59:59.999999999Z", "0a017832110801120d08ff82d1ffaf0710ff93ebdc03"),
    ("1969-12-31T23:59:59.5Z", "0a017832150801121108ffffffffffffffffff011080cab5ee01"),
    ("98:76", "0a01784206080112029876"),
    ("c0:0:0:2", "0a0178420808011204c0000002"),
    ("0ff", "0a0178420508011201ff"),
    ("100", "0a01781a0408011064"),
    ("fff", "0a01780a03666666120408011003"),
    ("1:2:", "0a01780a01310a02323a4a0a080112060a0408031005"),
    ("k3:v3", "0a01780a026b330a0276334a0a080112060a0408031005"),
    (":v", "0a01780a000a01764a0a080112060a0408031005"),
    ("k:", "0a01780a016b0a004a0a080112060a0408031005"),
    ("a:b:c", "0a01784207080112030a0b0c"),
    ("kubernetes://pod", "0a01780a0a6b756265726e657465730a052f2f706f644a0a080112060a0408031005"),
    ("a;b:c", "0a01780a05613b623a63120408011003"),
    ("k:1;k:2", "0a01780a016b0a01324a0a080112060a0408031005"),
    ("k:v;", "0a01780a046b3a763b120408011003"),
    ("127.0.0.1", "0a01780a093132372e302e302e31120408011003"),
    ("=b", "0a01780a023d62120408011003"),
    ("a=b", "0a01780a03613d62120408011003"),
    (" 5", "0a01780a022035120408011003"),
    ("", "0a01780a00120408011003"),
]

# The same of other flags.
_TYPED = [
    ("string_attributes", "5", "0a01780a0135120408011003"),
    ("string_attributes", "", "0a01780a00120408011003"),
    ("string_attributes", "a b", "0a01780a03612062120408011003"),
    ("int64_attributes", "+7", "0a01781a0408011007"),
    ("double_attributes", "5", "0a0178220b0801110000000000001440"),
    ("double_attributes", "1_0.5", "0a0178220b0801110000000000002540"),
    ("bool_attributes", "1", "0a01782a0408011001"),
    ("bool_attributes", "F", "0a01782a0408011000"),
    (
        "timestamp_attributes",
        "2006-01-02T15:04:05.5-07:00",
        "0a017832100801120c08d5c6e69d041080cab5ee01",
    ),
    ("duration_attributes", "0", "0a01783a0408011200"),
    ("bytes_attributes", "1", "0a017842050801120101"),
    ("stringmap_attributes", "k1:a:b", "0a01780a026b310a03613a624a0a080112060a0408031005"),
    ("string_attributes", "source.ip", "0a01780a09736f757263652e6970120408011003"),
]


def _sent(flag: str, text: str) -> str:
    subject = Subject(parse_attributes({flag: [f"x={text}"]}))
    request = check_request(subject, {}, best_effort=True)
    return request.attributes.SerializeToString().hex()


@pytest.mark.parametrize(("text", "sent"), _SENSED)
def test_a_value_has_the_type_that_mixc_gives_it(text: str, sent: str) -> None:
    """-a finds the type of a value as mixc does: the attributes are the same to the byte."""
    assert _sent("attributes", text) == sent


@pytest.mark.parametrize(("flag", "text", "sent"), _TYPED)
def test_a_flag_for_one_type(flag: str, text: str, sent: str) -> None:
    """The other flags read values as mixc does, to the byte."""
    assert _sent(flag, text) == sent


def test_nan() -> None:
    """NaN is a number; Go's and Python's differ in their last bit."""
    (value,) = parse_attributes({"attributes": ["x=NaN"]}).values()
    assert isinstance(value, float)
    assert math.isnan(value)


def test_quotas_are_asked_for_as_mixc_does() -> None:
    """The whole request is mixc's but for the deduplication id, which it always has."""
    subject = Subject(parse_attributes({"string_attributes": ["source.name=x"]}))
    request = check_request(subject, parse_quotas(["a=5"]), best_effort=True)
    attributes, quota = "0a160a0b736f757263652e6e616d650a0178120408011003", "22090a0161120408051001"
    assert request.SerializeToString().hex() == attributes + quota


def test_the_global_dictionary() -> None:
    """On demand, words that Mixer knows are sent as indices, with their count."""
    subject = Subject({"source.name": "source.ip"}, global_dictionary=True)
    request = check_request(subject, {}, best_effort=True)
    assert request.SerializeToString().hex() == "0a0612040804100010de01"


def test_records_come_in_batches_and_share_their_words() -> None:
    """As many messages as needed are sent, and each record is whole."""
    subject = Subject({"a": "X", "b": 1})
    sent = [message.SerializeToString().hex() for message in report_requests(subject, 3, 2)]
    record, words = "0a0c1204080110031a0408051001", "1201611201581201622001"
    assert sent == [record + record + words, record + words]


_WORDS = st.text(st.characters(codec="utf-8", exclude_characters=":;"))
_NS64 = st.integers(-(1 << 63), (1 << 63) - 1)
_VALUES: dict[Syntax, st.SearchStrategy[Value]] = {
    syntax.STRING: st.text(st.characters(codec="utf-8")),
    syntax.INT64: _NS64,
    syntax.DOUBLE: st.floats(allow_nan=False),
    syntax.BOOL: st.booleans(),
    syntax.TIMESTAMP: st.integers(-62135596800 * 10**9, 253402300800 * 10**9 - 1).map(Timestamp),
    syntax.DURATION: _NS64.map(Duration),
    syntax.BYTES: st.binary(min_size=1),
    syntax.STRING_MAP: st.dictionaries(_WORDS, _WORDS, min_size=1),
}


@pytest.mark.parametrize("kind", _VALUES, ids=lambda kind: kind.kind)
@given(data=st.data())
@settings(deadline=None)
def test_a_written_value_is_read_back(kind: Syntax, data: st.DataObject) -> None:
    """What is shown of a value can be given as a flag again."""
    value = data.draw(_VALUES[kind])
    assert kind.read(format_value(value)) == value
    assert kind_of(value) == kind.kind


@given(st.text())
def test_any_text_has_a_type(text: str) -> None:
    """-a refuses only what is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError, match="is not UTF-8 text"):
            syntax.AUTO.read(text)
    else:
        kind_of(syntax.AUTO.read(text))


@pytest.mark.parametrize(
    ("nanoseconds", "written"),
    [
        (0, "0s"), (1, "1ns"), (1100, "1.1µs"), (5_000_000, "5ms"), (60 * 10**9, "1m0s"),
        (-1_500_000_000, "-1.5s"), (3_661 * 10**9, "1h1m1s"), (3_600 * 10**9, "1h0m0s"),
    ],
)  # fmt: skip
def test_durations_are_written_as_in_go(nanoseconds: int, written: str) -> None:
    """A duration looks as mixc prints it."""
    assert format_value(Duration(nanoseconds)) == written


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        ("string_attributes", "x", "--string_attributes 'x': write NAME=VALUE"),
        ("string_attributes", "=x", "--string_attributes '=x': write NAME=VALUE"),
        ("string_attributes", "x=1,", "--string_attributes '': write NAME=VALUE"),
        ("string_attributes", "x=\udcff", "--string_attributes 'x': '\\udcff' is not UTF-8 text"),
        ("int64_attributes", "x=", "'x': '' is not of type int64: write a decimal number"),
        ("int64_attributes", "x=9223372036854775808", "is not of type int64"),
        ("int64_attributes", "x=1_0", "is not of type int64"),
        ("int64_attributes", "x=" + "1" * 5000, "is not of type int64"),
        ("double_attributes", "x=1e400", "is not of type double: write a number"),
        ("double_attributes", "x=0x1p9999", "is not of type double"),
        ("double_attributes", "x=1__0", "is not of type double"),
        ("bool_attributes", "x=yes", "'yes' is not of type bool: write true or false"),
        ("timestamp_attributes", "x=2006", "is not of type timestamp: write a time of RFC 3339"),
        ("timestamp_attributes", "x=2006-02-29T00:00:00Z", "is not of type timestamp"),
        ("timestamp_attributes", "x=0001-01-01T00:00:00+10:00", "is not of type timestamp"),
        ("duration_attributes", "x=5", "is not of type duration: write a duration with units"),
        ("duration_attributes", "x=9223372036854775808ns", "is not of type duration"),
        ("duration_attributes", "x=" + "1" * 5000 + "s", "is not of type duration"),
        ("bytes_attributes", "x=", "is not of type bytes: write each byte in hexadecimal"),
        ("bytes_attributes", "x=123", "is not of type bytes"),
        ("bytes_attributes", "x=+1", "is not of type bytes"),
        ("stringmap_attributes", "x=a", "is not of type string map: write KEY:VALUE;KEY:VALUE"),
        ("attributes", "x=1,x=2", "--attributes: attribute 'x' is given twice"),
    ],
)
def test_a_value_that_cannot_be_read(flag: str, text: str, message: str) -> None:
    """The error names flag, attribute and value, and says what to write."""
    with pytest.raises(InputError) as raised:
        parse_attributes({flag: [text]})
    assert message in str(raised.value)
    assert len(str(raised.value)) < 300


def test_all_flags_together() -> None:
    """Every flag can be given several times, and a name only once among all of them."""
    given_flags = {flag: [] for flag in ATTRIBUTES} | {
        "string_attributes": ["a=1,b=2", "c=x=y"],
        "int64_attributes": ["d=1"],
    }
    assert parse_attributes(given_flags) == {"a": "1", "b": "2", "c": "x=y", "d": 1}
    with pytest.raises(InputError, match="--int64_attributes: attribute 'a' is given twice"):
        parse_attributes(given_flags | {"int64_attributes": ["a=1"]})


def test_quotas() -> None:
    """Amounts are numbers of 64 bits, negative ones included: Mixer is to refuse them."""
    assert parse_quotas(["a=1,b=-5", "c=0"]) == {"a": 1, "b": -5, "c": 0}
    with pytest.raises(InputError, match="--quotas 'a': 'x' is not of type int64"):
        parse_quotas(["a=x"])
    with pytest.raises(InputError, match="--quotas: quota 'a' is given twice"):
        parse_quotas(["a=1", "a=1"])
