"""Random expressions of every type over a few attributes, for hypothesis."""

import json
from typing import Any

from hypothesis import strategies as st

from mixer.attributes import Duration, Timestamp, ValueType

VOCABULARY = {
    "s": ValueType.STRING, "a.s": ValueType.STRING,
    "i": ValueType.INT64, "a.i": ValueType.INT64,
    "d": ValueType.DOUBLE,
    "b": ValueType.BOOL, "a.b": ValueType.BOOL,
    "ip": ValueType.IP_ADDRESS, "a.ip": ValueType.IP_ADDRESS,
    "t": ValueType.TIMESTAMP, "span": ValueType.DURATION,
    "m": ValueType.STRING_MAP, "a.m": ValueType.STRING_MAP,
}  # fmt: skip

_TEXTS = ("", "a", "abc", "ABC", "user-agent", "é", 'q"\\', "x*", "10.0.0.1", "a\nb")
_ADDRESSES = ("10.0.0.1", "::1", "::ffff:10.0.0.1", "2001:db8::2")
_SECOND = 1_000_000_000
_VALUES: dict[ValueType, st.SearchStrategy[Any]] = {
    ValueType.STRING: st.sampled_from(_TEXTS),
    ValueType.INT64: st.integers(-3, 3),
    ValueType.DOUBLE: st.sampled_from((0.0, 1.5, -2.0)),
    ValueType.BOOL: st.booleans(),
    ValueType.IP_ADDRESS: st.sampled_from(
        (b"\x0a\0\0\1", bytes(10) + b"\xff\xff\x0a\0\0\1", bytes(15) + b"\1")
    ),
    ValueType.TIMESTAMP: st.sampled_from((0, 1_500_000_000)).map(lambda s: Timestamp(s * _SECOND)),
    ValueType.DURATION: st.sampled_from((0, 1, 90)).map(lambda s: Duration(s * _SECOND)),
    ValueType.STRING_MAP: st.dictionaries(
        st.sampled_from(_TEXTS), st.sampled_from(_TEXTS), max_size=3
    ),
}


def attributes() -> st.SearchStrategy[dict[str, Any]]:
    """What a request tells: any part of the vocabulary."""
    return st.fixed_dictionaries(
        {}, optional={name: _VALUES[kind] for name, kind in VOCABULARY.items()}
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_CONSTANTS: dict[ValueType, st.SearchStrategy[str]] = {
    ValueType.STRING: st.sampled_from(_TEXTS).map(_quoted),
    ValueType.INT64: st.integers(0, 3).map(str),
    ValueType.DOUBLE: st.sampled_from(("0.0", "1.5", "2e0", ".5")),
    ValueType.BOOL: st.sampled_from(("true", "false")),
    ValueType.IP_ADDRESS: st.sampled_from(_ADDRESSES).map(lambda a: f'ip("{a}")'),
    ValueType.TIMESTAMP: st.just('timestamp("2017-07-14T02:40:00Z")'),
    ValueType.DURATION: st.sampled_from(('"0s"', '"1m30s"', '"0"', '"1000ms"')),
    ValueType.STRING_MAP: st.just("emptyStringMap()"),
}


@st.composite
def expressions(draw: st.DrawFn, kind: ValueType, depth: int = 3) -> str:
    """An expression of a type."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(_leaf(kind))
    forms = [*_FORMS.get(kind, ()), "({T} | {T})", "(v{T} | {T})", "conditional({B}, {T}, {T})"]
    form = draw(st.sampled_from(forms))
    for mark, wanted in _MARKS.items():
        while mark in form:
            form = form.replace(mark, draw(_operand(mark, wanted or kind, depth - 1)), 1)
    return form


def _operand(mark: str, kind: ValueType, depth: int) -> st.SearchStrategy[str]:
    return _leaf(kind) if mark.startswith("v") else expressions(kind, depth)


def _leaf(kind: ValueType) -> st.SearchStrategy[str]:
    names = [name for name, one in VOCABULARY.items() if one is kind]
    return st.one_of(st.sampled_from(names), _CONSTANTS[kind])


_MARKS = {
    "v{T}": None,
    "{T}": None,
    "{B}": ValueType.BOOL,
    "{S}": ValueType.STRING,
    "{I}": ValueType.INT64,
    "{D}": ValueType.DOUBLE,
    "{IP}": ValueType.IP_ADDRESS,
    "{TS}": ValueType.TIMESTAMP,
    "{SPAN}": ValueType.DURATION,
    "{M}": ValueType.STRING_MAP,
}
_FORMS: dict[ValueType, tuple[str, ...]] = {
    ValueType.BOOL: (
        "({B} && {B})", "({B} || {B})", "!({B})", "({S} == {S})", "({S} != {S})", "({I} < {I})",
        "({S} <= {S})", "({D} > {D})", "({IP} == {IP})", "({IP} != {IP})", "({TS} >= {TS})",
        "({SPAN} == {SPAN})", "({B} == {B})", 'match({S}, "a*")', 'match({S}, "*c")',
        'match({S}, "abc")', 'match({S}, "*")', "({S}).startsWith({S})", '({S}).endsWith("c")',
        'match(toLower({S}), "ab*")', '(toLower({S}) == "abc")', '"^a|c$".matches({S})',
        '(toLower({S})).endsWith("bc")',
    ),
    ValueType.STRING: (
        "{M}[{S}]", '{M}["abc"]', "({M}[{S}] | {S})", "({S} + {S})",
        "conditionalString({B}, {S}, {S})", "({S} | ({S} | {S}))",
    ),
    ValueType.INT64: ("({I} + {I})", "size({S})"),
    ValueType.DOUBLE: ("({D} + {D})",),
}  # fmt: skip
