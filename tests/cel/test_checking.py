"""Expressions of a configuration: what is found before any of them runs."""

from typing import Any

import pytest

from mixer.attributes import VOCABULARY, Kind
from mixer.cel import (
    MAX_EXPRESSION_BYTES,
    AttributeActivation,
    BoundError,
    EvaluationError,
    ExpressionError,
    FunctionError,
    Result,
    checked_program,
)


def _evaluate(text: str, result: Result, **attributes: Any) -> Any:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return checked_program(text, result).evaluate(AttributeActivation(named.get))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('request.path == "/a" && "x" in request.headers', True),
        ("has(request.referer)", False),
        ("request.size > 5", True),
        ('metadata.deep["of"].no.declared == "type"', True),
        ('filter_state["x"] == b"1"', True),
        ("connection.id == 7u", True),
        ('request.headers.exists(name, name.startsWith("x"))', True),
    ],
)
def test_what_is_right_is_ready_to_run(text: str, value: bool) -> None:
    """Attributes, `has`, maps, loops, and values without a declared type."""
    assert value is _evaluate(
        text,
        Result.BOOL,
        request__path="/a",
        request__headers={"x": "1"},
        request__size=10,
        connection__id=7,
        filter_state={"x": b"1"},
        metadata={"deep": {"of": {"no": {"declared": "type"}}}},
    )


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_every_attribute_has_the_type_of_the_vocabulary(name: str) -> None:
    """What is text gives text, and what is not does not."""
    unknown = {Kind.MESSAGE, Kind.STRING}
    if VOCABULARY[name] in unknown:
        checked_program(name, Result.TEXT)
    else:
        with pytest.raises(ExpressionError, match=r"gives .* must give a string"):
            checked_program(name, Result.TEXT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('request.pth == "/"', "column 8: undefined field 'pth' not found in 'request'"),
        ("has(request.pth)", "column 4: undefined field 'pth' not found in 'request'"),
        ('reqest.path == "/"', "column 7: undeclared reference to 'reqest.path'"),
        ("node == 1", "column 1: undeclared reference to 'node'"),
        (
            'request.size == "5"',
            "column 14: found no matching overload for '_==_' applied to '(int, string)'",
        ),
        ("request.size", "gives int, and must give a bool"),
        ("request", "gives request, and must give a bool"),
        ("true &&\n  $", "line 2, column 3: Syntax error: token recognition error at: '$'"),
        ("\ud800", "not Unicode text"),
        ("'\x1b[2J", "column 1: Syntax error: token recognition error at: ''\\x1b[2J'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, message: str) -> None:
    """Unknown names, wrong types, and text that is no expression; no terminal is controlled."""
    with pytest.raises(ExpressionError) as caught:
        checked_program(text, Result.BOOL)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["nosuch(1)", '"x".lowerAscii()'])
def test_a_function_that_is_not_there_is_told(text: str) -> None:
    """Before any request comes."""
    with pytest.raises(ExpressionError, match=r"undeclared reference to '(nosuch|lowerAscii)'"):
        checked_program(text, Result.BOOL)


def test_messages_cannot_be_made() -> None:
    """The checker knows their types, and nothing here makes them."""
    with pytest.raises(FunctionError):
        checked_program("google.protobuf.Timestamp{} == request.time", Result.BOOL)


@pytest.mark.parametrize("text", ["(" * 300, "!(" * 200 + "true" + ")" * 200, "a" + ".b" * 1000])
def test_depth_is_bounded(text: str) -> None:
    """An expression that would exhaust the stack is refused."""
    with pytest.raises(ExpressionError, match="recursion"):
        checked_program(text, Result.BOOL)


def test_length_is_bounded_in_bytes() -> None:
    """Characters of several bytes count as such."""
    with pytest.raises(BoundError, match=str(MAX_EXPRESSION_BYTES)):
        checked_program(f"'{'é' * 2048}'", Result.TEXT)


def test_an_absent_attribute_is_found_when_it_is_evaluated() -> None:
    """The checker knows what there can be, not what there is."""
    with pytest.raises(EvaluationError):
        _evaluate("connection_id == 1u", Result.BOOL)
