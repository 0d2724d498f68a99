"""Expressions: what they may take, and how they go wrong.

What they mean is held to Envoy in ``tests/differential/test_expressions.py``.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.attributes import Uint
from mixer.cel import (
    ABSENT,
    MAX_EXPRESSION_BYTES,
    AttributeActivation,
    BoundError,
    BudgetError,
    EvaluationError,
    ExpressionError,
    FunctionError,
    Program,
)
from tests.support.guest import bag, http_stream


class Names:
    """Names at the top."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def find(self, name: str) -> Any:
        """See `mixer.cel.Activation`."""
        return self.values.get(name, ABSENT)


def value(text: str, **names: Any) -> Any:
    return Program(text.encode()).evaluate(Names(**names))


def test_attributes_are_read_when_they_are_needed() -> None:
    """An attribute that is not reached is not computed."""
    read = []

    def find(name: str) -> Any:
        read.append(name)
        return {"request.path": "/a", "connection.id": 7}.get(name)

    activation = AttributeActivation(find)
    program = Program(b"request.path == '/a' || source.address == ''")
    assert program.evaluate(activation) is True
    assert read == ["request.path"]


def test_attributes_have_the_type_of_the_vocabulary() -> None:
    """A uint that Python does not tell from an int is one."""
    activation = AttributeActivation(bag(http_stream().request.headers, {"connection.id": 7}).get)
    assert Program(b"connection.id").evaluate(activation) == Uint(7)
    assert Program(b"connection.id + 1u").evaluate(activation) == Uint(8)


def test_a_variable_of_a_loop_hides_a_name() -> None:
    """Inside a loop its variable counts, after it the name again."""
    assert value("[1, 2].map(x, x) + [x]", x=3) == [1, 2, 3]
    assert value("[[1], [2]].map(x, x.map(y, y + 1))") == [[2], [3]]


@pytest.mark.parametrize("text", ["1 +", "(", "a b", "'", "\x00", "[1", "1.0.0", "a..b"])
def test_what_is_no_expression(text: str) -> None:
    """A text that cannot be parsed is told so."""
    with pytest.raises(ExpressionError):
        Program(text.encode())


@pytest.mark.parametrize("text", ["f(1)", "'a'.f()", "size()", "google.protobuf.Struct{}"])
def test_functions_that_are_not_there(text: str) -> None:
    """An expression that calls what is not there is refused before it runs."""
    with pytest.raises(FunctionError):
        Program(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "1 + " * 2000 + "1", "a" + ".b" * 60, "[" * 99 + "]" * 99, "'" + "x" * 5000 + "'",
        "!" * (MAX_EXPRESSION_BYTES + 1) + "true",
    ],
)  # fmt: skip
def test_large_expressions_are_refused(text: str) -> None:
    """What is too long or nested too deeply is refused, quickly."""
    began = time.process_time()
    with pytest.raises(ExpressionError):
        Program(text.encode())
    assert time.process_time() - began < 1


def test_the_bound_of_the_text_is_told() -> None:
    """The reason names the bound."""
    with pytest.raises(BoundError, match=str(MAX_EXPRESSION_BYTES)):
        Program(b"'" + b"x" * MAX_EXPRESSION_BYTES + b"'")


TEN = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
HOSTILE = {
    "loops in loops": TEN + "".join(f".map(x{n}, {TEN}" for n in range(7)) + ")" * 7,
    "a string that doubles": "['xxxxxxxx']" + "".join(f".map(a{n}, a{n}+a{n})" for n in range(20)),
    "a list that doubles": "[[1]]" + "".join(f".map(a{n}, a{n} + a{n})" for n in range(20)),
    "a list of one list twice": "[1]" + "".join(f".map(a{n}, [a{n}, a{n}])" for n in range(20)),
    "comparing it": "[1]" + "".join(f".map(a{n}, [a{n}, a{n}])" for n in range(19)) + " == [1]",
    "a search for a long pattern": "s.matches(s)",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_expression_ends(name: str) -> None:
    """An evaluation that would take long is broken off, also where `||` would forgive an error."""
    for text in (HOSTILE[name], f"({HOSTILE[name]}) == 0 || true"):
        program = Program(text.encode())
        began = time.process_time()
        with pytest.raises(BudgetError):
            program.evaluate(Names(s="x" * 20_000))
        assert time.process_time() - began < 1


@pytest.mark.parametrize("text", ["nope", "1 / 0", "[1][1]", "{'a': 1}.b", "'a' + 1", "1 ? 2 : 3"])
def test_what_has_no_value(text: str) -> None:
    """An error is told as one, and can be made up for."""
    with pytest.raises(EvaluationError):
        value(text)
    assert value(f"({text}) == 0 || true") is True


ATOMS = st.sampled_from(
    ["1", "2u", "-1.5", "'a'", "b'a'", "true", "null", "x", "request", "request.path", "[1, 2]",
     "{'a': 1}", "timestamp(1)", "duration('1s')", "int", "request.headers"]
)  # fmt: skip
OPERATORS = ("+", "-", "*", "/", "%", "==", "<", ">=", "in", "&&", "||")


def grown(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.tuples(part, st.sampled_from(OPERATORS), part).map(lambda t: f"({' '.join(t)})")
    call = st.tuples(
        part,
        st.sampled_from(["size()", "contains('a')", "matches('a')", "getHours()", "a", "path"]),
    ).map(".".join)
    function = st.tuples(
        st.sampled_from(
            ["size", "string", "int", "uint", "double", "bytes", "bool", "type", "!", "-"]
        ),
        part,
    ).map(lambda t: f"{t[0]}({t[1]})")
    loop = st.tuples(
        part, st.sampled_from(["map", "all", "exists", "exists_one", "filter"]), part
    ).map(lambda t: f"{t[0]}.{t[1]}(x, {t[2]})")
    index = st.tuples(part, part).map(lambda t: f"{t[0]}[{t[1]}]")
    return st.one_of(binary, call, function, loop, index)


@given(st.recursive(ATOMS, grown, max_leaves=8))
def test_any_expression_ends(text: str) -> None:
    """Whatever is written, it has a value, or fails in one of the ways that are told."""
    activation = AttributeActivation(bag(http_stream([(b":path", b"/a")]).request.headers).get)
    try:
        Program(text.encode()).evaluate(activation)
    except (ExpressionError, EvaluationError, BudgetError):
        return


@given(st.binary(max_size=40))
def test_any_text_is_parsed_or_refused(text: bytes) -> None:
    """A text of any bytes is an expression, or is not."""
    try:
        Program(text)
    except ExpressionError:
        return


def test_asking_a_map_for_a_key_reads_no_other() -> None:
    """`in` looks one key up, whatever else there is: a large map costs the same."""

    class OneKey(Mapping[str, Any]):
        def __getitem__(self, key: str) -> str:
            if key != "a":
                raise KeyError(key)
            return "x"

        def __iter__(self) -> Iterator[str]:
            raise AssertionError("all keys were read")

        def __len__(self) -> int:
            return 1_000_000

    class Activation:
        def find(self, name: str) -> Any:
            return OneKey() if name == "m" else ABSENT

    assert Program(b'"a" in m').evaluate(Activation()) is True
    assert Program(b'"b" in m').evaluate(Activation()) is False
