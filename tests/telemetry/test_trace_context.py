"""Where callers say to which trace a request belongs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.telemetry.trace_context import Parent, decided_alone, finder, parent_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
IDS = (int(TRACE, 16), int(SPAN, 16))
HALF = "8448eb211c80319c"
W3C = f"00-{TRACE}-{SPAN}"


@pytest.mark.parametrize(
    ("headers", "sampled"),
    [
        ({"traceparent": f"{W3C}-01"}, True),
        ({"traceparent": f"{W3C}-00"}, False),
        ({"traceparent": f" {W3C}-03\t"}, True),
        ({"traceparent": f"cc-{TRACE}-{SPAN}-01-what-the-future-brings"}, True),
        ({"b3": f"{TRACE}-{SPAN}"}, None),
        ({"b3": f"{TRACE}-{SPAN}-1"}, True),
        ({"b3": f"{TRACE}-{SPAN}-0"}, False),
        ({"b3": f"{TRACE}-{SPAN}-d-00f067aa0ba902b7"}, True),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}, None),
        ({"x-b3-traceid": TRACE.upper(), "x-b3-spanid": SPAN, "x-b3-sampled": "1"}, True),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "false"}, False),
        (
            {
                "x-b3-traceid": TRACE,
                "x-b3-spanid": SPAN,
                "x-b3-sampled": "0",
                "x-b3-flags": "1",
            },
            True,
        ),
        ({"traceparent": f"{W3C}-01", "b3": f"{'1' * 32}-{'2' * 16}-0"}, True),
        ({"traceparent": "nonsense", "b3": f"{TRACE}-{SPAN}-0"}, False),
    ],
)
def test_what_is_understood(headers: dict[str, str], sampled: bool | None) -> None:
    """W3C's header, B3's one and B3's several; the first that can be read counts."""
    assert parent_of(headers.get) == Parent(*IDS, sampled)


def test_an_id_of_64_bits() -> None:
    """B3 allows one, which is the lower half."""
    found = parent_of({"b3": f"{HALF}-{SPAN}-1"}.get)
    assert found == Parent(int(HALF, 16), IDS[1], sampled=True)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": ""},
        {"traceparent": W3C},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{SPAN}-01-more"},
        {"traceparent": f"00-{TRACE.upper()}-{SPAN}-01"},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"traceparent": f"00-{TRACE}-{'0' * 16}-01"},
        {"traceparent": f"00-{TRACE}-{SPAN}-zz"},
        {"b3": "0"},
        {"b3": f"{TRACE}-{'0' * 16}-1"},
        {"x-b3-traceid": TRACE},
        {"x-b3-traceid": TRACE, "x-b3-spanid": TRACE},
        {"x-b3-sampled": "1"},
    ],
)
def test_what_is_not(headers: dict[str, str]) -> None:
    """Whatever cannot be read, or is no id, is as if nobody had said anything."""
    assert parent_of(headers.get) is None


def test_state() -> None:
    """What others noted goes on, up to the length that everybody has to pass on."""
    for state, kept in (("a=1,b=2", "a=1,b=2"), ("a" * 513, "")):
        found = parent_of({"traceparent": f"{W3C}-01", "tracestate": state}.get)
        assert found is not None
        assert found.state == kept


@pytest.mark.parametrize(
    ("headers", "sampled"),
    [
        ({}, None),
        ({"b3": "0"}, False),
        ({"b3": "1"}, True),
        ({"b3": "d"}, True),
        ({"b3": "x", "x-b3-sampled": "1"}, None),
        ({"x-b3-sampled": "0"}, False),
        ({"x-b3-sampled": "1"}, True),
        ({"x-b3-sampled": "0", "x-b3-flags": "1"}, True),
        ({"x-b3-sampled": "0", "x-b3-traceid": "nonsense"}, None),
    ],
)
def test_a_decision_alone(headers: dict[str, str], sampled: bool | None) -> None:
    """B3 lets a caller decide that names no span."""
    assert decided_alone(headers.get) is sampled


def test_headers_that_came_several_times() -> None:
    """Several states are one, as W3C has it; two parents are none."""
    once, other = ("traceparent", f"{W3C}-01"), ("traceparent", f"00-{'1' * 32}-{SPAN}-01")
    states = [("tracestate", "a=1"), ("x-other", "x"), ("tracestate", "b=2")]
    found = parent_of(finder([once, *states]))
    assert found == Parent(*IDS, sampled=True, state="a=1,b=2")
    assert parent_of(finder([once, other])) is None
    assert parent_of(finder([("b3", f"{TRACE}-{SPAN}-1")] * 2)) is None


NAMES = ("traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled")


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=80)))
def test_any_text(headers: dict[str, str]) -> None:
    """Nothing that a caller sends is an error."""
    found = parent_of(headers.get)
    assert found is None or (0 < found.trace_id < 1 << 128 and 0 < found.span_id < 1 << 64)
